"""A 3x3 convolution with batch norm and ReLU as five kernels, for networks of few channels.

torch takes about a dozen kernels for the same, made for larger networks; here every kernel does
little, so that their number decides. The arithmetic is in `conv_norm.cu`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.models.cuda.nvrtc import CudaError, Kernel, compile_kernels

THREADS = 256
MAX_SHARED = 96_000  # bytes of a block's shared memory
MAX_CHANNELS = 32  # more leave too few threads busy
_refused: set[tuple[int, ...]] = set()  # shapes whose kernels could not be compiled


def can_compute(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> bool:
    """Return whether the kernels compute `norm(conv(x))` in training.

    Args:
        conv, norm: of one row; the norm in training mode.
        x: (B, I, H, W).
    """
    if not (
        x.is_cuda
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cuda")
        and conv.kernel_size == (3, 3)
        and conv.stride == conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding in ((0, 0), (1, 1))
        and max(conv.in_channels, conv.out_channels) <= MAX_CHANNELS
        and norm.momentum is not None
        and x.is_contiguous()
        and conv.weight.is_contiguous()
    ):
        return False
    shape = _shape(conv, norm, x)
    if max(shared_bytes(shape).values()) > MAX_SHARED or shape in _refused:
        return False
    try:
        _kernels(shape)
    except CudaError:
        _refused.add(shape)
        return False
    return True


class ConvNorm(torch.autograd.Function):
    """The norm of a convolution, with a ReLU if the norm has one.

    The convolution's bias is skipped, since the norm subtracts it; only the running mean needs it.
    Its gradient is exactly 0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        gamma: Tensor,
        beta: Tensor,
        conv: nn.Conv2d,
        norm: Any,
    ) -> Tensor:
        """(B, I, H, W) -> (B, O, H', W'); updates the norm's running statistics."""
        shape = _shape(conv, norm, x)
        _, channels, height, width, pad, _ = shape
        kernels, images = _kernels(shape), len(x)
        y = x.new_empty(images, channels, height + 2 * pad - 2, width + 2 * pad - 2)
        partial, saved = x.new_empty(images, channels, 2), x.new_empty(2, channels)
        z, grid = torch.empty_like(y), (channels, _parts(images, channels))
        kernels["conv_forward"]((images, 1), THREADS, x, weight, y, partial)
        kernels["norm_forward"](
            grid,
            THREADS,
            y,
            partial,
            bias,
            gamma,
            beta,
            norm.running_mean,
            norm.running_var,
            norm.num_batches_tracked,
            saved,
            z,
            images,
            float(norm.eps),
            float(norm.momentum),
        )
        ctx.save_for_backward(x, weight, gamma, beta, y, saved)
        ctx.shape, ctx.has_bias = shape, bias is not None
        return z

    @staticmethod
    def backward(ctx: Any, dz: Tensor) -> Any:
        """Return the gradients of x and of all parameters."""
        x, weight, gamma, beta, y, saved = ctx.saved_tensors
        kernels, images, channels = _kernels(ctx.shape), len(x), len(weight)
        dz, parts = dz.contiguous(), _parts(images, channels)
        partial = x.new_empty(parts, channels, 2)
        norm = (gamma, beta)
        kernels["norm_backward"]((channels, parts), THREADS, dz, y, saved, *norm, partial, images)
        dgamma, dbeta, dw = (
            torch.empty_like(gamma),
            torch.empty_like(beta),
            torch.empty_like(weight),
        )
        partial_dw = x.new_empty(images, weight.numel())
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        kernels["conv_backward"](
            (images, 1),
            THREADS,
            dz,
            y,
            x,
            weight,
            saved,
            *norm,
            partial,
            parts,
            dgamma,
            dbeta,
            partial_dw,
            dx,
            images,
        )
        blocks = -(-weight.numel() // (THREADS // 8))
        kernels["sum_weights"]((blocks, 1), THREADS, partial_dw, dw, images)
        dbias = torch.zeros_like(beta) if ctx.has_bias else None
        return dx, dw, dbias, dgamma, dbeta, None, None


def source(shape: tuple[int, ...]) -> str:
    """Return the kernels' source for (I, O, H, W, padding, whether a ReLU follows)."""
    names = ("CI", "CO", "H", "W", "PAD", "RELU", "THREADS")
    lines = [
        f"#define {name} {value}" for name, value in zip(names, (*shape, THREADS), strict=True)
    ]
    return "\n".join([*lines, _text()])


def shared_bytes(shape: tuple[int, ...]) -> dict[str, int]:
    """Return the dynamic shared memory of each kernel, in bytes."""
    inputs, outputs, height, width, pad, _ = shape
    input_groups, output_groups = -(-inputs // 4), -(-outputs // 4)
    tile = inputs * ((height + 2 * pad) * (width + 2 * pad) | 1)
    gradient = outputs * ((height + 2) * (width + 2) | 1)
    pairs = inputs * outputs
    slices = min(max(1, THREADS // pairs), height + 2 * pad - 2)
    return {
        "conv_forward": 16 * (inputs * 9 * output_groups + THREADS) + 4 * tile,
        "norm_forward": 0,
        "norm_backward": 0,
        "conv_backward": 16 * outputs * 9 * input_groups
        + 4 * (gradient + tile + slices * pairs * 9),
        "sum_weights": 0,
    }


def _shape(conv: nn.Conv2d, norm: Any, x: Tensor) -> tuple[int, ...]:
    padding: Any = conv.padding
    relu = int(getattr(norm, "relu", False))
    return (*x.shape[1:2], conv.out_channels, *x.shape[2:], padding[0], relu)


def _parts(images: int, channels: int) -> int:
    """Return how many blocks share a channel of a norm."""
    return min(images, max(8, 64 // channels))


@functools.cache
def _kernels(shape: tuple[int, ...]) -> dict[str, Kernel]:
    return compile_kernels(source(shape), shared_bytes(shape))


@functools.cache
def _text() -> str:
    return Path(__file__).with_name("conv_norm.cu").read_text(encoding="utf-8")
