"""torch's layers that also compute in the batch-last layout, by compiled loops where there are any.

The memory layout of the input decides, as with torch's channels_last: batch-last tensors go through
`functions`; other tensors, and operations without a compiled loop, go through torch. A network and
its weights are therefore the same in every layout.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.models.batch_last.functions import BatchNorm, Convolution, MaxPool
from core.models.batch_last.layout import is_batch_last, to_batch_last
from core.models.cuda import conv_norm as cuda


class Conv2d(nn.Conv2d):
    """torch's, with compiled loops for 3x3 (full or depthwise) and 1x1 convolutions of stride 1."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.is_depthwise = 1 < self.groups == self.in_channels == self.out_channels
        self.pads: Any = self.padding
        """Zero padding (top and bottom, left and right), or a name of torch's."""
        largest = max(self.pads) if type(self.pads) is tuple else 3
        by_kernel: dict[tuple[int, ...], bool] = {
            (3, 3): largest <= 2 and (self.groups == 1 or self.is_depthwise),
            (1, 1): largest == 0 and self.groups == 1,
        }
        self.is_compiled = self.stride == (1, 1) and by_kernel.get(self.kernel_size, False)
        """Whether compiled loops compute it."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, H', W')."""
        if not is_batch_last(x):
            return super().forward(x)
        if self.is_compiled:
            return Convolution.apply(x, self.weight, self.bias, self)
        return to_batch_last(super().forward(x.contiguous()))


class BatchNorm2d(nn.BatchNorm2d):
    """torch's, followed by a ReLU if wanted, with compiled loops for training.

    Args:
        channels: C.
        relu: whether a ReLU follows.
    """

    def __init__(self, channels: int, relu: bool = False):
        super().__init__(channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not is_batch_last(x):
            out = super().forward(x)
        elif self.training:
            return BatchNorm.apply(x, None, None, self.weight, self.bias, None, self)
        else:
            mean: Any = self.running_mean
            variance: Any = self.running_var
            scale = self.weight * (variance + self.eps).rsqrt()
            out = torch.addcmul((self.bias - mean * scale)[:, None, None], x, scale[:, None, None])
        return torch.relu_(out) if self.relu else out


class MaxPool2d(nn.MaxPool2d):
    """torch's, with a compiled loop for 2x2 squares."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        if not is_batch_last(x):
            return super().forward(x)
        if self.kernel_size == self.stride == 2 and min(x.shape[2:]) > 1:
            return MaxPool.apply(x)
        return to_batch_last(super().forward(x.contiguous()))


class AvgPool2d(nn.AvgPool2d):
    """torch's, in any layout."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        if not is_batch_last(x):
            return super().forward(x)
        return to_batch_last(super().forward(x.contiguous()))


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """torch's global average, in any layout."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 1, 1)."""
        if not is_batch_last(x):
            return super().forward(x)
        return x.permute(1, 2, 3, 0).mean((1, 2), keepdim=True).permute(3, 0, 1, 2)


class PixelUnshuffle(nn.PixelUnshuffle):
    """torch's, in any layout."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * B * B, H / B, W / B)."""
        if not is_batch_last(x):
            return super().forward(x)
        count, channels, height, width = x.shape
        b = self.downscale_factor
        blocks = (
            x.permute(1, 2, 3, 0)
            .view(channels, height // b, b, width // b, b, count)
            .permute(0, 2, 4, 1, 3, 5)
        )
        return blocks.reshape(channels * b * b, height // b, width // b, count).permute(3, 0, 1, 2)


def conv_norm(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """Return `norm(conv(x))`, fused where compiled loops or kernels can compute both."""
    if type(conv) is Conv2d and type(norm) is BatchNorm2d and norm.training:
        parameters = (conv.weight, conv.bias, norm.weight, norm.bias)
        if conv.is_compiled and is_batch_last(x):
            return BatchNorm.apply(x, *parameters, conv, norm)
        if x.is_cuda and cuda.can_compute(conv, norm, x):
            return cuda.ConvNorm.apply(x, *parameters, conv, norm)
    return norm(conv(x))
