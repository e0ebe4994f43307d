"""The optimizers' update rules for several networks at once, each with its own rates.

All parameters of a stack are one vector, so that a rule is a handful of operations however many
networks and layers there are. The rules are those of `optimizers` and `muon`, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from core.config import RunConfig
from core.models.stacked.network import StackedNetwork
from core.training.stacked import update_kernels
from core.training.stacked.flat_tensors import FlatTensors
from core.training.stacked.muon import HiddenMatrices

ADAM_BETA2, ADAM_EPS = 0.999, 1e-8
ADADELTA_RHO, ADADELTA_EPS = 0.9, 1e-6
# What each optimizer keeps for each parameter, by its name in torch's state.
STATE = {
    "sgd": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "adadelta": ("square_avg", "acc_delta"),
    "muon": ("momentum_buffer",),
}


class StackedOptimizer:
    """An update rule for the parameters of N networks.

    Args:
        parameters: of the stack.
        network: the stack, for the kinds of its layers.
        configs: of the N runs; their optimizer is the same.
    """

    def __init__(
        self, parameters: FlatTensors, network: StackedNetwork, configs: Sequence[RunConfig]
    ):
        self.parameters, self.name = parameters, configs[0].optimizer
        self.nesterov = configs[0].nesterov
        has_momentum = self.name != "sgd" or configs[0].momentum > 0
        self.state = {
            name: torch.zeros_like(parameters.flat) for name in STATE[self.name] if has_momentum
        }
        """What the rule keeps between steps, one value for each parameter."""
        self.steps = torch.zeros(parameters.count, device=parameters.device)
        """Steps so far, of each network."""
        decays = torch.tensor([config.weight_decay for config in configs], device=parameters.device)
        self.hidden = HiddenMatrices(parameters, network) if self.name == "muon" else None
        hidden = self.hidden.parts if self.hidden is not None else set()
        self.is_plain = parameters.mark([i not in hidden for i in range(len(parameters.sizes))])
        """1 for the parameters that Muon does not orthogonalise, else 0."""
        is_weight = parameters.mark([len(shape) > 2 for shape in parameters.shapes])
        self.weight_decay = (
            parameters.spread(decays) * is_weight * self.is_plain if decays.any() else None
        )
        self._kept = (torch.empty_like(parameters.flat), torch.empty_like(parameters.flat))
        self.uses_kernels = (
            network.uses_kernels(parameters.device)
            and self.name in ("sgd", "muon")
            and (self.hidden is None or self.hidden.has_kernel)
        )
        """Whether Triton's kernels compute the rule, or torch."""
        self._rule: Callable[[Tensor, Tensor, Tensor], None] = getattr(self, f"_{self.name}")

    @torch.no_grad()
    def step(self, gradient: Tensor, lr: Tensor, momentum: Tensor) -> None:
        """Update the parameters.

        Args:
            gradient: of all parameters, as one vector.
            lr, momentum: (N,).
        """
        self.steps += 1
        if self.uses_kernels:
            self._update_by_kernels(gradient, lr, momentum)
            return
        self._rule(gradient, self.parameters.spread(lr), momentum)

    def _update_by_kernels(self, gradient: Tensor, lr: Tensor, momentum: Tensor) -> None:
        parameters = self.parameters
        update_kernels.update_plainly(
            parameters.flat, gradient, self.state.get("momentum_buffer"), self.weight_decay,
            self.is_plain, parameters.owner, lr, momentum, self.nesterov or self.name == "muon",
            None if self.hidden is None else self._kept,
        )  # fmt: skip
        if self.hidden is not None:
            self.hidden.update_by_kernel(*self._kept, lr)

    def load(self, n: int, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> None:
        """Take over what a network's own optimizer keeps.

        Args:
            n: the network, from 0.
            optimizer: its optimizer, which may not have made a step yet.
            parameters: of the network, in the order of the stack.
        """
        kept = {name: self.parameters.views(flat) for name, flat in self.state.items()}
        for index, parameter in enumerate(parameters):
            values = optimizer.state.get(parameter) or {}
            for name, parts in kept.items():
                if values.get(name) is not None:
                    parts[index][n].copy_(values[name])
            if "step" in values:
                self.steps[n] = float(values["step"])
            if self.hidden is not None and "norm" in values:
                self.hidden.load_norm(n, index, values["norm"])

    def store(self, n: int, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> None:
        """Write what the rule keeps for a network into its own optimizer.

        Args:
            n, optimizer, parameters: as of `load`.
        """
        kept = {name: self.parameters.views(flat) for name, flat in self.state.items()}
        if not kept or not float(self.steps[n]):
            return
        for index, parameter in enumerate(parameters):
            values: dict[str, Any] = {name: parts[index][n].clone() for name, parts in kept.items()}
            if self.name in ("adam", "adamw", "adadelta"):
                on_device = self.name != "adadelta" or parameter.is_cuda
                device = parameter.device if on_device else torch.device("cpu")
                values["step"] = self.steps[n].clone().to(device)
            if self.hidden is not None:
                values["norm"] = self.hidden.norm(n, index, parameter)
            optimizer.state[parameter] = values

    def share(self, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> None:
        """Make the state of a single network's own optimizer views of what the rule keeps.

        Args:
            optimizer, parameters: as of `load`.
        """
        kept = {name: self.parameters.views(flat) for name, flat in self.state.items()}
        for index, parameter in enumerate(parameters):
            values: dict[str, Any] = {name: parts[index][0] for name, parts in kept.items()}
            if self.name in ("adam", "adamw", "adadelta"):
                values["step"] = self.steps[0]
            if self.hidden is not None:
                values["norm"] = self.hidden.norm(0, index, parameter)
            optimizer.state[parameter] = values

    def _decayed(self, gradient: Tensor) -> Tensor:
        if self.weight_decay is None:
            return gradient
        return gradient + self.weight_decay * self.parameters.flat

    def _sgd(self, gradient: Tensor, lr: Tensor, momentum: Tensor) -> None:
        gradient = self._decayed(gradient)
        if self.state:
            kept, factor = self.state["momentum_buffer"], self.parameters.spread(momentum)
            kept.mul_(factor).add_(gradient)
            gradient = gradient + factor * kept if self.nesterov else kept
        self.parameters.flat.addcmul_(lr, gradient, value=-1)

    def _adam(self, gradient: Tensor, lr: Tensor, momentum: Tensor) -> None:
        if self.name == "adam":
            gradient = self._decayed(gradient)
        elif self.weight_decay is not None:
            self.parameters.flat.mul_(1 - lr * self.weight_decay)
        mean, square = self.state["exp_avg"], self.state["exp_avg_sq"]
        mean.lerp_(gradient, 1 - self.parameters.spread(momentum))
        square.mul_(ADAM_BETA2).addcmul_(gradient, gradient, value=1 - ADAM_BETA2)
        correction = self.parameters.spread(1 - momentum**self.steps)
        root = self.parameters.spread((1 - ADAM_BETA2**self.steps).sqrt())
        self.parameters.flat.addcdiv_(
            lr / correction * mean, square.sqrt() / root + ADAM_EPS, value=-1
        )

    _adamw = _adam

    def _adadelta(self, gradient: Tensor, lr: Tensor, momentum: Tensor) -> None:
        gradient = self._decayed(gradient)
        square, delta = self.state["square_avg"], self.state["acc_delta"]
        square.mul_(ADADELTA_RHO).addcmul_(gradient, gradient, value=1 - ADADELTA_RHO)
        update = (delta + ADADELTA_EPS).sqrt() / (square + ADADELTA_EPS).sqrt() * gradient
        delta.mul_(ADADELTA_RHO).addcmul_(update, update, value=1 - ADADELTA_RHO)
        self.parameters.flat.addcmul_(lr, update, value=-1)

    def _muon(self, gradient: Tensor, lr: Tensor, momentum: Tensor) -> None:
        gradient = self._decayed(gradient)
        kept, factor = self.state["momentum_buffer"], self.parameters.spread(momentum)
        kept.mul_(factor).add_(gradient)
        update = gradient + factor * kept
        # With a rate of 0, the hidden weights keep their values here.
        self.parameters.flat.addcmul_(lr * self.is_plain, update, value=-1)
        if self.hidden is not None:
            self.hidden.step(update, lr)
