"""The batch-last memory layout: tensors of shape (N, C, H, W) with the strides of (C, H, W, N).

As with torch's channels_last, the strides mark the layout, and the shape stays the same.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor


@functools.cache
def is_available() -> bool:
    """Whether the loops can be compiled: numba is installed and finds a folder for its cache."""
    try:
        from core.models.batch_last import conv_kernels, norm_pool_kernels  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


def to_batch_last(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) with the batch as the last dimension in memory."""
    return images.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)


def is_batch_last(x: Tensor) -> bool:
    """Whether a tensor is a batch of at least two float32 images on the CPU in this layout."""
    if x.dim() != 4 or x.stride(0) != 1 or x.dtype != torch.float32 or not x.is_cpu:
        return False
    count, _, height, width = x.shape
    return count > 1 and x.stride() == (1, height * width * count, width * count, count)


def ensure_batch_last(x: Tensor) -> Tensor:
    """Return a tensor (N, C, H, W) as float32 in this layout; copied only where it is not yet."""
    return x if is_batch_last(x) else to_batch_last(x.float())


def empty(count: int, channels: int, height: int, width: int) -> Tensor:
    """Allocate a tensor (N, C, H, W) in this layout."""
    return torch.empty_strided(
        (count, channels, height, width), (1, height * width * count, width * count, count)
    )


def as_array(x: Any) -> np.ndarray:
    """Return a tensor's memory as an array, outside autograd."""
    return x.detach().numpy()


def as_lines(x: Tensor) -> np.ndarray:
    """View a batch-last tensor (N, C, H, W) as an array (C, H, W * N)."""
    count, channels, height, width = x.shape
    return as_array(x).transpose(1, 2, 3, 0).reshape(channels, height, width * count)
