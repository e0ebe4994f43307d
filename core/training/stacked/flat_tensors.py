"""FlatTensors: the tensors of several networks as one vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class FlatTensors:
    """Tensors of N networks as one vector, so that one operation treats them all.

    Args:
        parts: (N, ...) each, at least one; entry n belongs to network n.
    """

    def __init__(self, parts: Sequence[Tensor]):
        self.count, self.device = len(parts[0]), parts[0].device
        self.shapes = [part.shape for part in parts]
        self.sizes = [part.numel() for part in parts]
        self.flat = torch.cat([part.reshape(-1) for part in parts])
        """All values, part by part and within a part network by network."""
        networks = torch.arange(self.count, device=self.device)
        self.owner = torch.cat([networks.repeat_interleave(part[0].numel()) for part in parts])
        """The network that each value belongs to."""

    def views(self, flat: Tensor | None = None) -> list[Tensor]:
        """Return the parts (N, ...) as views of a vector like this one; None: of this one."""
        pieces = (self.flat if flat is None else flat).split(self.sizes)
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def spread(self, values: Tensor) -> Tensor:
        """Return a vector with a value (N,) of each network in all its places."""
        return values[self.owner]

    def mark(self, marked: Sequence[bool]) -> Tensor:
        """Return a vector with 1 in the marked parts and 0 in the others."""
        return torch.cat(
            [
                torch.full((size,), float(is_marked), device=self.device)
                for size, is_marked in zip(self.sizes, marked, strict=True)
            ]
        )
