"""LabelledImages: images with their labels.

Must not import torch at module level, so that pages can hold them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Array = TypeVar("Array")  # torch.Tensor or numpy.ndarray


@dataclass(frozen=True, eq=False)
class LabelledImages(Generic[Array]):
    """Images of digits with their labels, as tensors or as arrays.

    Args:
        images: (N, 28, 28) uint8; ink is 255, paper 0.
        labels: (N,) int64, 0 to 9.
        name: of the set, "training" or "test"; for captions and cache keys.
    """

    images: Array
    labels: Array
    name: str = ""

    def __len__(self) -> int:
        """Number of images."""
        return len(cast(Any, self.labels))

    def __getitem__(self, indices: Any) -> LabelledImages[Array]:
        """Select images by a slice, or by an array of indices or booleans."""
        images, labels = cast(Any, self.images), cast(Any, self.labels)
        return replace(self, images=images[indices], labels=labels[indices])

    def to(self: LabelledImages[Tensor], device: Any) -> LabelledImages[Tensor]:
        """Return the images and labels on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def to_numpy(self: LabelledImages[Tensor]) -> LabelledImages[np.ndarray]:
        """Return the same memory as arrays."""
        return LabelledImages(self.images.numpy(), self.labels.numpy(), self.name)

    def to_torch(self: LabelledImages[np.ndarray]) -> LabelledImages[Tensor]:
        """Return the same memory as tensors."""
        import torch

        return LabelledImages(
            torch.from_numpy(self.images), torch.from_numpy(self.labels), self.name
        )
