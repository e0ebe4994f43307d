# mypy: allow-untyped-defs
"""A Triton kernel for Newton-Schulz iterations of many small matrices, one program for each.

As batched matrix products, the iterations are some twenty kernels that each do very little.
"""

from __future__ import annotations

from torch import Tensor

from core.models.stacked import conv_kernels

try:
    import triton
    import triton.language as tl
except ImportError:  # there is none for this system
    triton = None

MAX_ROWS, MAX_COLUMNS = 16, 256  # that fit into a program's registers
WARPS = 4  # of a program
MIN_SIDE = 16  # of the tiles that Triton multiplies


def can_orthogonalise(matrices: Tensor) -> bool:
    """Return whether the kernel computes matrices (B, R, C) of this size and device."""
    rows, columns = matrices.shape[1:]
    return (
        conv_kernels.are_used_on(matrices.device)
        and rows <= min(columns, MAX_ROWS)
        and columns <= MAX_COLUMNS
    )


def orthogonalise(matrices: Tensor) -> Tensor:
    """Return what `core.training.muon.orthogonalise` returns.

    Args:
        matrices: (B, R, C) float32, with R at most C; `can_orthogonalise` holds for it.
    """
    matrices = matrices.contiguous()
    out = matrices.new_empty(matrices.shape)
    rows, columns = matrices.shape[1:]
    _orthogonalise_kernel[(len(matrices),)](
        matrices, out, rows, columns,
        ROWS=max(MIN_SIDE, triton.next_power_of_2(rows)),
        COLUMNS=max(MIN_SIDE, triton.next_power_of_2(columns)), num_warps=WARPS,
    )  # fmt: skip
    return out


if triton is not None:

    @triton.jit
    def _orthogonalise_kernel(
        matrices, out, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr
    ):
        row, column = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
        place = tl.program_id(0) * rows * columns + row[:, None] * columns + column[None, :]
        is_entry = (row < rows)[:, None] & (column < columns)[None, :]
        x = tl.load(matrices + place, is_entry, 0.0)
        x = x / (tl.sqrt(tl.sum(tl.sum(x * x, 1), 0)) + 1e-7)
        for _ in range(5):
            square = tl.dot(x, tl.trans(x), input_precision="ieee")
            fourth = tl.dot(square, square, input_precision="ieee")
            polynomial = 2.0315 * fourth - 4.7750 * square
            x = 3.4445 * x + tl.dot(polynomial, x, input_precision="ieee")
        tl.store(out + place, x, is_entry)
