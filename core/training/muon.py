"""Muon: an optimizer whose steps are made orthogonal, for the weights of hidden layers.

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with its coefficients. Here
weights keep the length that they were drawn with, and a step turns them by a share of it.
"""

from __future__ import annotations

import torch
from torch import nn

TURN = 0.25  # of the learning rate: the share of their length by which a step turns a hidden layer's weights


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov's momentum, and orthogonal steps in the groups that are marked "turned".

    Weights are taken as a matrix with a row for each output channel. Its momentum is replaced by the orthogonal matrix
    next to it, so that every direction in which the weights may still learn gets a step of the same length, also those
    whose gradients are small. Under batch norm only the direction of weights matters: their length is held.

    Args:
        groups: of one shape each where they are "turned"; "parts" says into how many matrices one below the other a
            weight falls (as many as a convolution has groups).
    """

    def __init__(self, groups: list[dict], lr: float, momentum: float):
        super().__init__(
            groups,
            {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "turned": False, "parts": 1},
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Do a step with the gradients that the parameters hold."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            gradients = [weight.grad for weight in weights]
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight] = {
                        "momentum_buffer": torch.zeros_like(weight),
                        "length": weight.norm(),
                    }
            if group["weight_decay"] and not group["turned"]:
                gradients = list(
                    torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
                )
            momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
            torch._foreach_mul_(momenta, group["momentum"])
            torch._foreach_add_(momenta, gradients)
            steps = torch._foreach_add(gradients, momenta, alpha=group["momentum"])
            if group["turned"]:
                self._turn(group, weights, torch.stack(steps))
            else:
                torch._foreach_add_(weights, steps, alpha=-group["lr"])

    def _turn(self, group: dict, weights: list[torch.Tensor], steps: torch.Tensor) -> None:
        lengths = torch.stack([self.state[weight]["length"] for weight in weights])  # (L,)
        matrices = steps.reshape(
            len(weights) * group["parts"], steps.shape[1] // group["parts"], -1
        )
        # An orthogonal (R, C) has length sqrt(min(R, C)).
        steps = (
            orthogonal(matrices).view_as(steps) * (min(matrices.shape[1:]) * group["parts"]) ** -0.5
        )
        stacked = torch.stack(weights)  # (L, O, ...)
        shape = (-1, *[1] * (stacked.ndim - 1))
        held = lengths / stacked.flatten(1).norm(dim=1).clamp_min(1e-12)
        stacked = stacked * held.view(shape) - steps * (TURN * group["lr"] * lengths).view(shape)
        torch._foreach_copy_(weights, list(stacked.unbind()))


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Nearly the orthogonal matrices next to some, (B, R, C), by five steps of a Newton-Schulz iteration.

    Their singular values come out between 0.7 and 1.2, which is near enough to 1 for a step.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (2.0315 * square @ square - 4.7750 * square) @ x
    return x.mT if tall else x


def muon_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """A model's parameters in the groups that `Muon` takes.

    Turned are the weights of all convolutions and linear layers but the last one's, whose length is the sharpness of
    the answers.
    """
    layers = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    turned: dict[tuple, list] = {}
    for layer in layers[:-1]:
        turned.setdefault((getattr(layer, "groups", 1), *layer.weight.shape), []).append(
            layer.weight
        )
    hidden = {id(weight) for weights in turned.values() for weight in weights}
    others = [parameter for parameter in model.parameters() if id(parameter) not in hidden]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        *({"params": weights, "turned": True, "parts": key[0]} for key, weights in turned.items()),
    ]
    return [group for group in groups if group["params"]]
