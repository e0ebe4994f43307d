# mypy: allow-untyped-defs
"""Triton kernels for the 3x3 convolutions of stacked networks on a GPU.

Libraries compute grouped convolutions with 4 or 8 channels per group far below a GPU's speed, their
weight gradients most of all. Here a program keeps all output channels of one network for a block of
pixels in registers. Only what `StackedNetwork` needs is covered: stride 1, float32, and one group
per network.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.models.stacked.side_stream import SideStream

try:
    import triton
    import triton.language as tl
except ImportError:  # there is none for this system
    triton = None

MAX_CHANNELS = 16  # inputs and outputs of one network whose sums fit in the registers
VALUES = 4_096  # sums per program of a convolution: its pixels times its output channels
PIXELS = 512  # per program of a convolution, at most
WARPS = 4  # of a program of a convolution
GRADIENT_PIXELS = 128  # per program of a weight gradient, at most
GRADIENT_PROGRAMS = 2_048  # that share the work of a weight gradient


class Moments(NamedTuple):
    """Means and squared distances of parts of each channel, from which a batch norm starts."""

    parts: Tensor
    """(2, P, C): the mean of each part, and the sum of the squared distances from it."""
    pixels: int
    """Per part; the last may have fewer."""


@functools.cache
def is_available() -> bool:
    """Return whether Triton is installed and can compile a kernel for this GPU."""
    if triton is None:
        return False
    try:
        ones = torch.ones(1, 1, 3, 3, device="cuda")
        return _convolve(ones, ones, 1, 0, 0, is_transposed=False)[0].item() == 9
    except Exception as error:  # no compiler, a GPU too old: torch computes instead
        print(f"Triton cannot be used: {error}", file=sys.stderr, flush=True)
        return False


def are_used_on(device: torch.device) -> bool:
    """Return whether the kernels compute on a device."""
    return device.type == "cuda" and is_available()


def conv3x3(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    count: int,
    padding: tuple[int, ...],
    side: SideStream | None = None,
) -> Tensor:
    """Convolve the images of N networks, each with its own weights.

    Args:
        x: (B, N * I, H, W) float32.
        weight: (N * O, I, 3, 3).
        bias: (N * O,); None: no bias.
        count: N.
        padding: zeros above and to the left of the image, the same below and to the right.
        side: computes the gradient of the weight; None: autograd does.

    Returns:
        (B, N * O, H', W').
    """
    out, _ = _Convolution.apply(x.contiguous(), weight, count, *padding[:2], False, side)
    return out if bias is None else out + bias[:, None, None]


def conv3x3_with_moments(
    x: Tensor, weight: Tensor, count: int, padding: tuple[int, ...], side: SideStream | None = None
) -> tuple[Tensor, Moments]:
    """Convolve like `conv3x3` without a bias, and describe the result for a batch norm.

    Args:
        x, weight, count, padding, side: as of `conv3x3`.
    """
    out, parts = _Convolution.apply(x.contiguous(), weight, count, *padding[:2], True, side)
    return out, Moments(parts, _count_pixels(weight.shape[0] // count))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        count: int,
        pad_y: int,
        pad_x: int,
        has_moments: bool,
        side: SideStream | None,
    ) -> tuple[Tensor, Tensor | None]:
        ctx.save_for_backward(x, weight)
        ctx.count, ctx.pads, ctx.side = count, (pad_y, pad_x), side
        ctx.set_materialize_grads(False)
        out, moments = _convolve(x, weight, count, pad_y, pad_x, False, has_moments)
        if moments is not None:
            ctx.mark_non_differentiable(moments)
        return out, moments

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad, count = grad.contiguous(), ctx.count
        pad_y, pad_x = ctx.pads
        grad_weight = None
        if ctx.needs_input_grad[1]:
            compute = functools.partial(_weight_gradient, x, grad, weight, count, pad_y, pad_x)
            if ctx.side is None:
                grad_weight = compute()
            else:
                ctx.side.add(weight, compute, (x, grad))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x, _ = _convolve(grad, weight, count, 2 - pad_y, 2 - pad_x, is_transposed=True)
        return grad_x, grad_weight, None, None, None, None, None


def _count_pixels(outputs: int) -> int:
    """Return the pixels of a program of a convolution."""
    return min(PIXELS, VALUES // triton.next_power_of_2(outputs))


def _convolve(
    x: Tensor,
    weight: Tensor,
    count: int,
    pad_y: int,
    pad_x: int,
    is_transposed: bool,
    has_moments: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Convolve; transposed: with inputs and outputs exchanged and the window turned around.

    With moments, also return (2, P, N * O): the mean of each program's pixels, and the sum of the
    squared distances from it.
    """
    batch, channels, height, width = x.shape
    inputs = channels // count
    outputs = weight.shape[1] if is_transposed else weight.shape[0] // count
    rows, columns = height + 2 * pad_y - 2, width + 2 * pad_x - 2
    out = x.new_empty(batch, count * outputs, rows, columns)
    pixels = _count_pixels(outputs)
    parts = triton.cdiv(batch * rows * columns, pixels)
    moments = x.new_empty(2, parts, count * outputs) if has_moments else None
    _convolve_kernel[(parts, count)](
        x, weight, out, out if moments is None else moments, batch, count,
        INPUTS=inputs, OUTPUTS=outputs, HEIGHT=height, WIDTH=width,
        ROWS=rows, COLUMNS=columns, PAD_Y=pad_y, PAD_X=pad_x,
        BLOCK_OUTPUTS=triton.next_power_of_2(outputs), IS_TRANSPOSED=is_transposed,
        HAS_MOMENTS=has_moments, PIXELS=pixels, num_warps=WARPS,
    )  # fmt: skip
    return out, moments


