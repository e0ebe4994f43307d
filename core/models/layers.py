"""Convolution and batch norm of torch, fused on a GPU where kernels of our own can compute both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.models.cuda import conv_norm as cuda


class BatchNorm2d(nn.BatchNorm2d):
    """torch's, followed by a ReLU if wanted.

    Args:
        channels: C.
        relu: whether a ReLU follows.
    """

    def __init__(self, channels: int, relu: bool = False):
        super().__init__(channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        out = super().forward(x)
        return torch.relu_(out) if self.relu else out


def conv_norm(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """Return `norm(conv(x))`, fused where kernels can compute both."""
    if (
        x.is_cuda
        and type(conv) is nn.Conv2d
        and type(norm) is BatchNorm2d
        and norm.training
        and cuda.can_compute(conv, norm, x)
    ):
        parameters = (conv.weight, conv.bias, norm.weight, norm.bias)
        return cuda.ConvNorm.apply(x, *parameters, conv, norm)
    return norm(conv(x))
