"""Optimizers by name, and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.config import RunConfig
from core.training.muon import Muon, muon_groups


def build_optimizer(config: RunConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return the config's optimizer for a model's parameters.

    Weight decay applies to the weights of convolutions and linear layers only: biases and the
    parameters of norms are not to be kept small.
    """
    if config.optimizer == "muon":
        return Muon(muon_groups(model, config.weight_decay), config.lr, config.momentum)
    parameters = list(model.parameters())
    device = parameters[0].device.type
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # One fused call per step instead of one for each of about forty small tensors.
    fused = device in ("cpu", "cuda")
    if config.optimizer == "sgd":
        options: dict[str, Any] = {
            "lr": config.lr,
            "momentum": config.momentum,
            "nesterov": config.nesterov and config.momentum > 0,
            "fused": fused,
        }
        if device == "cuda":
            return CapturableSgd(groups, cycles_momentum(config), **options)
        return torch.optim.SGD(groups, **options)
    if config.optimizer == "adadelta":  # has no fused form; rho keeps its usual value
        return torch.optim.Adadelta(groups, lr=config.lr, rho=0.9, capturable=device == "cuda")
    adam = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    betas = (config.momentum, 0.999)
    return adam(groups, lr=config.lr, betas=betas, fused=fused, capturable=device == "cuda")


def cycles_momentum(config: RunConfig) -> bool:
    """Return whether the momentum changes from step to step."""
    return config.schedule == "one-cycle" and config.momentum_cycle


class CapturableSgd(torch.optim.SGD):
    """SGD whose rate and, if it varies, momentum may be 0-d tensors on the parameters' device.

    torch's own takes the momentum as a number, which a CUDA graph keeps constant. The state has the
    same format.

    Args:
        groups: parameter groups.
        varies_momentum: whether the momentum is a tensor.
        options: as of `torch.optim.SGD`.
    """

    def __init__(self, groups: list[dict[str, Any]], varies_momentum: bool, **options: Any):
        super().__init__(groups, **options)
        self.varies_momentum = varies_momentum

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters by their gradients."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            gradients = [weight.grad for weight in weights]
            for weight in weights:
                if self.state[weight].get("momentum_buffer") is None:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
            momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
            if not self.varies_momentum:
                torch._fused_sgd_(
                    weights,
                    gradients,
                    momenta,
                    weight_decay=group["weight_decay"],
                    momentum=group["momentum"],
                    lr=group["lr"],
                    dampening=0.0,
                    nesterov=group["nesterov"],
                    maximize=False,
                    is_first_step=False,
                )
                continue
            if group["weight_decay"]:
                decay = group["weight_decay"]
                gradients = list(torch._foreach_add(gradients, weights, alpha=decay))
            torch._foreach_mul_(momenta, group["momentum"])
            torch._foreach_add_(momenta, gradients)
            if group["nesterov"]:
                updates = list(torch._foreach_mul(momenta, group["momentum"]))
                torch._foreach_add_(updates, gradients)
                torch._foreach_mul_(updates, group["lr"])
            else:
                updates = list(torch._foreach_mul(momenta, group["lr"]))
            torch._foreach_sub_(weights, updates)


def set_rate(optimizer: torch.optim.Optimizer, lr: float, momentum: float) -> None:
    """Set the learning rate and momentum of all parameter groups.

    Adam's first beta is its momentum; Adadelta has none.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif "momentum" in group:
            group["momentum"] = momentum


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load a saved state, also one of another device.

    Options that depend on the device stay as `build_optimizer` set them.

    Raises:
        ValueError: the state belongs to other parameters.
    """
    options: list[dict[str, Any]] = [
        {name: group[name] for name in ("fused", "capturable") if name in group}
        for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(dict(state))
    for group, own in zip(optimizer.param_groups, options, strict=True):
        group.update(own)


class Average:
    """Exponential moving average of a model's weights and batch statistics.

    The decay at step t is min(decay, (1 + t) / (10 + t)), so that the first, random weights lose
    their influence quickly.

    Args:
        tensors: of the model; those of a floating-point type are averaged. The model must update
            them in place.
        decay: fraction of the average that is kept per step, below 1.
    """

    def __init__(self, tensors: Iterable[Tensor], decay: float):
        self.source = [tensor for tensor in tensors if tensor.is_floating_point()]
        self.tensors = [tensor.detach().clone() for tensor in self.source]
        self.decay = decay
        self.steps = 0
        self.options: dict[str, Any] = {"weight": 0.0}
        """Weight of the model in the next update: a number, or a 0-d tensor on its device."""

    def advance(self) -> None:
        """Set the weight of the next update; once for each update, before it."""
        self.options["weight"] = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1

    @torch.no_grad()
    def update(self) -> None:
        """Include the model's present weights in the average."""
        weight = self.options["weight"]
        if not isinstance(weight, Tensor):
            torch._foreach_lerp_(self.tensors, self.source, weight)
            return
        differences = torch._foreach_sub(self.source, self.tensors)
        torch._foreach_mul_(differences, weight)
        torch._foreach_add_(self.tensors, differences)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged tensors and the number of steps."""
        return {"tensors": self.tensors, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: the number of tensors differs.
        """
        for tensor, saved in zip(self.tensors, state["tensors"], strict=True):
            tensor.copy_(saved)
        self.steps = state["steps"]
