# mypy: allow-untyped-defs
"""Triton kernels for the update of stacked networks by SGD or Muon, and for moving averages.

One kernel updates all parameters, another the matrices that Muon orthogonalises.
"""

from __future__ import annotations

from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # there is none for this system
    triton = None

VALUES = 1_024  # per program
MIN_SIDE = 16  # of the tiles that Triton multiplies
WARPS = 8  # of a program that orthogonalises


def update_average(average: Tensor, values: Tensor, owner: Tensor, weight: Tensor) -> None:
    """Move an average towards the present values.

    Args:
        average: (P,), changed in place.
        values: (P,).
        owner: (P,) int64, the network of each value.
        weight: (N,), of the present values.
    """
    total = len(values)
    grid = (triton.cdiv(total, VALUES),)
    _average_kernel[grid](average, values, owner, weight, total, VALUES=VALUES)


def update_plainly(
    parameters: Tensor,
    gradient: Tensor,
    momentum_buffer: Tensor | None,
    weight_decay: Tensor | None,
    is_plain: Tensor,
    owner: Tensor,
    lr: Tensor,
    momentum: Tensor,
    nesterov: bool,
    kept: tuple[Tensor, Tensor] | None,
) -> None:
    """Update by SGD the parameters that Muon does not orthogonalise.

    Args:
        parameters, gradient: (P,); the parameters are changed in place.
        momentum_buffer: (P,), changed in place; None: no momentum.
        weight_decay: (P,); None: none.
        is_plain: (P,), 1 for the parameters to update, else 0.
        owner: (P,) int64, the network of each parameter.
        lr, momentum: (N,).
        nesterov: kind of momentum.
        kept: two vectors (P,) that receive the parameters before the update, and the update of all
            parameters at a learning rate of 1; None: not wanted.
    """
    total = len(parameters)
    before, update = kept or (parameters, parameters)
    _update_kernel[(triton.cdiv(total, VALUES),)](
        parameters, gradient, parameters if momentum_buffer is None else momentum_buffer,
        parameters if weight_decay is None else weight_decay, is_plain, owner, lr, momentum,
        before, update, total, HAS_MOMENTUM=momentum_buffer is not None,
        HAS_DECAY=weight_decay is not None, NESTEROV=nesterov, IS_KEPT=kept is not None,
        VALUES=VALUES,
    )  # fmt: skip


def update_matrices(
    parameters: Tensor,
    before: Tensor,
    update: Tensor,
    table: Tensor,
    scales: Tensor,
    norms: Tensor,
    lr: Tensor,
    rows: int,
    columns: int,
    largest: int,
) -> None:
    """Update matrices by semi-orthogonal ones, and keep the norm of each weight.

    Args:
        parameters: (P,), changed in place.
        before, update: as `update_plainly` fills `kept`.
        table: (M, 9) int64, of each matrix: its first place, rows and columns, with at most as many
            rows as columns, the distances between them, the first place and size of the weight that
            it is a part of, the weight's number, and its network.
        scales, norms: (W,) of each weight: the norm of an update at a learning rate of 1 over that
            of the orthogonal matrices, and the norm to keep.
        lr: (N,).
        rows, columns: of the largest matrix.
        largest: number of values of the largest weight.
    """
    _matrix_kernel[(len(table),)](
        parameters, before, update, table, scales, norms, lr,
        ROWS=max(MIN_SIDE, triton.next_power_of_2(rows)),
        COLUMNS=max(MIN_SIDE, triton.next_power_of_2(columns)),
        LARGEST=triton.next_power_of_2(largest), num_warps=WARPS,
    )  # fmt: skip


if triton is not None:

    @triton.jit
    def _average_kernel(average, values, owner, weight, total, VALUES: tl.constexpr):
        place = tl.program_id(0) * VALUES + tl.arange(0, VALUES)
        is_value = place < total
        share = tl.load(weight + tl.load(owner + place, is_value, 0), is_value, 0.0)
        old = tl.load(average + place, is_value, 0.0)
        new = old + share * (tl.load(values + place, is_value, 0.0) - old)
        tl.store(average + place, new, is_value)

    @triton.jit
    def _update_kernel(
        parameters, gradient, momentum_buffer, weight_decay, is_plain, owner, lr, momentum,
        before, update, total,
        HAS_MOMENTUM: tl.constexpr, HAS_DECAY: tl.constexpr, NESTEROV: tl.constexpr,
        IS_KEPT: tl.constexpr, VALUES: tl.constexpr,
    ):  # fmt: skip
        place = tl.program_id(0) * VALUES + tl.arange(0, VALUES)
        is_value = place < total
        network = tl.load(owner + place, is_value, 0)
        old = tl.load(parameters + place, is_value, 0.0)
        change = tl.load(gradient + place, is_value, 0.0)
        if HAS_DECAY:
            change += tl.load(weight_decay + place, is_value, 0.0) * old
        if HAS_MOMENTUM:
            factor = tl.load(momentum + network, is_value, 0.0)
            buffer = tl.load(momentum_buffer + place, is_value, 0.0) * factor + change
            tl.store(momentum_buffer + place, buffer, is_value)
            change = change + factor * buffer if NESTEROV else buffer
        rate = tl.load(lr + network, is_value, 0.0) * tl.load(is_plain + place, is_value, 0.0)
        tl.store(parameters + place, old - rate * change, is_value)
        if IS_KEPT:
            tl.store(before + place, old, is_value)
            tl.store(update + place, change, is_value)

    @triton.jit
    def _matrix_kernel(
        parameters, before, update, table, scales, norms, lr,
        ROWS: tl.constexpr, COLUMNS: tl.constexpr, LARGEST: tl.constexpr,
    ):  # fmt: skip
        table += tl.program_id(0) * 9
        rows, columns = tl.load(table + 1), tl.load(table + 2)
        first, size, weight = tl.load(table + 5), tl.load(table + 6), tl.load(table + 7)
        number = tl.arange(0, LARGEST)
        values = tl.load(before + first + number, number < size, 0.0)
        norm = tl.load(norms + weight)
        rescale = norm / tl.maximum(tl.sqrt(tl.sum(values * values, 0)), 1e-12)
        step = tl.load(lr + tl.load(table + 8)) * norm * tl.load(scales + weight)
        row, column = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
        place = row[:, None] * tl.load(table + 3) + column[None, :] * tl.load(table + 4)
        place += tl.load(table)
        is_entry = (row < rows)[:, None] & (column < columns)[None, :]
        x = tl.load(update + place, is_entry, 0.0)
        x = x / (tl.sqrt(tl.sum(tl.sum(x * x, 1), 0)) + 1e-7)
        for _ in range(5):  # as `core.models.stacked.matrix_kernels`
            square = tl.dot(x, tl.trans(x), input_precision="ieee")
            fourth = tl.dot(square, square, input_precision="ieee")
            polynomial = 2.0315 * fourth - 4.7750 * square
            x = 3.4445 * x + tl.dot(polynomial, x, input_precision="ieee")
        old = tl.load(before + place, is_entry, 0.0)
        tl.store(parameters + place, old * rescale - step * x, is_entry)