def _weight_gradient(
    x: Tensor, grad: Tensor, weight: Tensor, count: int, pad_y: int, pad_x: int
) -> Tensor:
    batch, channels, height, width = x.shape
    inputs, outputs = channels // count, weight.shape[0] // count
    rows, columns = grad.shape[2:]
    pixels = min(GRADIENT_PIXELS, triton.next_power_of_2(rows * columns))
    blocks = triton.cdiv(rows * columns, pixels)
    parts = max(1, min(batch, GRADIENT_PROGRAMS // (count * inputs * blocks)))
    images = triton.cdiv(batch, parts)
    partial = x.new_empty(blocks * parts, *weight.shape)
    _weight_gradient_kernel[(blocks * parts, inputs, count)](
        x, grad, partial, batch, count, images,
        INPUTS=inputs, OUTPUTS=outputs, HEIGHT=height, WIDTH=width,
        ROWS=rows, COLUMNS=columns, PAD_Y=pad_y, PAD_X=pad_x, BLOCKS=blocks,
        BLOCK_OUTPUTS=triton.next_power_of_2(outputs), PIXELS=pixels,
    )  # fmt: skip
    return partial.sum(0)


if triton is not None:
    # The sizes of a layer are constants, so that the addresses of a window's pixels differ from one
    # another by constants, too, and need no instructions of their own.

    @triton.jit(do_not_specialize=("batch",))
    def _convolve_kernel(
        x, weight, out, moments, batch, count,
        INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
        HEIGHT: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
        PAD_Y: tl.constexpr, PAD_X: tl.constexpr,
        BLOCK_OUTPUTS: tl.constexpr, IS_TRANSPOSED: tl.constexpr, HAS_MOMENTS: tl.constexpr,
        PIXELS: tl.constexpr,
    ):  # fmt: skip
        network = tl.program_id(1)
        pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
        image, place = pixel // (ROWS * COLUMNS), pixel % (ROWS * COLUMNS)
        row, column = place // COLUMNS - PAD_Y, place % COLUMNS - PAD_X
        is_pixel = image < batch
        output = tl.arange(0, BLOCK_OUTPUTS)
        is_output = output < OUTPUTS
        x += (image * count + network) * (INPUTS * HEIGHT * WIDTH) + row * WIDTH + column
        weight += network * (OUTPUTS * INPUTS * 9)
        weight += output * (9 if IS_TRANSPOSED else 9 * INPUTS)
        total = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        for _ in range(INPUTS):
            for tap in tl.static_range(9):
                y, z = row + tap // 3, column + tap % 3
                is_inside = is_pixel & (y >= 0) & (y < HEIGHT) & (z >= 0) & (z < WIDTH)
                values = tl.load(x + (tap // 3 * WIDTH + tap % 3), is_inside, 0.0)
                weights = tl.load(weight + (8 - tap if IS_TRANSPOSED else tap), is_output, 0.0)
                total += weights[:, None] * values[None, :]
            x += HEIGHT * WIDTH
            weight += 9 * OUTPUTS if IS_TRANSPOSED else 9
        if HAS_MOMENTS:
            here = tl.minimum(PIXELS, batch * (ROWS * COLUMNS) - tl.program_id(0) * PIXELS)
            # Pixels beyond the last image are 0, since no value was loaded for them.
            mean = tl.sum(total, 1) / here
            distance = tl.where(is_pixel[None, :], total - mean[:, None], 0.0)
            moments += tl.program_id(0) * (count * OUTPUTS) + network * OUTPUTS + output
            tl.store(moments, mean, is_output)
            moments += tl.num_programs(0) * (count * OUTPUTS)
            tl.store(moments, tl.sum(distance * distance, 1), is_output)
        out += (image * count + network)[None, :] * (OUTPUTS * ROWS * COLUMNS)
        out += output[:, None] * (ROWS * COLUMNS) + place[None, :]
        tl.store(out, total, is_output[:, None] & is_pixel[None, :])

    @triton.jit(do_not_specialize=("batch", "images"))
    def _weight_gradient_kernel(
        x, grad, partial, batch, count, images,
        INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
        HEIGHT: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
        PAD_Y: tl.constexpr, PAD_X: tl.constexpr, BLOCKS: tl.constexpr,
        BLOCK_OUTPUTS: tl.constexpr, PIXELS: tl.constexpr,
    ):  # fmt: skip
        part, channel, network = tl.program_id(0), tl.program_id(1), tl.program_id(2)
        output = tl.arange(0, BLOCK_OUTPUTS)
        is_output = output < OUTPUTS
        # The program's pixels stay the same from image to image, and so do their neighbours.
        place = (part % BLOCKS) * PIXELS + tl.arange(0, PIXELS)
        row, column = place // COLUMNS - PAD_Y, place % COLUMNS - PAD_X
        is_pixel = place < ROWS * COLUMNS
        top = is_pixel & (row >= 0) & (row < HEIGHT)
        middle = is_pixel & (row >= -1) & (row < HEIGHT - 1)
        bottom = is_pixel & (row >= -2) & (row < HEIGHT - 2)
        left = (column >= 0) & (column < WIDTH)
        centre = (column >= -1) & (column < WIDTH - 1)
        right = (column >= -2) & (column < WIDTH - 2)
        is_gradient = is_output[:, None] & is_pixel[None, :]
        first = (part // BLOCKS) * images
        # The pointers move on from image to image.
        corner = x + (row * WIDTH + column)
        corner += ((first * count + network) * INPUTS + channel) * (HEIGHT * WIDTH)
        grad += (first * count + network) * (OUTPUTS * ROWS * COLUMNS)
        gradient = grad + (output[:, None] * (ROWS * COLUMNS) + place[None, :])
        sum0 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        sum1 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        sum2 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        sum3 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        sum4 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        sum5 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        sum6 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        sum7 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        sum8 = tl.zeros((BLOCK_OUTPUTS, PIXELS), tl.float32)
        # Two images at a time, so that the loads of one can wait for those of the other.
        for _ in tl.range(first, tl.minimum(first + images, batch), loop_unroll_factor=2):
            gradients = tl.load(gradient, is_gradient, 0.0)
            sum0 += gradients * tl.load(corner, top & left, 0.0)[None, :]
            sum1 += gradients * tl.load(corner + 1, top & centre, 0.0)[None, :]
            sum2 += gradients * tl.load(corner + 2, top & right, 0.0)[None, :]
            sum3 += gradients * tl.load(corner + (WIDTH), middle & left, 0.0)[None, :]
            sum4 += gradients * tl.load(corner + (WIDTH + 1), middle & centre, 0.0)[None, :]
            sum5 += gradients * tl.load(corner + (WIDTH + 2), middle & right, 0.0)[None, :]
            sum6 += gradients * tl.load(corner + (2 * WIDTH), bottom & left, 0.0)[None, :]
            sum7 += gradients * tl.load(corner + (2 * WIDTH + 1), bottom & centre, 0.0)[None, :]
            sum8 += gradients * tl.load(corner + (2 * WIDTH + 2), bottom & right, 0.0)[None, :]
            corner += count * INPUTS * HEIGHT * WIDTH
            gradient += count * OUTPUTS * ROWS * COLUMNS
        partial += part * (count * OUTPUTS * INPUTS * 9)
        partial += ((network * OUTPUTS + output) * INPUTS + channel) * 9
        tl.store(partial + 0, tl.sum(sum0, 1), is_output)
        tl.store(partial + 1, tl.sum(sum1, 1), is_output)
        tl.store(partial + 2, tl.sum(sum2, 1), is_output)
        tl.store(partial + 3, tl.sum(sum3, 1), is_output)
        tl.store(partial + 4, tl.sum(sum4, 1), is_output)
        tl.store(partial + 5, tl.sum(sum5, 1), is_output)
        tl.store(partial + 6, tl.sum(sum6, 1), is_output)
        tl.store(partial + 7, tl.sum(sum7, 1), is_output)
        tl.store(partial + 8, tl.sum(sum8, 1), is_output)
