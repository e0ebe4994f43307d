"""Random parameters of the transforms, drawn for many images at once.

They are the numbers that Albumentations draws image by image, from the same random stream in the
same order, so that an image is transformed alike wherever the arithmetic is done. An image that is
not transformed takes one number from the stream, or none if p is 0 or 1.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

ERASING_ASPECT = (0.3, 3.3)  # width over height of an erased rectangle, as Albumentations' default
MIN_ERASED = 0.02  # of the image


def split_seed(
    seed: int, key: tuple[int, ...], position: int
) -> tuple[np.random.SeedSequence, random.Random]:
    """Return the two random streams of one transform of one group of images.

    Args:
        seed: of the run.
        key: names the group, e.g. (epoch, chunk).
        position: of the transform in its list, from 0.

    Returns:
        The random seed for NumPy's generator, and Python's `random.Random`.
    """
    # One random stream for each transform: with `Compose(seed=)` all would share one, and their
    # draws would correlate.
    for_numpy, for_python = np.random.SeedSequence([seed, *key, position]).spawn(2)
    return for_numpy, random.Random(int(for_python.generate_state(1, np.uint64)[0]))


def draw_uniform(
    generator: random.Random, p: float, count: int, numbers: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw which images are transformed, and numbers for each of them.

    Args:
        generator: gives the numbers; it is not advanced.
        p: probability that an image is transformed.
        count: images.
        numbers: per transformed image.

    Returns:
        Indices of the transformed images, (n,) int64, and their numbers, (n, numbers) float64,
        uniform from 0 to 1.
    """
    if p <= 0:
        return np.zeros(0, np.int64), np.zeros((0, numbers))
    # NumPy's legacy generator is the same Mersenne Twister and forms the same doubles.
    _, state, _ = generator.getstate()
    stream = np.random.RandomState()
    stream.set_state(("MT19937", np.array(state[:-1], np.uint32), int(state[-1]), 0, 0.0))
    if p >= 1:
        return np.arange(count), stream.random_sample((count, numbers))
    values = stream.random_sample(count * (1 + numbers))
    is_below = (values < p).tolist()
    indices, starts, at = [], [], 0
    for index in range(count):
        if is_below[at]:
            indices.append(index)
            starts.append(at + 1)
            at += numbers
        at += 1
    places = np.array(starts, np.int64)[:, None] + np.arange(numbers)
    return np.array(indices, np.int64), values[places]


def draw_brightness(
    row: Mapping[str, Any], generator: random.Random, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw changes of brightness and contrast.

    Returns:
        Indices of the transformed images, (n,) int64, and factors and summands of their pixels,
        (n, 2) float64.
    """
    indices, values = draw_uniform(generator, row["p"], count, 2)
    contrast, brightness = row["contrast"], row["brightness"]
    factors = 1.0 + (-contrast + (contrast + contrast) * values[:, 0])
    summands = (-brightness + (brightness + brightness) * values[:, 1]) * 255
    return indices, np.stack([factors, summands], 1)


def draw_erasing(
    row: Mapping[str, Any], generator: random.Random, count: int, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rectangles to erase.

    Returns:
        Indices of the transformed images, (n,) int64, and their rectangles, (n, 4) int64: left,
        top, right and bottom, the last two exclusive.
    """
    low, high = ERASING_ASPECT
    largest = min(side * side * row["area"], low * side * side, side * side / high)
    indices, rectangles, p = [], [], row["p"]
    for index in range(count):
        if p <= 0 or (p < 1 and generator.random() >= p):
            continue
        area = generator.uniform(side * side * MIN_ERASED, largest)
        aspect = generator.uniform(max(low, area / (side * side)), min(high, side * side / area))
        height, width = round((area / aspect) ** 0.5), round((area * aspect) ** 0.5)
        top, left = generator.randint(0, side - height), generator.randint(0, side - width)
        indices.append(index)
        rectangles.append((left, top, left + width, top + height))
    return np.array(indices, np.int64), np.array(rectangles, np.int64).reshape(-1, 4)


def draw_elastic(
    row: Mapping[str, Any],
    generator: random.Random,
    seed: np.random.SeedSequence,
    count: int,
    side: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the noise that elastic displacements are smoothed from.

    Returns:
        Indices of the transformed images, (n,) int64, and noise for the displacements in x and y,
        (n, 2, side, side) float32, normal.
    """
    indices, _ = draw_uniform(generator, row["p"], count, 0)
    shape = (len(indices), 2, side, side)
    return indices, np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
