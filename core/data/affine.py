"""Moving, scaling, turning and slanting many small images at once: the same images as Albumentations' Affine gives.

Albumentations builds two 3x3 matrices an image from nine small arrays, which at 28x28 takes fifteen times as long as
the warp itself. Here all matrices of a group are built together, from the same draws in the same order.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np


def draw(
    row: Mapping[str, Any], generator: random.Random, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """What happens to each of `count` images, as Albumentations draws it.

    Args:
        row: an affine transform as `augmentations.complete` returns it.
        generator: moves on by one draw an image where p is below 1, and seven more for those that are changed.
        count: number of images.

    Returns:
        (n,) the numbers of the images that are changed, and (n, 7) float64: shift in x and y as a share of the side,
        slant in x and y in degrees, factor in x and y, turn in degrees.
    """
    shift, scale, shear, turn = row["shift"], row["scale"], row["shear"], row["rotate"]
    reaches = (
        (0.0, shift),
        (0.0, shift),
        (0.0, shear),
        (0.0, shear),
        (1.0, scale),
        (1.0, scale),
        (0.0, turn),
    )
    ranges = [(centre - reach, (centre + reach) - (centre - reach)) for centre, reach in reaches]
    chosen, drawn, p, one = [], [], row["p"], generator.random
    for index in range(count):
        if p >= 1 or one() < p:
            chosen.append(index)
            drawn.append([low + width * one() for low, width in ranges])
    values = np.array(drawn).reshape(-1, len(ranges))
    if row["aspect"] == "kept":
        values[:, 5] = values[:, 4]
    return np.array(chosen, np.int64), values


def matrices(values: np.ndarray, side: int) -> np.ndarray:
    """The maps from old to new pixels: scaled, turned, slanted about the centre, then shifted by whole pixels.

    Args:
        values: (n, 7) as `draw` returns them.
        side: of the images, in pixels.

    Returns:
        (n, 2, 3) float64.
    """
    shifts = np.trunc(values[:, :2] * side)
    slant_x, slant_y = np.tan(np.deg2rad(-values[:, 2])), np.tan(np.deg2rad(-values[:, 3]))
    turn = np.deg2rad(values[:, 6] % 360)
    cos, sin = np.cos(turn), np.sin(turn)
    # slant @ turn @ scale, written out
    linear = np.stack(
        [cos - slant_x * sin, sin + slant_x * cos, slant_y * cos - sin, slant_y * sin + cos], 1
    )
    linear = linear.reshape(-1, 2, 2) * values[:, None, 4:6]
    centre = (side - 1) / 2
    offsets = shifts + centre - linear.sum(2) * centre
    return np.concatenate([linear, offsets[:, :, None]], 2)


def warp(images: np.ndarray, row: Mapping[str, Any], generator: random.Random, border: int) -> None:
    """Transform a group of images in place.

    Args:
        images: (N, side, side) uint8.
        row: an affine transform as `augmentations.complete` returns it.
        generator: where chance comes from.
        border: OpenCV's border mode.
    """
    import cv2

    side = images.shape[1]
    chosen, values = draw(row, generator, len(images))
    for index, matrix in zip(chosen.tolist(), matrices(values, side), strict=True):
        images[index] = cv2.warpAffine(
            images[index], matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border
        )
