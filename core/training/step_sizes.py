"""How large one training step is: the gradient and the update of each row, relative to its weights.

A learning rate that is too high shows in the update before it shows in the loss. What is measured
changes nothing in the run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from core.models.network import Network
from core.training.compiled_step import CompiledStep
from core.training.results import StepSizes
from core.training.step import TrainingStep
from core.training.triton_step import TritonStep


class StepMeter:
    """Measures the steps that `start` and `finish` enclose.

    Args:
        model: the network that is trained; its convolutions and linear layers are measured without
            biases and batch norms, whose sizes say little.
        compute: the step, or the step that a captured one replays.
    """

    def __init__(self, model: Network, compute: TrainingStep | CompiledStep | TritonStep):
        self._compute = compute
        layers = model.weighted_rows()
        self._rows = tuple(number for number, _, _ in layers)
        self._weights: list[Tensor] = [layer.weight for _, layer, _ in layers]
        places = {id(parameter): at for at, parameter in enumerate(model.parameters())}
        self._places = [places[id(weight)] for weight in self._weights]
        self._before: list[Tensor] = []

    def start(self) -> None:
        """Remember the weights, and ask the step for its gradients."""
        self._before = [weight.detach().clone() for weight in self._weights]
        self._compute.keeps_gradients = True

    @torch.no_grad()
    def finish(self) -> StepSizes | None:
        """Return the sizes of the step done since `start`; None if one is not finite."""
        self._compute.keeps_gradients = False
        gradients = self._compute.gradients()
        before, self._before = self._before, []
        norms = [
            [tensor.norm() for tensor in before],
            [gradients[place].norm() for place in self._places],
            [(weight - old).norm() for weight, old in zip(self._weights, before, strict=True)],
        ]
        # One transfer from the device.
        sizes, slopes, updates = torch.stack([torch.stack(row) for row in norms]).tolist()
        found = StepSizes(self._rows, _relative(slopes, sizes), _relative(updates, sizes))
        return found if all(map(math.isfinite, found.gradients + found.updates)) else None


def _relative(values: Sequence[float], sizes: Sequence[float]) -> tuple[float, ...]:
    """Divide by the norms of the weights; three significant digits are enough for a chart."""
    return tuple(
        float(f"{value / max(size, 1e-12):.3g}") for value, size in zip(values, sizes, strict=True)
    )
