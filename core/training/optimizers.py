"""Optimizers by name, and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from core.config import RunConfig
from core.training.muon import Muon, muon_groups


def build(config: RunConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The config's optimizer over a model's parameters.

    Weight decay pulls on weights of convolutions and linear layers only; on a bias or a normalisation's scale
    it would shift what the layer computes rather than keep it small.
    """
    if config.optimizer == "muon":
        return Muon(muon_groups(model, config.weight_decay), config.lr, config.momentum)
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # One fused call a step instead of one for each of some forty small tensors.
    fused = parameters[0].device.type in ("cpu", "cuda")
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            groups,
            lr=config.lr,
            momentum=config.momentum,
            nesterov=config.nesterov and config.momentum > 0,
            fused=fused,
        )
    if (
        config.optimizer == "adadelta"
    ):  # there is no fused form of it; its one decay stays at the 0.9 that is usual
        return torch.optim.Adadelta(
            groups, lr=config.lr, rho=0.9, capturable=parameters[0].device.type == "cuda"
        )
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(
        groups,
        lr=config.lr,
        betas=(config.momentum, 0.999),
        fused=fused,
        capturable=parameters[0].device.type == "cuda",
    )


def set_rate(optimizer: torch.optim.Optimizer, lr: float, momentum: float) -> None:
    """Give every parameter group this learning rate and momentum (Adam's first beta; Adadelta has none)."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif "momentum" in group:
            group["momentum"] = momentum


class Average:
    """The exponential moving average of a model's weights and normalisation statistics.

    The decay is min(decay, (1 + t) / (10 + t)) at step t, so that the first, random weights are soon forgotten.

    Args:
        tensors: the floating-point tensors of the model, which keep their identity while it trains.
        decay: share of the old average that stays at each step, below 1.
    """

    def __init__(self, tensors: Iterable[Tensor], decay: float):
        self.source = [tensor for tensor in tensors if tensor.is_floating_point()]
        self.tensors = [tensor.detach().clone() for tensor in self.source]
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's present weights into the average."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.tensors, self.source, 1 - decay)
        self.steps += 1
