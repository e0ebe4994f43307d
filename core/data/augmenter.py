"""The Augmenter applies transforms to images. Albumentations is imported on first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.data.augmentations import KINDS, Transform

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Augmenter:
    """Apply a list of transforms; the result depends only on images, random seed and key.

    Stateless and picklable, so that any process can do any part of the work.

    Args:
        transforms: rows as `check` returns them.
        seed: the run's seed, at least 0.
    """

    transforms: tuple[Transform, ...]
    seed: int

    def __call__(self, images: np.ndarray, key: tuple[int, ...] = ()) -> np.ndarray:
        """Transform images.

        Args:
            images: (N, 28, 28) uint8; not changed.
            key: numbers of at least 0 that name this group of images, e.g. (epoch, chunk).

        Returns:
            (N, 28, 28) uint8, in the same order.
        """
        import numpy as np

        from core.data.draws import split_seed

        images = images.copy()
        for position, row in enumerate(self.transforms):
            kind = KINDS[row["kind"]]
            for_numpy, generator = split_seed(self.seed, key, position)
            if kind.in_place is not None:
                kind.in_place(row, images, generator)
                continue
            import albumentations
            import cv2

            cv2.setNumThreads(0)  # threads are slower for 28x28 pixels, and do not survive a fork
            transform = kind.build(albumentations, cv2, row)
            transform.set_random_state(np.random.default_rng(for_numpy), generator)
            for index, image in enumerate(images):
                images[index] = transform(image=image)["image"]
        return images
