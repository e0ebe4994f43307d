"""Muon: an optimizer for hidden layers whose updates are semi-orthogonal matrices.

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024),
https://kellerjordan.github.io/posts/muon, with its Newton-Schulz coefficients. Unlike there, hidden
weights keep the norm they were initialised with, and an update has a fixed size relative to it.
"""

from __future__ import annotations

import torch
from torch import nn

UPDATE_SIZE = 0.25  # of the learning rate: norm of an update relative to the norm of the weights


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum, and semi-orthogonal updates in groups with "orthogonalise".

    A hidden layer's weights form a matrix with one row per output channel. Its momentum is replaced
    by its nearest semi-orthogonal matrix, so that directions with small gradients are learnt as
    fast as those with large ones. Before batch norm only the direction of weights matters, so their
    norm is kept.

    Args:
        groups: parameter groups. With "orthogonalise", all weights have the same shape, and
            "matrices" is the number of matrices per weight (the groups of a convolution).
        lr: learning rate.
        momentum: fraction of the last update that is kept, 0 to 1.
    """

    def __init__(self, groups: list[dict], lr: float, momentum: float):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0}
        super().__init__(groups, {**defaults, "orthogonalise": False, "matrices": 1})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters by their gradients."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            gradients = [weight.grad for weight in weights]
            for weight in weights:
                if not self.state[weight]:
                    momentum = torch.zeros_like(weight)
                    self.state[weight] = {"momentum_buffer": momentum, "norm": weight.norm()}
            if group["weight_decay"] and not group["orthogonalise"]:
                gradients = list(
                    torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
                )
            momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
            torch._foreach_mul_(momenta, group["momentum"])
            torch._foreach_add_(momenta, gradients)
            updates = torch._foreach_add(gradients, momenta, alpha=group["momentum"])
            if group["orthogonalise"]:
                self._update_orthogonally(group, weights, torch.stack(updates))
            else:
                torch._foreach_add_(weights, updates, alpha=-group["lr"])

    def _update_orthogonally(
        self, group: dict, weights: list[torch.Tensor], updates: torch.Tensor
    ) -> None:
        norms = torch.stack([self.state[weight]["norm"] for weight in weights])  # (L,)
        count = group["matrices"]
        matrices = updates.reshape(len(weights) * count, updates.shape[1] // count, -1)
        # A semi-orthogonal (R, C) matrix has the norm sqrt(min(R, C)).
        updates = orthogonalise(matrices).view_as(updates)
        updates = updates * (min(matrices.shape[1:]) * count) ** -0.5
        stacked = torch.stack(weights)  # (L, O, ...)
        shape = (-1, *[1] * (stacked.ndim - 1))
        rescale = norms / stacked.flatten(1).norm(dim=1).clamp_min(1e-12)
        size = UPDATE_SIZE * group["lr"] * norms
        stacked = stacked * rescale.view(shape) - updates * size.view(shape)
        torch._foreach_copy_(weights, list(stacked.unbind()))


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Approximate the nearest semi-orthogonal matrices by five Newton-Schulz iterations.

    Args:
        matrices: (B, R, C).

    Returns:
        (B, R, C); singular values are between about 0.7 and 1.2 instead of 1.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    is_tall = x.shape[1] > x.shape[2]
    x = x.mT if is_tall else x
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (2.0315 * square @ square - 4.7750 * square) @ x
    return x.mT if is_tall else x


def muon_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Return a model's parameters in groups for `Muon`.

    All weights of convolutions and linear layers are orthogonalised, but not the last layer's,
    whose norm sets how sharp the probabilities are.

    Args:
        model: the network.
        weight_decay: of the weights that are not orthogonalised; biases and norms have none.
    """
    layers = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    by_shape: dict[tuple, list] = {}
    for layer in layers[:-1]:
        key = (getattr(layer, "groups", 1), *layer.weight.shape)
        by_shape.setdefault(key, []).append(layer.weight)
    hidden = {id(weight) for weights in by_shape.values() for weight in weights}
    others = [parameter for parameter in model.parameters() if id(parameter) not in hidden]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        *(
            {"params": weights, "orthogonalise": True, "matrices": key[0]}
            for key, weights in by_shape.items()
        ),
    ]
    return [group for group in groups if group["params"]]
