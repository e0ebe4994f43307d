"""Muon: an optimizer for hidden layers whose updates are semi-orthogonal matrices.

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024),
https://kellerjordan.github.io/posts/muon, with its Newton-Schulz coefficients. Unlike there, hidden
weights keep the norm they were initialised with, and an update has a fixed size relative to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

UPDATE_SIZE = 0.25  # of the learning rate: norm of an update relative to the norm of the weights
# Matrices of at most so many elements are padded to a common shape and orthogonalised as one batch:
# for small matrices the number of operations counts, not their size.
SMALL_MATRIX = 4_096


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum, and semi-orthogonal updates in groups with "orthogonalise".

    A hidden layer's weights form a matrix with one row per output channel. Its momentum is replaced
    by its nearest semi-orthogonal matrix, so that directions with small gradients are learnt as
    fast as those with large ones. Before batch norm only the direction of weights matters, so their
    norm is kept.

    Learning rate and momentum may be 0-d tensors on the parameters' device, so that a step can be
    captured as a CUDA graph.

    Args:
        groups: parameter groups. With "orthogonalise", all weights have the same shape, and
            "matrices" is the number of matrices per weight (the groups of a convolution).
        lr: learning rate.
        momentum: fraction of the last update that is kept, 0 to 1; the first group's counts.
    """

    def __init__(self, groups: list[dict], lr: float, momentum: float):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0}
        self._batches: dict[tuple[int, ...], list[_MatrixBatch]] = {}
        super().__init__(groups, {**defaults, "orthogonalise": False, "matrices": 1})

    def load_state_dict(self, state_dict: Any) -> None:
        """Load what `state_dict` returned."""
        super().load_state_dict(state_dict)
        self._batches.clear()  # they hold the former norms

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters by their gradients."""
        trained: list[tuple[dict, list[Tensor]]] = [
            (group, [weight for weight in group["params"] if weight.grad is not None])
            for group in self.param_groups
        ]
        weights = [weight for _, members in trained for weight in members]
        if not weights:
            return
        for weight in weights:
            if not self.state[weight]:
                momentum_buffer = torch.zeros_like(weight)
                self.state[weight] = {"momentum_buffer": momentum_buffer, "norm": weight.norm()}
        momentum = self.param_groups[0]["momentum"]
        gradients: list[Tensor] = []
        for group, members in trained:
            own = [weight.grad for weight in members if weight.grad is not None]
            if own and group["weight_decay"] and not group["orthogonalise"]:
                own = list(torch._foreach_add(own, members, alpha=group["weight_decay"]))
            gradients += own
        momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
        torch._foreach_mul_(momenta, momentum)
        torch._foreach_add_(momenta, gradients)
        updates = list(torch._foreach_mul(momenta, momentum))
        torch._foreach_add_(updates, gradients)

        update_of = dict(zip(map(id, weights), updates, strict=True))
        for group, members in trained:
            if members and not group["orthogonalise"]:
                own = [update_of[id(weight)] for weight in members]
                torch._foreach_mul_(own, group["lr"])
                torch._foreach_sub_(members, own)
        hidden = [entry for entry in trained if entry[0]["orthogonalise"] and entry[1]]
        for batch in self._matrix_batches(hidden):
            batch.update([update_of[id(weight)] for weight in batch.weights])

    def _matrix_batches(self, hidden: list[tuple[dict, list[Tensor]]]) -> list[_MatrixBatch]:
        key = tuple(id(weight) for _, members in hidden for weight in members)
        if key not in self._batches:
            batches: dict[Any, list[tuple[Tensor, Tensor, dict]]] = {}
            for number, (group, members) in enumerate(hidden):
                entries = [(weight, self.state[weight]["norm"], group) for weight in members]
                rows = len(members[0]) // group["matrices"]
                is_small = members[0].numel() // group["matrices"] <= SMALL_MATRIX
                # Depthwise convolutions have many matrices of one row: not worth padding.
                kind = (rows == 1, -1 if is_small else number)
                batches.setdefault(kind, []).extend(entries)
            self._batches = {key: [_MatrixBatch(entries) for entries in batches.values()]}
        return self._batches[key]


class _MatrixBatch:
    """Hidden weights whose updates are orthogonalised together, as matrices of one padded shape.

    Rows and columns of zeros do not change the orthogonalisation of the rest. Matrices with more
    rows than columns are transposed.

    Args:
        entries: weight, the norm it keeps (0-d), and its parameter group.
    """

    def __init__(self, entries: Sequence[tuple[Tensor, Tensor, dict]]):
        self.weights = [weight for weight, _, _ in entries]
        self.groups = [group for _, _, group in entries]
        device = self.weights[0].device
        self.sizes = [weight.numel() for weight in self.weights]
        elements = sum(self.sizes)
        cells, scales, first = [], [], 0
        for weight, group in zip(self.weights, self.groups, strict=True):
            numbers = torch.empty_like(weight, dtype=torch.int64, device="cpu")
            _in_memory_order(numbers).copy_(torch.arange(first, first + weight.numel()))
            matrices = numbers.reshape(group["matrices"], len(weight) // group["matrices"], -1)
            matrices = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
            cells += list(matrices)
            # A semi-orthogonal (R, C) matrix with R <= C has the norm sqrt(R).
            scales.append((matrices.shape[1] * group["matrices"]) ** -0.5)
            first += weight.numel()
        rows, columns = (max(cell.shape[side] for cell in cells) for side in (0, 1))
        index = torch.full((len(cells), rows, columns), elements)  # padding: the zero at the end
        for number, cell in enumerate(cells):
            index[number, : cell.shape[0], : cell.shape[1]] = cell
        self.index = index.to(device)  # (N, R, C)
        self.inverse = index.flatten().argsort(stable=True)[:elements].to(device)
        counts = torch.tensor([group["matrices"] for group in self.groups])
        numbers = torch.repeat_interleave(torch.arange(len(entries)), counts)
        self.owners = None if len(cells) == len(entries) else numbers.to(device)
        """(N,): the number of each matrix's weight; None if each weight is one matrix."""
        self.zero = torch.zeros(1, device=device)
        self.norms = torch.stack([norm for _, norm, _ in entries])  # (L,)
        self.update_norms = UPDATE_SIZE * self.norms * torch.tensor(scales, device=device)

    def update(self, updates: Sequence[Tensor]) -> None:
        """Update the weights by these updates, orthogonalised; N matrices in L weights."""
        elements = torch.cat([*map(_in_memory_order, updates), self.zero])
        directions = orthogonalise(elements[self.index])  # (N, R, C)
        elements = torch.cat([*map(_in_memory_order, self.weights), self.zero])
        matrices = elements[self.index]  # (N, R, C)
        norms = torch.linalg.vector_norm(matrices, dim=(1, 2))  # (N,)
        if self.owners is not None:
            # Not by index_add_, whose order of summation varies on a GPU.
            one_hot = torch.arange(len(self.weights), device=norms.device)[:, None] == self.owners
            norms = (one_hot * norms.square()).sum(1).sqrt()  # (L,)
        rescale = self.norms / norms.clamp_min(1e-12)
        lrs = [group["lr"] for group in self.groups]
        if all(lr is lrs[0] for lr in lrs):
            sizes = self.update_norms * lrs[0]
        else:
            sizes = self.update_norms * torch.stack([torch.as_tensor(lr) for lr in lrs])
        if self.owners is not None:
            rescale, sizes = rescale[self.owners], sizes[self.owners]
        matrices = matrices * rescale[:, None, None] - directions * sizes[:, None, None]
        elements = matrices.flatten()[self.inverse]
        targets = [_in_memory_order(weight) for weight in self.weights]
        torch._foreach_copy_(targets, list(elements.split(self.sizes)))


def _in_memory_order(tensor: Tensor) -> Tensor:
    """Return the elements (E,) in the order of memory, as a view where that is possible."""
    if tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.reshape(-1)


def orthogonalise(matrices: Tensor) -> Tensor:
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
        polynomial = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, polynomial, x, beta=3.4445)
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
