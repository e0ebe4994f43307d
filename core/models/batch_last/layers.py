"""Layers that also take images whose batch lies last in memory, and then compute with loops of our own.

The memory layout decides, as torch's channels_last does: a tensor keeps its shape (N, C, H, W), and one with the
strides of (C, H, W, N) goes through `kernels`. Everything else, and whatever those loops do not know, goes through
torch. So a network is the same in any layout, and so are its weights.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@functools.cache
def available() -> bool:
    """Whether the loops can be compiled here."""
    try:
        from core.models.batch_last import kernels  # noqa: F401
    except (
        ImportError,
        RuntimeError,
    ):  # numba is not there, or finds no folder to keep what it compiles
        return False
    return True


def lay(images: Tensor) -> Tensor:
    """The same images with the batch last in memory.

    Args:
        images: (N, C, H, W).
    """
    return images.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)


def lies(x: Tensor) -> bool:
    """Whether a tensor is a batch of float32 images on the CPU with the batch last."""
    if x.dim() != 4 or x.stride(0) != 1 or x.dtype != torch.float32 or not x.is_cpu:
        return False
    count, _, height, width = x.shape
    return count > 1 and x.stride() == (1, height * width * count, width * count, count)


class Conv2d(nn.Conv2d):
    """torch's, and with the batch last our own for 3x3 at stride 1 (all channels or each) and for 1x1."""

    def __init__(self, *arguments: Any, **more: Any):
        super().__init__(*arguments, **more)
        self.each = 1 < self.groups == self.in_channels == self.out_channels
        """Whether every channel is looked at by itself."""
        self.sides: Any = self.padding
        """Zeros above and below, and left and right."""
        padding = max(self.sides) if type(self.sides) is tuple else 3
        known = self.stride == (1, 1) and (self.groups == 1 or self.each)
        self.own = known and (
            (self.kernel_size == (3, 3) and padding <= 2)
            or (self.kernel_size == (1, 1) and padding == 0 and not self.each)
        )
        """Whether our loops know it."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, H', W')."""
        if not lies(x):
            return super().forward(x)
        return (
            _Convolution.apply(x, self.weight, self.bias, self)
            if self.own
            else lay(super().forward(x.contiguous()))
        )


