# mypy: allow-untyped-defs
"""Triton kernels for max pooling over 2x2 squares, without the indices that torch's stores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # there is none for this system
    triton = None

SQUARES = 1_024  # per program


def max_pool2x2(x: Tensor) -> Tensor:
    """Return the maximum of each 2x2 square of the images (B, C, H, W) float32.

    As with torch's, the first maximum of a square gets the gradient, and a last row or column
    without a partner is left out.
    """
    return _MaxPool.apply(x.contiguous())


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        out = x.new_empty(batch, channels, height // 2, width // 2)
        grid = (triton.cdiv(out.numel(), SQUARES),)
        _pool_kernel[grid](
            x, out, out.numel(), height, width, height // 2, width // 2, SQUARES=SQUARES
        )
        ctx.save_for_backward(x)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        height, width = x.shape[2:]
        is_whole = height % 2 == width % 2 == 0
        grad_x = torch.empty_like(x) if is_whole else torch.zeros_like(x)
        grid = (triton.cdiv(grad.numel(), SQUARES),)
        _pool_gradient_kernel[grid](
            x, grad.contiguous(), grad_x, grad.numel(), height, width, height // 2, width // 2,
            SQUARES=SQUARES,
        )  # fmt: skip
        return grad_x


if triton is not None:

    @triton.jit
    def _pool_kernel(x, out, total, height, width, rows, columns, SQUARES: tl.constexpr):
        square = tl.program_id(0) * SQUARES + tl.arange(0, SQUARES)
        is_square = square < total
        row, column = square // columns, square % columns  # the row over all planes
        x += (row // rows) * height * width + (row % rows) * 2 * width + column * 2
        first, second = tl.load(x, is_square, 0.0), tl.load(x + 1, is_square, 0.0)
        third, fourth = tl.load(x + width, is_square, 0.0), tl.load(x + width + 1, is_square, 0.0)
        # Not tl.maximum, which loses NaN.
        upper = tl.where((second > first) | (second != second), second, first)
        lower = tl.where((fourth > third) | (fourth != fourth), fourth, third)
        largest = tl.where((lower > upper) | (lower != lower), lower, upper)
        tl.store(out + square, largest, is_square)

    @triton.jit
    def _pool_gradient_kernel(
        x, grad, grad_x, total, height, width, rows, columns, SQUARES: tl.constexpr
    ):  # fmt: skip
        square = tl.program_id(0) * SQUARES + tl.arange(0, SQUARES)
        is_square = square < total
        row, column = square // columns, square % columns
        corner = (row // rows) * height * width + (row % rows) * 2 * width + column * 2
        x += corner
        grad_x += corner
        first, second = tl.load(x, is_square, 0.0), tl.load(x + 1, is_square, 0.0)
        third, fourth = tl.load(x + width, is_square, 0.0), tl.load(x + width + 1, is_square, 0.0)
        gradient = tl.load(grad + square, is_square, 0.0)
        is_second = second > first
        is_fourth = fourth > third
        is_lower = tl.where(is_fourth, fourth, third) > tl.where(is_second, second, first)
        tl.store(grad_x, tl.where(is_lower | is_second, 0.0, gradient), is_square)
        tl.store(grad_x + 1, tl.where(is_second & (is_lower == 0), gradient, 0.0), is_square)
        tl.store(grad_x + width, tl.where(is_lower & (is_fourth == 0), gradient, 0.0), is_square)
        tl.store(grad_x + width + 1, tl.where(is_lower & is_fourth, gradient, 0.0), is_square)
