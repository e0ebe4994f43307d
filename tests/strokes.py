"""The ten digits as pen strokes: points from 0 to 1, from the pad's top left corner."""

from __future__ import annotations

import math

Strokes = list[list[list[float]]]


def _arc(
    x: float, y: float, width: float, height: float, start: float, end: float
) -> list[list[float]]:
    """Points on an ellipse; angles in turns, 0 at the top, clockwise."""
    angles = [2 * math.pi * (start + (end - start) * at / 23) for at in range(24)]
    return [[x + width * math.sin(angle), y - height * math.cos(angle)] for angle in angles]


DIGITS: dict[int, Strokes] = {
    0: [_arc(0.5, 0.5, 0.19, 0.29, 0, 1.02)],
    1: [[[0.44, 0.3], [0.53, 0.2], [0.51, 0.5], [0.5, 0.8]]],
    2: [
        [
            *_arc(0.5, 0.35, 0.17, 0.14, -0.22, 0.36),
            [0.5, 0.58],
            [0.32, 0.79],
            [0.5, 0.77],
            [0.7, 0.79],
        ]
    ],
    3: [[*_arc(0.48, 0.34, 0.16, 0.14, -0.2, 0.48), *_arc(0.48, 0.64, 0.19, 0.16, 0.02, 0.7)]],
    4: [
        [[0.42, 0.2], [0.33, 0.5], [0.33, 0.55], [0.7, 0.54]],
        [[0.63, 0.22], [0.61, 0.5], [0.6, 0.8]],
    ],
    5: [
        [[0.4, 0.22], [0.37, 0.46], *_arc(0.47, 0.62, 0.19, 0.17, -0.06, 0.68)],
        [[0.4, 0.22], [0.66, 0.21]],
    ],
    6: [[[0.58, 0.2], [0.45, 0.33], [0.37, 0.55], *_arc(0.5, 0.65, 0.14, 0.14, -0.25, 0.75)]],
    7: [[[0.32, 0.25], [0.5, 0.24], [0.68, 0.24], [0.56, 0.5], [0.48, 0.8]]],
    8: [
        [
            *_arc(0.5, 0.35, 0.13, 0.14, 0.12, -0.5),
            *_arc(0.5, 0.64, 0.16, 0.15, 0, 1),
            *_arc(0.5, 0.35, 0.13, 0.14, 0.5, 0.12),
        ]
    ],
    9: [[*_arc(0.49, 0.36, 0.14, 0.15, 0.2, -0.8), [0.62, 0.5], [0.58, 0.8]]],
}
