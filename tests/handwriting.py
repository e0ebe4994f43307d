"""A person's handwriting that MNIST hardly has, drawn as pen strokes from a seed.

Continental habits: a 1 with a flag and a foot, a barred 7, an open 4, a 9 with a straight leg, a 0
with a stroke through it. Each person has a slant and a width of their own and writes with several
pens, and no two digits of a person are alike.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from tests.strokes import Strokes

PENS = ("round", "broad", "fine")
_SIDE = 280


def _arc(
    x: float, y: float, width: float, height: float, start: float, end: float, points: int = 18
) -> list[list[float]]:
    """Points on an ellipse; angles in turns, 0 at the top, clockwise."""
    angles = [2 * math.pi * (start + (end - start) * at / (points - 1)) for at in range(points)]
    return [[x + width * math.sin(angle), y - height * math.cos(angle)] for angle in angles]


DIGITS: dict[int, Strokes] = {
    0: [_arc(0.5, 0.5, 0.19, 0.3, 0, 1.02), [[0.76, 0.16], [0.5, 0.5], [0.24, 0.84]]],
    1: [
        [[0.26, 0.5], [0.42, 0.34], [0.56, 0.16], [0.56, 0.5], [0.56, 0.82]],
        [[0.3, 0.84], [0.56, 0.83], [0.8, 0.82]],
    ],
    2: [
        [
            [0.3, 0.3],
            *_arc(0.5, 0.32, 0.18, 0.13, -0.1, 0.3, 10),
            [0.5, 0.58],
            [0.28, 0.8],
            *_arc(0.36, 0.74, 0.09, 0.07, -0.5, 0.4, 10),
            [0.54, 0.82],
            [0.78, 0.74],
        ]
    ],
    3: [[[0.3, 0.2], [0.5, 0.2], [0.7, 0.2], [0.46, 0.46], *_arc(0.45, 0.64, 0.2, 0.19, 0, 0.7)]],
    4: [
        [[0.3, 0.2], [0.3, 0.4], *_arc(0.48, 0.4, 0.18, 0.14, 0.75, 0.5, 6), [0.72, 0.53]],
        [[0.72, 0.2], [0.71, 0.5], [0.7, 0.84]],
    ],
    5: [
        [[0.42, 0.24], [0.38, 0.5], *_arc(0.46, 0.65, 0.18, 0.16, -0.04, 0.62)],
        [[0.42, 0.18], [0.62, 0.16], [0.84, 0.14]],
    ],
    6: [[[0.36, 0.14], [0.34, 0.4], [0.34, 0.64], *_arc(0.5, 0.68, 0.16, 0.13, -0.25, 0.78)]],
    7: [
        [[0.26, 0.4], [0.3, 0.22], [0.5, 0.24], [0.74, 0.2], [0.6, 0.5], [0.48, 0.84]],
        [[0.34, 0.56], [0.55, 0.53], [0.78, 0.5]],
    ],
    8: [
        [
            *_arc(0.5, 0.33, 0.15, 0.13, 0.15, -0.5, 12),
            *_arc(0.5, 0.64, 0.17, 0.17, 0, 0.8, 14),
            [0.72, 0.2],
        ]
    ],
    9: [
        _arc(0.46, 0.36, 0.17, 0.14, 0.1, -0.68),
        [[0.64, 0.18], [0.63, 0.5], [0.63, 0.86]],
    ],
}


def draw_hand(count: int, seed: int, pen: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Draw digits of one person, as Draw would save them.

    Args:
        count: digits of each class.
        seed: of the person and of each digit.
        pen: one of PENS; None: a digit's pen is drawn from all of them.

    Returns:
        Images (10 * count, 28, 28) uint8 in MNIST's form and labels (10 * count,) int64, sorted by
        digit within each round, so that the first n rounds are n digits of each class.
    """
    generator = np.random.default_rng([seed, 28])
    person = generator.normal(0, 1, 3)
    images, labels = [], []
    for _ in range(count):
        for digit, strokes in DIGITS.items():
            drawn = vary(strokes, generator, slant=0.2 * person[0], width=0.06 * person[1])
            own_pen = pen or PENS[generator.integers(len(PENS))]
            images.append(to_mnist(draw_ink(drawn, own_pen)))
            labels.append(digit)
    return np.stack(images), np.array(labels, np.int64)


def vary(
    strokes: Strokes, generator: np.random.Generator, slant: float = 0.1, width: float = 0.0
) -> Strokes:
    """Return strokes as a person writes them another time: slanted, stretched and uneven.

    Args:
        strokes: points from 0 to 1.
        generator: gives the variations.
        slant: of the person, in widths per height.
        width: of the person, relative to the usual width.
    """
    slant += generator.normal(0, 0.1)
    angle = generator.normal(0, 0.09)
    scale = np.array([1 + width + generator.normal(0, 0.1), 1 + generator.normal(0, 0.06)])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    varied = []
    for stroke in strokes:
        line = np.array(stroke) - 0.5
        line[:, 0] -= slant * line[:, 1]
        # A drift along the stroke, smoother than its points, and where the pen is set down.
        drift = np.cumsum(generator.normal(0, 0.012, line.shape), axis=0)
        line = (line * scale + drift + generator.normal(0, 0.015, 2)) @ turn.T
        varied.append((np.clip(line * 0.9 + 0.5, 0.02, 0.98)).tolist())
    return varied


def draw_ink(strokes: Strokes, pen: str) -> np.ndarray:
    """Return the ink (280, 280) uint8 of strokes by the app's own rendering, with one of PENS."""
    if pen == "broad":  # a nib that is held at 45 degrees
        offsets = [(-0.018, 0.018), (0.0, 0.0), (0.018, -0.018)]
        strokes = [
            [[x + right, y + down] for x, y in stroke]
            for right, down in offsets
            for stroke in strokes
        ]
    ink = strokes_to_ink(strokes, _SIDE)
    return cv2.erode(ink, np.ones((13, 13), np.uint8)) if pen == "fine" else ink
