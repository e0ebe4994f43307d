"""SideStream: weight gradients computed beside the rest of a backward pass on a GPU.

Nothing in the backward pass waits for the gradient of a weight, and the kernels of a small network
leave most of a GPU idle.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class SideStream:
    """A CUDA stream for weight gradients; a graph that is captured meanwhile gets a branch for it.

    Args:
        device: of the weights, on CUDA.
    """

    def __init__(self, device: torch.device):
        self._stream = torch.cuda.Stream(device)
        # Kept until `join`, since the memory of a freed tensor could be used again at once.
        self._gradients: list[tuple[Tensor, Tensor, tuple[Tensor, ...]]] = []

    def add(
        self, weight: Tensor, compute: Callable[[], Tensor], inputs: tuple[Tensor, ...]
    ) -> None:
        """Start computing a gradient after what is queued on the present stream.

        Args:
            weight: that the gradient belongs to.
            compute: returns the gradient.
            inputs: all tensors that it reads.
        """
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._gradients.append((weight, compute(), inputs))

    def join(self) -> None:
        """Let the present stream wait for the gradients, and give them to their weights."""
        if not self._gradients:
            return
        torch.cuda.current_stream().wait_stream(self._stream)
        for weight, gradient, _ in self._gradients:
            weight.grad = gradient if weight.grad is None else weight.grad + gradient
        self._gradients.clear()
