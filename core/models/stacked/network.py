"""StackedNetwork: several networks of the same rows, computed as one.

The channels of all networks stand side by side: N networks with C channels compute N * C channels,
by convolutions with N times as many groups. No value of one network enters another.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.network import Network
from core.models.rows import Row
from core.models.stacked import conv_kernels, norm_kernels, pool_kernels
from core.models.stacked.side_stream import SideStream

MAX_VALUES = 2**27  # of a kernel's input: its output, at most 16 times as large, needs 31 bits
CONV_METHODS = ("auto", "grouped", "unfold", "kernels")


class StackedNetwork(Network):
    """N networks of the same rows.

    The names of its parameters and statistics are those of one network; their first dimension is
    N times as long, or N for the weights and biases of linear layers.

    Args:
        rows: layer rows, as `core.models.rows` describes them.
        dropout: probability of dropout rows without a probability of their own.
        count: N.
        method: how convolutions are computed, one of CONV_METHODS: by torch's grouped convolution,
            by matrix products of unfolded images, or by the compiled kernels of `conv_kernels`,
            which need a GPU; "auto" takes the kernels where they can run, else the groups.

    Raises:
        ArchitectureError: the rows don't fit together; the message names the row.
    """

    def __init__(self, rows: Sequence[Row], dropout: float, count: int, method: str = "auto"):
        super().__init__(rows, dropout)
        self.count, self.method = count, method
        for index, module in enumerate(self.layers):
            self.layers[index] = _stack_module(module, count, method)
        for _, _, places, _, _ in self._plan:
            if len(places) == 2:  # a convolution and its norm
                conv, norm = (self.layers[place] for place in places)
                assert isinstance(conv, StackedConv2d)
                assert isinstance(norm, StackedBatchNorm2d)
                norm.conv = (conv,)  # in a tuple, since it is not a part of the norm
                conv.is_before_norm = True

    def forward(self, images: Tensor) -> Tensor:
        """Logits of each network for its own images.

        Args:
            images: (B, N, 28, 28) float, normalised.

        Returns:
            (B, N, 10) float.
        """
        return super().forward(images).view(len(images), self.count, -1)

    def uses_kernels(self, device: torch.device) -> bool:
        """Return whether compiled kernels compute the stack on a device."""
        return self.method in ("auto", "kernels") and conv_kernels.are_used_on(device)

    def set_side_stream(self, side: SideStream) -> None:
        """Let a side stream compute the gradients of the convolutions that have kernels."""
        for module in self.modules():
            if isinstance(module, StackedConv2d):
                module.side = side

    def parts(self) -> dict[str, Tensor]:
        """The parameters and statistics by name, each (N, ...): entry n belongs to network n.

        Counts of batches are left out: they are the same in all networks.
        """
        parts: dict[str, Tensor] = {}
        for prefix, module in self.named_modules():
            for name, tensor in chain(
                module.named_parameters(recurse=False), module.named_buffers(recurse=False)
            ):
                if not tensor.is_floating_point():
                    continue
                tensor = tensor.detach()
                if not isinstance(module, StackedLinear):
                    tensor = tensor.view(self.count, -1, *tensor.shape[1:])
                parts[f"{prefix}.{name}"] = tensor
        return parts


class StackedConv2d(nn.Conv2d):
    """N convolutions side by side.

    Args:
        conv: one of them; the others have its sizes.
        count: N.
        method: one of CONV_METHODS.
    """

    def __init__(self, conv: nn.Conv2d, count: int, method: str):
        super().__init__(
            count * conv.in_channels,
            count * conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            conv.stride,  # type: ignore[arg-type]
            conv.padding,  # type: ignore[arg-type]
            groups=count * conv.groups,
            bias=conv.bias is not None,
        )
        self.count, self.method = count, method
        self.groups_each = conv.groups
        self.is_before_norm = False
        self.side: SideStream | None = None
        """Computes the gradients of the weights; None: autograd does."""
        self.moments: conv_kernels.Moments | None = None
        """Of the last output, for the norm that follows."""
        self.pads: Any = self.padding
        """Zero padding: top and bottom, left and right."""
        self.has_kernels = (
            conv.groups == 1
            and self.kernel_size == (3, 3)
            and self.stride == (1, 1)
            and max(map(int, self.padding)) <= 2
            and max(conv.in_channels, conv.out_channels) <= conv_kernels.MAX_CHANNELS
        )
        """Whether `conv_kernels` computes it, given a GPU."""
        self.is_product = (
            conv.groups == 1 and self.kernel_size == self.stride == (1, 1) and not any(self.pads)
        )
        """Whether it is a product of matrices: a 1x1 convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, N * I, H, W) -> (B, N * O, H', W')."""
        if self.has_kernels and _use_kernels(self.method, x):
            if self.is_before_norm and self.training:
                out, self.moments = conv_kernels.conv3x3_with_moments(
                    x, self.weight, self.count, self.pads, self.side
                )
                return out
            return conv_kernels.conv3x3(x, self.weight, self.bias, self.count, self.pads, self.side)
        if self.groups_each == 1 and (
            self.method == "unfold" or (self.is_product and self.method != "grouped")
        ):
            return self._multiply(x)
        return super().forward(x)

    def _multiply(self, x: Tensor) -> Tensor:
        """Multiply the windows' pixels with the weights."""
        b, _, height, width = x.shape
        rows, columns = (
            (size + 2 * pad - kernel) // stride + 1
            for size, pad, kernel, stride in zip(
                (height, width), self.pads, self.kernel_size, self.stride, strict=True
            )
        )
        windows = x
        if not self.is_product:
            windows = F.unfold(x, self.kernel_size, padding=self.pads, stride=self.stride)
        windows = windows.view(b, self.count, -1, rows * columns)  # (B, N, I * K * K, H' * W')
        weight = self.weight.view(self.count, self.out_channels // self.count, -1)
        out = (weight @ windows).view(b, self.out_channels, rows, columns)
        return out if self.bias is None else out + self.bias[:, None, None]


class StackedBatchNorm2d(nn.BatchNorm2d):
    """N batch norms side by side, each followed by a ReLU if wanted.

    Args:
        channels: N * C.
        relu: whether a ReLU follows.
        method: one of CONV_METHODS.
    """

    def __init__(self, channels: int, relu: bool, method: str):
        super().__init__(channels)
        self.relu, self.method = relu, method
        self.conv: tuple[StackedConv2d, ...] = ()
        """The convolution before it."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, N * C, H, W) -> (B, N * C, H, W)."""
        if self.training and _use_kernels(self.method, x):
            conv = next((conv for conv in self.conv if conv.has_kernels), None)
            if conv is None:
                return norm_kernels.batch_norm(x, self)
            moments, conv.moments = conv.moments, None
            return norm_kernels.batch_norm(x, self, conv.bias, moments)
        out = super().forward(x)
        return torch.relu_(out) if self.relu else out


class StackedMaxPool2d(nn.MaxPool2d):
    """Max pooling over 2x2 squares.

    Args:
        method: one of CONV_METHODS.
    """

    def __init__(self, method: str):
        super().__init__(2, 2)
        self.method = method

    def forward(self, x: Tensor) -> Tensor:
        """(B, N * C, H, W) -> (B, N * C, H', W')."""
        return pool_kernels.max_pool2x2(x) if _use_kernels(self.method, x) else super().forward(x)


class StackedLinear(nn.Module):
    """N linear layers side by side.

    Args:
        linear: one of them; the others have its sizes.
        count: N.
    """

    def __init__(self, linear: nn.Linear, count: int):
        super().__init__()
        self.count = count
        self.weight = nn.Parameter(torch.zeros(count, *linear.weight.shape))
        self.bias: nn.Parameter | None = None
        if linear.bias is not None:
            self.bias = nn.Parameter(torch.zeros(count, *linear.bias.shape))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N * I) -> (B, N * O)."""
        values = x.view(len(x), self.count, -1).transpose(0, 1)  # (N, B, I)
        out = values @ self.weight.mT  # (N, B, O)
        if self.bias is not None:
            out = out + self.bias[:, None]
        return out.transpose(0, 1).flatten(1)


def _use_kernels(method: str, x: Tensor) -> bool:
    return (
        method in ("auto", "kernels")
        and x.numel() < MAX_VALUES
        and conv_kernels.are_used_on(x.device)
    )


def _stack_module(module: nn.Module, count: int, method: str) -> nn.Module:
    """The module that computes N of a network's modules side by side."""
    if isinstance(module, nn.Conv2d):
        return StackedConv2d(module, count, method)
    if isinstance(module, nn.BatchNorm2d):
        relu = bool(getattr(module, "relu", False))
        return StackedBatchNorm2d(count * module.num_features, relu, method)
    if isinstance(module, nn.Linear):
        return StackedLinear(module, count)
    if isinstance(module, nn.MaxPool2d) and module.kernel_size == module.stride == 2:
        return StackedMaxPool2d(method)
    if isinstance(module, nn.Dropout) and module.p == 0:
        return nn.Identity()
    return module  # pools, dropout and space to depth treat every channel alike
