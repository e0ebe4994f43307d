"""Convolution, batch norm and max pooling of batch-last tensors, with their gradients.

Weights and gradients have torch's shapes; x and outputs are batch-last (N, C, H, W) float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.models.batch_last.layout import as_array, as_lines, empty, ensure_batch_last

if TYPE_CHECKING:
    from core.models.batch_last.layers import BatchNorm2d, Conv2d


class Convolution(torch.autograd.Function):
    """A convolution whose `Conv2d.is_compiled` is true."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, conv: Conv2d) -> Tensor:
        """(N, I, H, W) -> (N, O, H', W')."""
        out = empty(*_output_shape(x, conv))
        ctx.conv, ctx.shape = conv, x.shape
        ctx.lines, ctx.taps = as_lines(x), _as_taps(weight, conv)
        bias_array = None if bias is None else as_array(bias)
        _convolve(ctx.lines, ctx.taps, bias_array, conv, len(x), as_lines(out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias."""
        lines = as_lines(ensure_batch_last(gradient))
        bias_gradient = torch.from_numpy(lines.sum((1, 2))) if ctx.needs_input_grad[2] else None
        return *_convolution_gradients(ctx, lines), bias_gradient, None


class BatchNorm(torch.autograd.Function):
    """Batch norm by the batch's statistics, with an optional convolution before it and ReLU after.

    The convolution's bias is not added, since batch norm subtracts it again; only the running mean
    needs it. Its gradient is exactly 0, where torch's is a rounding error.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        conv_bias: Tensor | None,
        scale: Tensor,
        offset: Tensor,
        conv: Conv2d | None,
        norm: BatchNorm2d,
    ) -> Tensor:
        """(N, I, H, W) -> (N, C, H', W'), of the same size as x without a convolution.

        Args:
            weight, conv_bias: of the convolution; None without one.
            scale, offset: (C,), the learned parameters of the norm.
        """
        from core.models.batch_last import norm_pool_kernels

        before = ctx.lines = as_lines(x)
        out = empty(*(x.shape if conv is None else _output_shape(x, conv)))
        after = as_lines(out)
        if conv is not None:
            before, ctx.taps = np.empty_like(after), _as_taps(weight, conv)
            _convolve(ctx.lines, ctx.taps, None, conv, len(x), before)
        channels = len(after)
        mean, inverse_deviation, no_shift = np.zeros((3, channels), np.float32)
        ctx.norm = (
            before.reshape(channels, -1),
            as_array(scale),
            as_array(offset),
            mean,
            inverse_deviation,
            np.float32(0) if norm.relu else norm_pool_kernels.LOWEST,
        )
        norm_pool_kernels.batch_norm(
            *ctx.norm[:3],
            no_shift if conv_bias is None else as_array(conv_bias),
            as_array(norm.running_mean),
            as_array(norm.running_var),
            np.float32(norm.momentum),
            np.float32(norm.eps),
            ctx.norm[-1],
            after.reshape(channels, -1),
            mean,
            inverse_deviation,
        )
        norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        ctx.conv, ctx.shape = conv, x.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight, conv_bias, scale and offset."""
        from core.models.batch_last import norm_pool_kernels

        lines, channels = as_lines(ensure_batch_last(gradient)), len(ctx.norm[1])
        scale_gradient, offset_gradient = torch.empty(2, channels).unbind()
        x_gradient = empty(*ctx.shape) if ctx.conv is None else None
        before = np.empty_like(lines) if x_gradient is None else as_lines(x_gradient)
        norm_pool_kernels.batch_norm_gradient(
            ctx.norm[0],
            lines.reshape(channels, -1),
            *ctx.norm[1:],
            before.reshape(channels, -1),
            scale_gradient.numpy(),
            offset_gradient.numpy(),
        )
        if x_gradient is not None:
            return x_gradient, None, None, scale_gradient, offset_gradient, None, None
        bias_gradient = torch.zeros(channels) if ctx.needs_input_grad[2] else None
        gradients = _convolution_gradients(ctx, before)
        return *gradients, bias_gradient, scale_gradient, offset_gradient, None, None


class MaxPool(torch.autograd.Function):
    """Max pooling of 2x2 squares with stride 2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H // 2, W // 2)."""
        from core.models.batch_last import norm_pool_kernels

        count, channels, height, width = ctx.shape = x.shape
        ctx.lines = as_lines(x)
        out = empty(count, channels, height // 2, width // 2)
        norm_pool_kernels.max_pool2x2(ctx.lines, count, as_lines(out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Gradient of x."""
        from core.models.batch_last import norm_pool_kernels

        x_gradient = empty(*ctx.shape)
        lines = as_lines(ensure_batch_last(gradient))
        norm_pool_kernels.max_pool2x2_gradient(
            ctx.lines, lines, len(gradient), as_lines(x_gradient)
        )
        return x_gradient


def _convolve(
    x: np.ndarray,
    taps: np.ndarray,
    bias: np.ndarray | None,
    conv: Conv2d,
    count: int,
    out: np.ndarray,
) -> None:
    """Convolve lines (I, H, W * N) into lines (O, H', W' * N)."""
    from core.models.batch_last import conv_kernels

    if conv.kernel_size == (1, 1):  # (O, I) @ (I, H * W * N)
        _matmul(taps, x.reshape(len(x), -1), out.reshape(len(out), -1))
        if bias is not None:
            out += bias[:, None, None]
        return
    kernel = conv_kernels.depthwise_conv3x3 if conv.is_depthwise else conv_kernels.conv3x3
    kernel(
        x, taps, np.zeros(len(out), np.float32) if bias is None else bias, *conv.pads, count, out
    )


def _convolution_gradients(ctx: Any, gradient: np.ndarray) -> tuple[Tensor | None, Tensor]:
    """Gradients of the loss with respect to a convolution's input, if needed, and its weights.

    Args:
        ctx: holds `conv`, the input's `shape` and `lines` (I, H, W * N), and the `taps`.
        gradient: (O, H', W' * N), gradient of the output.
    """
    from core.models.batch_last import conv_kernels

    conv, x, taps, count = ctx.conv, ctx.lines, ctx.taps, ctx.shape[0]
    x_gradient = empty(*ctx.shape) if ctx.needs_input_grad[0] else None
    weight_gradient = torch.empty(len(gradient), conv.in_channels // conv.groups, *conv.kernel_size)
    if conv.kernel_size == (1, 1):
        flat = gradient.reshape(len(gradient), -1)
        _matmul(flat, x.reshape(len(x), -1).T, _as_taps(weight_gradient, conv))
        if x_gradient is not None:
            _matmul(taps.T, flat, as_lines(x_gradient).reshape(len(x), -1))
        return x_gradient, weight_gradient

    top, left = conv.pads
    if conv.is_depthwise:
        convolve = conv_kernels.depthwise_conv3x3
        weight_kernel = conv_kernels.depthwise_conv3x3_weight_gradient
        flipped = taps[:, ::-1]
    else:
        convolve, weight_kernel = conv_kernels.conv3x3, conv_kernels.conv3x3_weight_gradient
        flipped = taps[:, :, ::-1].transpose(1, 0, 2)
    weight_kernel(x, gradient, top, left, count, _as_taps(weight_gradient, conv))
    if x_gradient is not None:  # the convolution of the gradient with the flipped filters
        flipped, no_bias = np.ascontiguousarray(flipped), np.zeros(len(x), np.float32)
        convolve(gradient, flipped, no_bias, 2 - top, 2 - left, count, as_lines(x_gradient))
    return x_gradient, weight_gradient


def _matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Write the matrix product, by torch, which respects the run's number of threads."""
    torch.mm(torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))


def _output_shape(x: Tensor, conv: Conv2d) -> tuple[int, int, int, int]:
    (top, left), (kernel_height, kernel_width) = conv.pads, conv.kernel_size
    height = x.shape[2] + 2 * top - kernel_height + 1
    return len(x), conv.out_channels, height, x.shape[3] + 2 * left - kernel_width + 1


def _as_taps(weight: Any, conv: Conv2d) -> np.ndarray:
    """View weights (O, I, 3, 3) as (O, I, 9), depthwise ones as (C, 9), and 1x1 ones as (O, I)."""
    array = as_array(weight)
    if conv.kernel_size == (1, 1):
        return array.reshape(array.shape[:2])
    return array.reshape(-1, 9) if conv.is_depthwise else array.reshape(*array.shape[:2], 9)
