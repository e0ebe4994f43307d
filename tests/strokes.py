"""The ten digits as pen strokes: points from 0 to 1, from the pad's top left corner."""

from __future__ import annotations

import math

import numpy as np

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
# Capital letters that do not have the shape of a digit.
LETTERS: dict[str, Strokes] = {
    "A": [[[0.3, 0.8], [0.5, 0.2], [0.7, 0.8]], [[0.38, 0.58], [0.62, 0.58]]],
    "E": [[[0.66, 0.2], [0.36, 0.2], [0.36, 0.8], [0.68, 0.8]], [[0.36, 0.5], [0.6, 0.5]]],
    "F": [[[0.66, 0.2], [0.36, 0.2], [0.36, 0.8]], [[0.36, 0.48], [0.6, 0.48]]],
    "H": [[[0.32, 0.2], [0.32, 0.8]], [[0.68, 0.2], [0.68, 0.8]], [[0.32, 0.5], [0.68, 0.5]]],
    "K": [[[0.34, 0.2], [0.34, 0.8]], [[0.66, 0.2], [0.36, 0.52], [0.68, 0.8]]],
    "M": [[[0.26, 0.8], [0.3, 0.2], [0.5, 0.6], [0.7, 0.2], [0.74, 0.8]]],
    "N": [[[0.32, 0.8], [0.32, 0.2], [0.68, 0.8], [0.68, 0.2]]],
    "P": [[[0.36, 0.2], [0.36, 0.8]], [[0.36, 0.21], *_arc(0.48, 0.36, 0.18, 0.15, 0, 0.55)]],
    "R": [
        [[0.34, 0.2], [0.34, 0.8]],
        [[0.34, 0.21], *_arc(0.48, 0.35, 0.17, 0.14, 0, 0.55), [0.68, 0.8]],
    ],
    "T": [[[0.28, 0.2], [0.72, 0.2]], [[0.5, 0.2], [0.5, 0.8]]],
    "V": [[[0.28, 0.2], [0.5, 0.8], [0.72, 0.2]]],
    "W": [[[0.24, 0.2], [0.36, 0.8], [0.5, 0.35], [0.64, 0.8], [0.76, 0.2]]],
    "X": [[[0.3, 0.2], [0.7, 0.8]], [[0.7, 0.2], [0.3, 0.8]]],
    "Y": [[[0.3, 0.2], [0.5, 0.5]], [[0.7, 0.2], [0.5, 0.5], [0.5, 0.8]]],
}


def write_by_hand(strokes: Strokes, hand: int, time: int = 0) -> Strokes:
    """Strokes as one of several people would draw them, each time a little differently.

    Args:
        strokes: as in a copybook.
        hand: number of the person, who has a slant, proportions and unsteadiness of their own, and
            a mouse, a pen or a finger.
        time: number of the repetition.
    """
    person = np.random.default_rng([1, hand])
    slant, turn = person.uniform(-0.25, 0.3), person.uniform(-0.12, 0.12)
    width, size = person.uniform(0.75, 1.2), person.uniform(0.45, 0.95)
    slips, tremor = person.uniform(0.008, 0.022), person.uniform(0.001, 0.006)
    pen = hand % 3  # 0: a mouse gives few points; 1: a pen; 2: a finger gives a smooth line
    now = np.random.default_rng([2, hand, time, round(1e6 * sum(map(sum, strokes[0])))])
    shape = np.array([[width, -slant], [0, 1]])
    shape = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ shape
    middle = 0.5 + now.uniform(-0.1, 0.1, 2) * (1 - size)
    written = []
    for stroke in strokes:
        corners = np.array(stroke) - 0.5
        # Neighbouring points of a curve slip together.
        few = max(2, len(corners) // 5) if len(corners) > 6 else len(corners)
        offsets = now.normal(0, slips, (few, 2))
        at = np.linspace(0, few - 1, len(corners))
        corners += np.stack([np.interp(at, range(few), offsets[:, axis]) for axis in (0, 1)], 1)
        count = (8, 30, 45)[pen]
        along = np.cumsum([0, *np.hypot(*np.diff(corners, axis=0).T)])
        places = np.union1d(np.linspace(0, along[-1], count), along if pen < 2 else [])
        line = np.stack([np.interp(places, along, corners[:, axis]) for axis in (0, 1)], 1)
        shake = now.normal(0, tremor, line.shape)
        if pen == 2 and len(line) > 6:
            ends = line[[0, -1]]
            kernel = np.ones(5) / 5
            padded = np.concatenate([line[:1]] * 2 + [line] + [line[-1:]] * 2)
            line = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], 1)
            line[[0, -1]] = ends
        written.append(((line + shake) @ shape.T * size + middle).clip(0, 1).tolist())
    return written
