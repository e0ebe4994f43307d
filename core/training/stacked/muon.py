"""Muon's semi-orthogonal updates for the hidden layers of several networks at once.

All matrices of all layers and networks are padded with zeros to one size, which changes nothing in
the Newton-Schulz iterations, and are computed as one batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.models.stacked import matrix_kernels
from core.models.stacked.network import StackedConv2d, StackedLinear, StackedNetwork
from core.training.muon import UPDATE_SIZE, orthogonalise
from core.training.stacked import update_kernels
from core.training.stacked.flat_tensors import FlatTensors

MAX_WEIGHT = 8_192  # values of a weight whose norm a program of the kernel computes
MAX_VALUES = 8_000_000  # of a padded batch; above that, each shape is a batch of its own


class HiddenMatrices:
    """The weights of a stack that Muon orthogonalises: of all layers but the last with weights.

    Args:
        parameters: of the stack.
        network: the stack.
    """

    def __init__(self, parameters: FlatTensors, network: StackedNetwork):
        self.parameters = parameters
        matrices = _count_matrices(network)
        self.parts = set(matrices)
        """Indices of the orthogonalised parts."""
        shapes = {
            index: (
                parameters.count * count,
                parameters.shapes[index][1] // count,
                parameters.shapes[index][2:].numel(),
            )
            for index, count in matrices.items()
        }
        rows = max((min(shape[1:]) for shape in shapes.values()), default=0)
        columns = max((max(shape[1:]) for shape in shapes.values()), default=0)
        if sum(shape[0] for shape in shapes.values()) * rows * columns <= MAX_VALUES:
            groups = [list(shapes)] if shapes else []
        else:
            by_shape: dict[tuple[int, int], list[int]] = {}
            for index, shape in shapes.items():
                by_shape.setdefault((min(shape[1:]), max(shape[1:])), []).append(index)
            groups = list(by_shape.values())
        self.batches = [
            _Batch(parameters, {index: shapes[index] for index in group}) for group in groups
        ]

    def step(self, update: Tensor, lr: Tensor) -> None:
        """Update the hidden weights in place.

        Args:
            update: of all parameters, before it is orthogonalised, as one vector.
            lr: as one vector.
        """
        for batch in self.batches:
            batch.step(self.parameters.flat, update, lr)

    @property
    def has_kernel(self) -> bool:
        """Whether `update_by_kernel` can compute these matrices, on a GPU."""
        return all(
            batch.rows <= matrix_kernels.MAX_ROWS
            and batch.columns <= matrix_kernels.MAX_COLUMNS
            and batch.largest <= MAX_WEIGHT
            for batch in self.batches
        )

    def update_by_kernel(self, before: Tensor, update: Tensor, lr: Tensor) -> None:
        """Update the hidden weights in place, by a kernel.

        Args:
            before: all parameters before the update, as one vector.
            update: as of `step`.
            lr: (N,).
        """
        for batch in self.batches:
            update_kernels.update_matrices(
                self.parameters.flat, before, update, batch.table, batch.scales, batch.norms, lr,
                batch.rows, batch.columns, batch.largest,
            )  # fmt: skip

    def load_norm(self, n: int, part: int, norm: Tensor) -> None:
        """Set the norm that network n's weights of a part keep; of other parts it is unused."""
        for batch in self.batches:
            if part in batch.first_weight:
                batch.norms[batch.first_weight[part] + n] = norm

    def norm(self, n: int, part: int, weights: Tensor) -> Tensor:
        """Return the norm that network n's weights of a part keep; of other parts their own."""
        for batch in self.batches:
            if part in batch.first_weight:
                return batch.norms[batch.first_weight[part] + n].clone()
        return weights.detach().norm()


