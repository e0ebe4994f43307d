"""Batch norm of torch with the ReLU that follows it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
