"""FlatNetwork: a stack of networks whose tensors are views of two vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.models.stacked.network import StackedNetwork
from core.training.stacked.flat_tensors import FlatTensors


class FlatNetwork:
    """A stack whose parameters are views of one vector, and its norms' statistics of another.

    Args:
        network: the stack, on the training device; its tensors become views.
        states: `state_dict()` of each network, with the values to take over.
    """

    def __init__(self, network: StackedNetwork, states: Sequence[Mapping[str, Tensor]]):
        self.network = network
        parts = network.parts()
        tensors: dict[str, Tensor] = dict(network.named_parameters())
        self._parameter_names = [name for name in parts if name in tensors]
        self._statistic_names = [name for name in parts if name not in tensors]
        self.parameters = _join(states, self._parameter_names)
        self.statistics = _join(states, self._statistic_names) if self._statistic_names else None
        """None: the network has no norms."""
        tensors |= dict(network.named_buffers())
        for name, view in self.parts().items():
            tensors[name].data = view.view(tensors[name].shape)

    def parts(
        self, parameters: Tensor | None = None, statistics: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the parameters and statistics of all networks by name, (N, ...) each, as views.

        Args:
            parameters, statistics: of vectors like the stack's; None: of the stack's own.
        """
        parts = dict(zip(self._parameter_names, self.parameters.views(parameters), strict=True))
        if self.statistics is not None:
            parts |= zip(self._statistic_names, self.statistics.views(statistics), strict=True)
        return parts


def _join(states: Sequence[Mapping[str, Tensor]], names: Sequence[str]) -> FlatTensors:
    return FlatTensors([torch.stack([state[name].detach() for state in states]) for name in names])
