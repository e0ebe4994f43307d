"""Shapes that the tests draw, and how much two images are alike."""

import math

import numpy as np

SEVEN = [[[0.3, 0.25], [0.7, 0.25], [0.5, 0.5], [0.42, 0.78]]]
ONE = [[[0.5, 0.2], [0.5, 0.8]]]
TWO = [
    [[0.32, 0.32], [0.4, 0.22], [0.58, 0.22], [0.66, 0.36], [0.56, 0.52], [0.32, 0.78], [0.7, 0.78]]
]
ZERO = [[[0.5 + 0.2 * math.sin(a / 6), 0.5 - 0.3 * math.cos(a / 6)] for a in range(39)]]
SHIFTS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]


def ring(
    size: int = 280, centre: tuple[int, int] = (140, 140), radius: int = 70, width: int = 20
) -> np.ndarray:
    y, x = np.ogrid[:size, :size]
    distance = np.hypot(y - centre[0], x - centre[1])
    return np.where(abs(distance - radius) < width / 2, 255, 0).astype(np.uint8)


def likeness(image: np.ndarray, other: np.ndarray) -> float:
    """Return the highest correlation of two images over shifts of at most a pixel."""
    return max(
        np.corrcoef(image.ravel(), np.roll(other, shift, (0, 1)).ravel())[0, 1] for shift in SHIFTS
    )


def on_paper(ink: np.ndarray, dark: bool, shade: bool, seed: int = 0) -> np.ndarray:
    """A picture of ink on paper; with shade, also grain and light from one side."""
    height, width = ink.shape
    light = (
        np.linspace(0.55, 1.0, width)[None] * np.linspace(0.8, 1.0, height)[:, None]
        if shade
        else 1.0
    )
    share = ink / 255
    paper = (235 * (1 - share) + 40 * share) if dark else (50 * (1 - share) + 225 * share)
    grain = np.random.default_rng(seed).normal(0, 3, ink.shape) if shade else 0
    return np.clip(paper * light + grain, 0, 255).astype(np.uint8)
