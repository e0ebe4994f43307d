"""Changes of brightness and contrast of many images, equal to those of Albumentations 2.0.8."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.data.draws import draw_brightness


def change(row: Mapping[str, Any], images: np.ndarray, generator: random.Random) -> None:
    """Change images in place, by a table of the 256 grey values for each of them.

    Args:
        row: a brightness transform as `augmentations.complete` returns it.
        images: (N, side, side) uint8, contiguous.
        generator: source of the random numbers.
    """
    indices, values = draw_brightness(row, generator, len(images))
    factors, summands = values.astype(np.float32).T[:, :, None]
    # Rounded down, as Albumentations does.
    tables = np.clip(np.arange(256, dtype=np.float32) * factors + summands, 0, 255)
    pixels = images.reshape(len(images), -1)
    changed = np.take_along_axis(tables.astype(np.uint8), pixels[indices].astype(np.int64), 1)
    pixels[indices] = changed
