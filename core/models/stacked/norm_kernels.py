# mypy: allow-untyped-defs
"""Triton kernels for the batch norms of stacked networks on a GPU, with the ReLU that follows.

Each channel is shared by several programs: one kernel sums, another sums the sums and computes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.models.stacked.conv_kernels import Moments

try:
    import triton
    import triton.language as tl
except ImportError:  # there is none for this system
    triton = None

NORM_VALUES = 2_048  # per iteration of a program
NORM_PROGRAMS = 1_024  # that share the work
MIN_PARTS = 128  # that a program can add up
# Arguments that an epoch's last batch changes; it would otherwise have kernels of its own.
SIZES = ("batch", "steps", "parts", "summed")


def batch_norm(
    x: Tensor,
    norm: nn.BatchNorm2d,
    left_out: Tensor | None = None,
    moments: Moments | None = None,
) -> Tensor:
    """Normalise over batch and image as in training, update the running statistics, apply the ReLU.

    Args:
        x: (B, C, H, W) float32.
        norm: with C channels, and whether a ReLU follows as its `relu`.
        left_out: (C,), a bias that was not added to x: the norm would subtract it again, so that
            only the running mean needs it, and its gradient is exactly 0.
        moments: of x; None: they are computed here.

    Returns:
        (B, C, H, W).
    """
    relu = bool(getattr(norm, "relu", False))
    return _BatchNorm.apply(x.contiguous(), norm.weight, norm.bias, norm, relu, left_out, moments)


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm: nn.BatchNorm2d,
        relu: bool,
        left_out: Tensor | None,
        moments: Moments | None,
    ) -> Tensor:
        channels = x.shape[1]
        sizes, parts, options = _split_norm(x)
        out, statistics = torch.empty_like(x), x.new_empty(2, channels)
        if moments is None:
            partial = x.new_empty(2, parts, channels)
            _sum_kernel[(parts, channels)](x, partial, *sizes, **options)
        else:
            partial = moments.parts
        summed = partial.shape[1]
        _norm_kernel[(parts, channels)](
            x, weight, bias, partial, out, statistics, norm.running_mean, norm.running_var,
            bias if left_out is None else left_out, *sizes, norm.eps, norm.momentum, summed,
            0 if moments is None else moments.pixels,
            RELU=relu, IS_LEFT_OUT=left_out is not None, PARTS=_block_of(summed),
            IS_MEAN=moments is not None, **options,
        )  # fmt: skip
        ctx.save_for_backward(x, weight, bias, statistics)
        ctx.relu = relu
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, statistics = ctx.saved_tensors
        sizes, parts, options = _split_norm(x)
        grad, channels = grad.contiguous(), x.shape[1]
        grad_x, grads = torch.empty_like(x), x.new_empty(2, channels)
        partial = x.new_empty(2, parts, channels)
        inputs = (x, grad, weight, bias, statistics, partial)
        _gradient_sum_kernel[(parts, channels)](*inputs, *sizes, RELU=ctx.relu, **options)
        _norm_gradient_kernel[(parts, channels)](
            *inputs, grad_x, grads, *sizes,
            RELU=ctx.relu, PARTS=_block_of(parts), **options,
        )  # fmt: skip
        return grad_x, grads[0], grads[1], None, None, None, None


def _block_of(parts: int) -> int:
    return max(MIN_PARTS, triton.next_power_of_2(parts))


def _split_norm(x: Tensor) -> tuple[tuple[int, ...], int, dict[str, int]]:
    """Return the sizes that a norm's kernels take, the parts of each channel, and the blocks."""
    batch, channels, height, width = x.shape
    pixels = triton.next_power_of_2(height * width)
    images = max(1, NORM_VALUES // pixels)
    parts = max(1, min(triton.cdiv(batch, images), NORM_PROGRAMS // channels))
    steps = triton.cdiv(triton.cdiv(batch, images), parts)
    options = {"IMAGES": images, "PIXELS": pixels}
    return (batch, channels, height * width, steps, parts), parts, options


if triton is not None:

    @triton.jit(do_not_specialize=SIZES)
    def _sum_kernel(
        x, partial, batch, channels, plane, steps, parts,
        IMAGES: tl.constexpr, PIXELS: tl.constexpr,
    ):  # fmt: skip
        part, channel = tl.program_id(0), tl.program_id(1)
        # Around the channel's first value, since squares around 0 could cancel.
        origin = tl.load(x + channel * plane)
        place = tl.arange(0, PIXELS)
        sums = tl.zeros((IMAGES, PIXELS), tl.float32)
        squares = tl.zeros((IMAGES, PIXELS), tl.float32)
        for step in range(steps):
            image = (part * steps + step) * IMAGES + tl.arange(0, IMAGES)
            is_value = (image < batch)[:, None] & (place < plane)[None, :]
            start = (image * channels + channel) * plane
            values = tl.load(x + start[:, None] + place[None, :], is_value, 0.0)
            differences = tl.where(is_value, values - origin, 0.0)
            sums += differences
            squares += differences * differences
        tl.store(partial + part * channels + channel, tl.sum(tl.sum(sums, 1), 0))
        total = tl.sum(tl.sum(squares, 1), 0)
        tl.store(partial + (parts + part) * channels + channel, total)

    @triton.jit(do_not_specialize=SIZES)
    def _norm_kernel(
        x, weight, bias, partial, out, statistics, running_mean, running_var, left_out,
        batch, channels, plane, steps, parts, eps, momentum, summed, pixels,
        RELU: tl.constexpr, IS_LEFT_OUT: tl.constexpr, PARTS: tl.constexpr,
        IS_MEAN: tl.constexpr, IMAGES: tl.constexpr, PIXELS: tl.constexpr,
    ):  # fmt: skip
        part, channel = tl.program_id(0), tl.program_id(1)
        number = tl.arange(0, PARTS)
        sums = partial + number * channels + channel
        total = batch * plane
        first = tl.load(sums, number < summed, 0.0)
        second = tl.sum(tl.load(sums + summed * channels, number < summed, 0.0), 0)
        if IS_MEAN:  # of parts, and the squared distances from it
            size = tl.maximum(tl.minimum(total - number * pixels, pixels), 0)
            mean = tl.sum(first * size, 0) / total
            distance = tl.where(number < summed, first - mean, 0.0)
            variance = (second + tl.sum(size * distance * distance, 0)) / total
        else:
            offset = tl.sum(first, 0) / total
            mean = tl.load(x + channel * plane) + offset
            variance = tl.maximum(second / total - offset * offset, 0.0)
        inverse = 1 / tl.sqrt(variance + eps)
        if part == 0:
            tl.store(statistics + channel, mean)
            tl.store(statistics + channels + channel, inverse)
            old_mean, old_var = tl.load(running_mean + channel), tl.load(running_var + channel)
            unbiased = variance * (total / (total - 1.0))
            new_mean = mean
            if IS_LEFT_OUT:
                new_mean += tl.load(left_out + channel)
            tl.store(running_mean + channel, old_mean + momentum * (new_mean - old_mean))
            tl.store(running_var + channel, old_var + momentum * (unbiased - old_var))
        scale = tl.load(weight + channel) * inverse
        shift = tl.load(bias + channel) - mean * scale
        place = tl.arange(0, PIXELS)
        for step in range(steps):
            image = (part * steps + step) * IMAGES + tl.arange(0, IMAGES)
            is_value = (image < batch)[:, None] & (place < plane)[None, :]
            places = ((image * channels + channel) * plane)[:, None] + place[None, :]
            result = tl.load(x + places, is_value, 0.0) * scale + shift
            if RELU:  # NaN stays NaN, as with torch's
                result = tl.where(result < 0, 0.0, result)
            tl.store(out + places, result, is_value)

    @triton.jit(do_not_specialize=SIZES)
    def _gradient_sum_kernel(
        x, grad, weight, bias, statistics, partial, batch, channels, plane, steps, parts,
        RELU: tl.constexpr, IMAGES: tl.constexpr, PIXELS: tl.constexpr,
    ):  # fmt: skip
        part, channel = tl.program_id(0), tl.program_id(1)
        mean = tl.load(statistics + channel)
        scale = tl.load(weight + channel) * tl.load(statistics + channels + channel)
        shift = tl.load(bias + channel) - mean * scale
        place = tl.arange(0, PIXELS)
        sums = tl.zeros((IMAGES, PIXELS), tl.float32)
        products = tl.zeros((IMAGES, PIXELS), tl.float32)
        for step in range(steps):
            image = (part * steps + step) * IMAGES + tl.arange(0, IMAGES)
            is_value = (image < batch)[:, None] & (place < plane)[None, :]
            places = ((image * channels + channel) * plane)[:, None] + place[None, :]
            inputs = tl.load(x + places, is_value, 0.0)
            gradients = tl.load(grad + places, is_value, 0.0)
            if RELU:
                gradients = tl.where(inputs * scale + shift <= 0, 0.0, gradients)
            sums += gradients
            products += gradients * (inputs - mean)
        tl.store(partial + part * channels + channel, tl.sum(tl.sum(sums, 1), 0))
        total = tl.sum(tl.sum(products, 1), 0)
        tl.store(partial + (parts + part) * channels + channel, total)

    @triton.jit(do_not_specialize=SIZES)
    def _norm_gradient_kernel(
        x, grad, weight, bias, statistics, partial, grad_x, grads,
        batch, channels, plane, steps, parts,
        RELU: tl.constexpr, PARTS: tl.constexpr, IMAGES: tl.constexpr, PIXELS: tl.constexpr,
    ):  # fmt: skip
        part, channel = tl.program_id(0), tl.program_id(1)
        mean = tl.load(statistics + channel)
        inverse = tl.load(statistics + channels + channel)
        scale = tl.load(weight + channel) * inverse
        shift = tl.load(bias + channel) - mean * scale
        number = tl.arange(0, PARTS)
        sums = partial + number * channels + channel
        grad_bias = tl.sum(tl.load(sums, number < parts, 0.0), 0)
        grad_weight = inverse * tl.sum(tl.load(sums + parts * channels, number < parts, 0.0), 0)
        if part == 0:
            tl.store(grads + channel, grad_weight)
            tl.store(grads + channels + channel, grad_bias)
        average = grad_bias / (batch * plane)
        slope = grad_weight * inverse / (batch * plane)
        place = tl.arange(0, PIXELS)
        for step in range(steps):
            image = (part * steps + step) * IMAGES + tl.arange(0, IMAGES)
            is_value = (image < batch)[:, None] & (place < plane)[None, :]
            places = ((image * channels + channel) * plane)[:, None] + place[None, :]
            inputs = tl.load(x + places, is_value, 0.0)
            gradients = tl.load(grad + places, is_value, 0.0)
            if RELU:
                gradients = tl.where(inputs * scale + shift <= 0, 0.0, gradients)
            result = scale * (gradients - average - (inputs - mean) * slope)
            tl.store(grad_x + places, result, is_value)
