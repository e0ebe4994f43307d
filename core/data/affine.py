"""Affine transforms of many small images, from the random numbers that Albumentations draws.

For every image, Albumentations builds two 3x3 matrices from nine small arrays, which takes fifteen
times as long as warping 28x28 pixels. Here the matrices of all images are built together, from the
same random numbers in the same order, and compiled C warps all images in one call, in arithmetic of
whole numbers that gives the same images on every machine. With whole-pixel shifts about the image's
middle, the images are those of Albumentations 2.0.8, which has no other shifts and no other centre,
but for rounding: a pixel may differ by one grey level.
"""

from __future__ import annotations

import ctypes
import functools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.compiler import CompilerError, load_library
from core.data.draws import draw_uniform

AS_ALBUMENTATIONS = {"shifts": "whole", "centre": "middle"}
"""What Albumentations' own Affine does; `adjust_affine` changes it to the other values."""
_AT_A_TIME = 256  # images whose points are in memory at once


def draw(
    row: Mapping[str, Any], generator: random.Random, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw random parameters for `count` images, as Albumentations does.

    Args:
        row: an affine transform as `augmentations.complete` returns it.
        generator: gives one number per image if p is below 1, and seven per transformed image; it
            is not advanced.
        count: number of images.

    Returns:
        Indices of the transformed images, (n,) int64, and their parameters, (n, 7) float64: shift
        in x and y as a fraction of the side, shear in x and y in degrees, scale in x and y,
        rotation in degrees.
    """
    shift, scale, shear, rotation = row["shift"], row["scale"], row["shear"], row["rotate"]
    spreads = (
        (0.0, shift),
        (0.0, shift),
        (0.0, shear),
        (0.0, shear),
        (1.0, scale),
        (1.0, scale),
        (0.0, rotation),
    )
    # Low end and width, rounded as Albumentations does.
    ranges = [
        (centre - spread, (centre + spread) - (centre - spread)) for centre, spread in spreads
    ]
    indices, numbers = draw_uniform(generator, row["p"], count, len(ranges))
    low, width = np.array(ranges).T
    values = low + width * numbers
    if row["aspect"] == "kept":
        values[:, 5] = values[:, 4]
    return indices, values


def matrices(values: np.ndarray, side: int, row: Mapping[str, Any]) -> np.ndarray:
    """Return the maps from old to new pixels.

    Images are scaled, rotated and sheared about the row's centre, then shifted. Coordinates count
    from the middle of the first pixel, so that the middle of 28 pixels is at 13.5.

    Args:
        values: (n, 7) as `draw` returns them.
        side: of the images, in pixels.
        row: its `shifts` and `centre` are used; a whole shift is cut towards 0.

    Returns:
        (n, 2, 3) float64.
    """
    shifts = values[:, :2] * side
    if row["shifts"] == "whole":
        shifts = np.trunc(shifts)
    shear_x, shear_y = np.tan(np.deg2rad(-values[:, 2])), np.tan(np.deg2rad(-values[:, 3]))
    angle = np.deg2rad(values[:, 6] % 360)
    cos, sin = np.cos(angle), np.sin(angle)
    # the product shear @ rotation @ scale
    linear = np.stack(
        [cos - shear_x * sin, sin + shear_x * cos, shear_y * cos - sin, shear_y * sin + cos], 1
    )
    linear = linear.reshape(-1, 2, 2) * values[:, None, 4:6]
    centre = (side - 1) / 2 if row["centre"] == "middle" else side / 2
    offsets = shifts + centre - linear.sum(2) * centre
    return np.concatenate([linear, offsets[:, :, None]], 2)


def invert(maps: np.ndarray) -> np.ndarray:
    """Return the inverse maps.

    Args:
        maps: (n, 2, 3) float64, as `matrices` returns them.

    Returns:
        (n, 2, 3) float64.
    """
    a, b, c, d = maps[:, :, :2].reshape(-1, 4).T
    linear = np.stack([d, -b, -c, a], 1) / (a * d - b * c)[:, None]
    linear = linear.reshape(-1, 2, 2)
    return np.concatenate([linear, -linear @ maps[:, :, 2:]], 2)


def warp(images: np.ndarray, row: Mapping[str, Any], generator: random.Random) -> None:
    """Transform images in place.

    Args:
        images: (N, side, side) uint8, contiguous.
        row: an affine transform as `augmentations.complete` returns it.
        generator: source of the random numbers.
    """
    indices, values = draw(row, generator, len(images))
    maps = invert(matrices(values, images.shape[1], row))
    sample(images, indices, np.rint(maps * 2**20).astype(np.int32), row["border"] == "reflect")


def sample(images: np.ndarray, indices: np.ndarray, maps: np.ndarray, is_mirrored: bool) -> None:
    """Replace images by what they show at other points, in compiled C where that works.

    Args:
        images: (N, side, side) uint8, contiguous; changed in place.
        indices: (n,) int64, of the images to replace.
        maps: (n, 2, 3) int32, from new to old points, in 1/2**20 of a pixel.
        is_mirrored: whether the images are mirrored at their edges; else black surrounds them.
    """
    library = _load_warp()
    if library is None:
        for start in range(0, len(indices), _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            sample_in_numpy(images, indices[part], maps[part], is_mirrored)
        return
    side, margin = images.shape[1], 2
    if is_mirrored and len(maps):  # as wide as the old images' points lie outside
        steps, starts = maps[:, :, :2] * (side - 1), maps[:, :, 2]
        low = (starts + np.minimum(steps, 0).sum(2)).min() >> 20
        high = (starts + np.maximum(steps, 0).sum(2)).max() >> 20
        margin += max(0, -int(low), int(high) - side + 1)
    scratch = np.empty(2 * (side + 2 * margin) ** 2, np.uint32)
    arrays = (images, indices, maps, scratch)
    pointers = (ctypes.c_void_p(array.ctypes.data) for array in arrays)
    library.warp_affine(*pointers, len(indices), side, margin, int(is_mirrored))


@functools.cache
def _load_warp() -> ctypes.CDLL | None:
    """Compile the loops, once in a process; None where no C compiler works."""
    try:
        return load_library('#include "warp.h"')
    except CompilerError:
        return None


def sample_in_numpy(
    images: np.ndarray, indices: np.ndarray, maps: np.ndarray, is_mirrored: bool
) -> None:
    """Do what `sample` does, with the same bits, several times slower."""
    side = images.shape[1]
    places = np.arange(side, dtype=np.int32)
    along, down, start = (maps[:, :, at, None, None] for at in range(3))  # (n, 2, 1, 1)
    points = along * places + down * places[:, None] + start  # (n, 2, side, side)
    points = (points + 256) >> 9  # in 1/2048 of a pixel
    corners, (right, below) = points >> 11, np.moveaxis(points & 2047, 1, 0)
    old = images[indices]

    def pixels(dx: int, dy: int) -> np.ndarray:
        x, y = corners[:, 0] + dx, corners[:, 1] + dy
        is_inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
        if is_mirrored:
            period = max(1, 2 * (side - 1))
            x, y = (np.minimum(at % period, -at % period) for at in (x, y))
        else:
            x, y = np.clip(x, 0, side - 1), np.clip(y, 0, side - 1)
        found = old[np.arange(len(old))[:, None, None], y, x].astype(np.int32)
        return found if is_mirrored else found * is_inside

    upper = pixels(0, 0) * (2048 - right) + pixels(1, 0) * right
    lower = pixels(0, 1) * (2048 - right) + pixels(1, 1) * right
    images[indices] = (upper * (2048 - below) + lower * below + (1 << 21)) >> 22


def adjust_affine(transform: Any, shifts: str, centre: str) -> Any:
    """Change an Albumentations Affine to what it cannot be asked for.

    Args:
        transform: an Affine of Albumentations 2.0.8 with `translate_percent`; changed in place.
        shifts: "fractional", or "whole" to leave the shifts as they are.
        centre: "pixel 14" (half the side), or "middle" to leave the centre as it is.

    Returns:
        The transform; it draws the same random numbers as before.
    """

    def translate(shape: Sequence[int]) -> dict[str, float]:
        height, width = shape[:2]
        x, y = (transform.py_random.uniform(*transform.translate_percent[axis]) for axis in "xy")
        return {"x": x * width, "y": y * height}

    def compute_matrix(params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = about_middle(params, data)
        matrix = values["matrix"]  # (3, 3)
        matrix[:2, 2] += 0.5 - 0.5 * matrix[:2, :2].sum(1)
        return values

    if shifts == "fractional":
        transform._get_translate_params = translate
    if centre != "middle":
        about_middle = transform.get_params_dependent_on_data
        transform.get_params_dependent_on_data = compute_matrix
    return transform