class _Batch:
    """Hidden weights whose matrices are padded to one size.

    Args:
        parameters: of the stack.
        shapes: of some parts, by index: number of matrices in all networks, rows, columns.
    """

    def __init__(self, parameters: FlatTensors, shapes: dict[int, tuple[int, int, int]]):
        count, device = parameters.count, parameters.device
        total = len(parameters.flat)
        rows = max(min(shape[1:]) for shape in shapes.values())
        columns = max(max(shape[1:]) for shape in shapes.values())
        most = max(shape[0] for shape in shapes.values()) // count  # matrices per weight
        self.rows, self.columns = rows, columns
        self.largest = max(
            shape[1:].numel() for shape in map(parameters.shapes.__getitem__, shapes)
        )
        """Values of the largest weight of one network."""
        positions = parameters.views(torch.arange(total, device=device))

        places, owners, scales, table, self.first_weight = [], [], [], [], {}
        first_matrix = first_weight = 0
        for index, shape in shapes.items():
            part = positions[index].reshape(shape)
            part = part if shape[1] <= shape[2] else part.mT
            padded = torch.full((shape[0], rows, columns), total, device=device)
            padded[:, : part.shape[1], : part.shape[2]] = part
            places.append(padded)
            each = shape[0] // count
            numbers = torch.arange(shape[0], device=device)
            owners.append(first_weight + numbers // each)
            # A semi-orthogonal (R, C) matrix has the norm sqrt(min(R, C)).
            scales.append(torch.full((count,), (min(shape[1:]) * each) ** -0.5, device=device))
            size, start = shape[1] * shape[2], sum(parameters.sizes[:index])
            # Matrices with more rows than columns are transposed.
            steps = (shape[2], 1) if shape[1] <= shape[2] else (1, shape[2])
            for matrix in range(shape[0]):
                network = matrix // each
                first = start + network * each * size
                own = (start + matrix * size, min(shape[1:]), max(shape[1:]), *steps)
                table.append((*own, first, each * size, first_weight + network, network))
            self.first_weight[index] = first_weight
            first_matrix, first_weight = first_matrix + shape[0], first_weight + count
        self.table = torch.tensor(table, device=device)
        """(M, 9): where `update_kernels.update_matrices` finds each matrix."""
        self.places = torch.cat(places)
        """(M, R, C): where each entry is in the vector of all parameters; its length: padding."""
        self.weight_of = torch.cat(owners)
        """(M,): the weight that each matrix is a part of, one weight for each part and network."""
        self.scales = torch.cat(scales) * UPDATE_SIZE
        """(W,): norm of an update at a learning rate of 1, over the orthogonal matrices' norm."""
        matrices_of = torch.full((first_weight, most), first_matrix)
        filled = [0] * first_weight
        for matrix, weight in enumerate(self.weight_of.tolist()):
            matrices_of[weight, filled[weight]] = matrix
            filled[weight] += 1
        self.matrices_of = matrices_of.to(device)
        """(W, most): the matrices of each weight; M: none."""
        inside = self.places.flatten() < total
        self.targets = self.places.flatten()[inside]
        self.sources = inside.nonzero().squeeze(1)
        self.first_places = self.places[self.matrices_of[:, 0], 0, 0]
        """(W,): where each weight's first value is, for its learning rate."""
        self.norms = self._norms(self._gather(parameters.flat))

    def _gather(self, flat: Tensor) -> Tensor:
        return torch.cat([flat, flat.new_zeros(1)])[self.places]  # (M, R, C)

    def _norms(self, matrices: Tensor) -> Tensor:
        squares = matrices.square().sum((1, 2))  # (M,)
        return torch.cat([squares, squares.new_zeros(1)])[self.matrices_of].sum(1).sqrt()  # (W,)

    def step(self, flat: Tensor, update: Tensor, lr: Tensor) -> None:
        weights = self._gather(flat)
        rescale = self.norms / self._norms(weights).clamp_min(1e-12)
        size = lr[self.first_places] * self.norms * self.scales
        update = self._gather(update)
        if matrix_kernels.can_orthogonalise(update):
            orthogonal = matrix_kernels.orthogonalise(update)
        else:
            orthogonal = orthogonalise(update)
        weights = (
            weights * rescale[self.weight_of, None, None]
            - orthogonal * size[self.weight_of, None, None]
        )
        flat.index_copy_(0, self.targets, weights.flatten()[self.sources])


def _count_matrices(network: StackedNetwork) -> dict[int, int]:
    """Return the matrices per weight, by index of its part, as `muon.muon_groups` chooses them."""
    index_of = {id(parameter): index for index, parameter in enumerate(network.parameters())}
    layers: list[nn.Module] = [
        module for module in network.modules() if isinstance(module, StackedConv2d | StackedLinear)
    ]
    return {
        index_of[id(layer.weight)]: layer.groups_each if isinstance(layer, StackedConv2d) else 1
        for layer in layers[:-1]
    }