class BatchNorm2d(nn.BatchNorm2d):
    """torch's with the ReLU behind it, and with the batch last our own of both.

    Args:
        channels: C.
        relu: whether a ReLU follows.
    """

    def __init__(self, channels: int, relu: bool = False):
        super().__init__(channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not lies(x):
            out = super().forward(x)
        elif self.training:
            return _Normed.apply(x, None, None, self.weight, self.bias, None, self)
        else:
            mean: Any = self.running_mean
            variance: Any = self.running_var
            scale = self.weight * (variance + self.eps).rsqrt()
            out = torch.addcmul((self.bias - mean * scale)[:, None, None], x, scale[:, None, None])
        return torch.relu_(out) if self.relu else out


class MaxPool2d(nn.MaxPool2d):
    """torch's, and with the batch last our own for 2x2 squares."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        if not lies(x):
            return super().forward(x)
        if self.kernel_size == self.stride == 2 and min(x.shape[2:]) > 1:
            return _MaxPool.apply(x)
        return lay(super().forward(x.contiguous()))


class AvgPool2d(nn.AvgPool2d):
    """torch's, in either layout."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return lay(super().forward(x.contiguous())) if lies(x) else super().forward(x)


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """torch's average over all pixels, in either layout."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 1, 1)."""
        return (
            x.permute(1, 2, 3, 0).mean((1, 2), keepdim=True).permute(3, 0, 1, 2)
            if lies(x)
            else super().forward(x)
        )


class PixelUnshuffle(nn.PixelUnshuffle):
    """torch's, in either layout."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * B * B, H / B, W / B)."""
        if not lies(x):
            return super().forward(x)
        count, channels, height, width = x.shape
        b = self.downscale_factor
        blocks = (
            x.permute(1, 2, 3, 0)
            .view(channels, height // b, b, width // b, b, count)
            .permute(0, 2, 4, 1, 3, 5)
        )
        return blocks.reshape(channels * b * b, height // b, width // b, count).permute(3, 0, 1, 2)


def normed(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """`norm(conv(x))`, with the batch last in one go.

    What comes before a norm may lack the convolution's bias, which the norm takes away again: the bias is left out, but
    for the running mean, and its gradient is nought, where torch finds one by rounding.
    """
    if (
        type(conv) is Conv2d
        and type(norm) is BatchNorm2d
        and conv.own
        and norm.training
        and lies(x)
    ):
        return _Normed.apply(x, conv.weight, conv.bias, norm.weight, norm.bias, conv, norm)
    return norm(conv(x))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, conv: Conv2d) -> Tensor:
        out = _empty(*_output_shape(x, conv))
        ctx.conv, ctx.shape, ctx.values, ctx.taps = conv, x.shape, _lines(x), _taps(weight, conv)
        _convolve(
            ctx.values,
            ctx.taps,
            None if bias is None else _numbers(bias),
            conv,
            len(x),
            _lines(out),
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        given = _lines(_laid(gradient))
        of_bias = torch.from_numpy(given.sum((1, 2))) if ctx.needs_input_grad[2] else None
        return *_pull(ctx, given), of_bias, None


class _Normed(torch.autograd.Function):
    """Batch norm, after a convolution or by itself."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        shift: Tensor | None,
        scale: Tensor,
        bias: Tensor,
        conv: Conv2d | None,
        norm: BatchNorm2d,
    ) -> Tensor:
        from core.models.batch_last import kernels

        before = ctx.values = _lines(x)
        out = _empty(*(x.shape if conv is None else _output_shape(x, conv)))
        after = _lines(out)
        if conv is not None:
            before, ctx.taps = np.empty_like(after), _taps(weight, conv)
            _convolve(ctx.values, ctx.taps, None, conv, len(x), before)
        channels = len(after)
        mean, spread, nought = np.zeros((3, channels), np.float32)
        ctx.norm = (
            before.reshape(channels, -1),
            _numbers(scale),
            _numbers(bias),
            mean,
            spread,
            np.float32(0) if norm.relu else kernels.LOWEST,
        )
        kernels.norm(
            *ctx.norm[:3],
            nought if shift is None else _numbers(shift),
            _numbers(norm.running_mean),
            _numbers(norm.running_var),
            np.float32(norm.momentum),
            np.float32(norm.eps),
            ctx.norm[-1],
            after.reshape(channels, -1),
            mean,
            spread,
        )
        norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        ctx.conv, ctx.shape = conv, x.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from core.models.batch_last import kernels

        given, channels = _lines(_laid(gradient)), len(ctx.norm[1])
        of_scale, of_bias = torch.empty(2, channels).unbind()
        of_x = _empty(*ctx.shape) if ctx.conv is None else None
        before = np.empty_like(given) if of_x is None else _lines(of_x)
        kernels.norm_gradient(
            ctx.norm[0],
            given.reshape(channels, -1),
            *ctx.norm[1:],
            before.reshape(channels, -1),
            of_scale.numpy(),
            of_bias.numpy(),
        )
        if of_x is not None:
            return of_x, None, None, of_scale, of_bias, None, None
        of_shift = torch.zeros(channels) if ctx.needs_input_grad[2] else None
        return *_pull(ctx, before), of_shift, of_scale, of_bias, None, None


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        from core.models.batch_last import kernels

        count, channels, height, width = ctx.shape = x.shape
        ctx.values = _lines(x)
        out = _empty(count, channels, height // 2, width // 2)
        kernels.pool(ctx.values, count, _lines(out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        from core.models.batch_last import kernels

        of_x = _empty(*ctx.shape)
        kernels.pool_gradient(ctx.values, _lines(_laid(gradient)), len(gradient), _lines(of_x))
        return of_x


def _convolve(
    x: np.ndarray,
    taps: np.ndarray,
    bias: np.ndarray | None,
    conv: Conv2d,
    count: int,
    out: np.ndarray,
) -> None:
    """A convolution of (I, H, W * N), written to (O, H', W' * N)."""
    from core.models.batch_last import kernels

    if conv.kernel_size == (1, 1):
        _multiply(taps, x.reshape(len(x), -1), out.reshape(len(out), -1))  # (O, I) @ (I, H * W * N)
        if bias is not None:
            out += bias[:, None, None]
        return
    (kernels.convolve_each if conv.each else kernels.convolve)(
        x, taps, np.zeros(len(out), np.float32) if bias is None else bias, *conv.sides, count, out
    )


def _pull(ctx: Any, gradient: np.ndarray) -> tuple[Tensor | None, Tensor]:
    """How the loss changes with a convolution's input (where that is wanted) and with its weights.

    Args:
        ctx: its `conv`, its input's `shape` and `values` (I, H, W * N), and its `taps`.
        gradient: (O, H', W' * N), how the loss changes with its output.
    """
    from core.models.batch_last import kernels

    conv, x, taps, count = ctx.conv, ctx.values, ctx.taps, ctx.shape[0]
    of_x = _empty(*ctx.shape) if ctx.needs_input_grad[0] else None
    of_weight = torch.empty(len(gradient), conv.in_channels // conv.groups, *conv.kernel_size)
    if conv.kernel_size == (1, 1):
        given = gradient.reshape(len(gradient), -1)
        _multiply(given, x.reshape(len(x), -1).T, _taps(of_weight, conv))
        if of_x is not None:
            _multiply(taps.T, given, _lines(of_x).reshape(len(x), -1))
        return of_x, of_weight
    top, left = conv.sides
    (kernels.convolve_each_gradient if conv.each else kernels.convolve_gradient)(
        x, gradient, top, left, count, _taps(of_weight, conv)
    )
    if of_x is not None:
        turned = np.ascontiguousarray(
            taps[:, ::-1] if conv.each else taps[:, :, ::-1].transpose(1, 0, 2)
        )
        (kernels.convolve_each if conv.each else kernels.convolve)(
            gradient, turned, np.zeros(len(x), np.float32), 2 - top, 2 - left, count, _lines(of_x)
        )
    return of_x, of_weight


def _multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Write the matrix product, by torch, which knows how many threads it may use."""
    torch.mm(torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))


def _output_shape(x: Tensor, conv: Conv2d) -> tuple[int, int, int, int]:
    (top, left), (high, wide) = conv.sides, conv.kernel_size
    return (
        len(x),
        conv.out_channels,
        x.shape[2] + 2 * top - high + 1,
        x.shape[3] + 2 * left - wide + 1,
    )


def _empty(count: int, channels: int, height: int, width: int) -> Tensor:
    """Room for (N, C, H, W) with the batch last."""
    return torch.empty_strided(
        (count, channels, height, width), (1, height * width * count, width * count, count)
    )


def _laid(gradient: Tensor) -> Tensor:
    return gradient if lies(gradient) else lay(gradient.float())


def _numbers(x: Any) -> np.ndarray:
    """The same memory as numba takes it; torch records nothing of it."""
    return x.detach().numpy()


def _lines(x: Tensor) -> np.ndarray:
    """(N, C, H, W) with the batch last -> (C, H, W * N), as it lies."""
    count, channels, height, width = x.shape
    return _numbers(x).transpose(1, 2, 3, 0).reshape(channels, height, width * count)


def _taps(weight: Any, conv: Conv2d) -> np.ndarray:
    """(O, I, 3, 3) -> (O, I, 9), of a convolution of each channel (C, 9), of a mix of channels (O, I)."""
    numbers = _numbers(weight)
    if conv.kernel_size == (1, 1):
        return numbers.reshape(numbers.shape[:2])
    return numbers.reshape(-1, 9) if conv.each else numbers.reshape(*numbers.shape[:2], 9)
