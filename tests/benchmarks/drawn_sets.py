"""Drawings for the benchmark of familiarity: digits, letters, scribbles, nearly blank ones.

All go through the app's own rendering and preparation, and all follow from fixed seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from tests.strokes import DIGITS, LETTERS, Strokes, write_by_hand

PRINTED = "AEFHKMNRTWXY" + "aefhkmnrtwx"
HANDS = 26


def draw_digits(hands: Sequence[int]) -> np.ndarray:
    """The ten digits by several hands: (10 x hands, 28, 28) uint8."""
    return _draw([write_by_hand(DIGITS[digit], hand) for hand in hands for digit in range(10)])


def draw_letters(letters: str, hands: Sequence[int]) -> np.ndarray:
    """Letters by several hands: (letters x hands, 28, 28) uint8."""
    return _draw([write_by_hand(LETTERS[letter], hand) for hand in hands for letter in letters])


def print_letters(letters: str, seed: int) -> np.ndarray:
    """Letters of Pillow's font, four of each, slanted and stretched: (4 x letters, 28, 28)."""
    generator, images = np.random.default_rng([3, seed]), []
    for letter in letters * 4:
        canvas = Image.new("L", (280, 280))
        font = ImageFont.load_default(int(generator.integers(120, 190)))
        ImageDraw.Draw(canvas).text(
            (140, 140), letter, 255, font, "mm", stroke_width=int(generator.integers(3, 10))
        )
        slant, stretch = generator.uniform(-0.25, 0.25), generator.uniform(0.8, 1.2)
        canvas = canvas.transform(
            canvas.size,
            Image.Transform.AFFINE,
            (stretch, slant, 140 - 140 * (stretch + slant), 0, 1, 0),
            Image.Resampling.BILINEAR,
        )
        images.append(to_mnist(np.asarray(canvas)))
    return np.stack(images)


def draw_scribbles(count: int, seed: int) -> np.ndarray:
    """Random walks of one to three strokes, winding or jagged: (count, 28, 28) uint8."""
    generator = np.random.default_rng([4, seed])
    return _draw([_scribble(generator) for _ in range(count)])


def draw_nearly_blank(count: int, seed: int) -> np.ndarray:
    """Taps, a few dots, flat dashes, and specks of a picture: (count, 28, 28) uint8."""
    generator, images = np.random.default_rng([5, seed]), []
    for number in range(count):
        kind = number % 4
        if kind == 0:
            dots = generator.uniform(0.2, 0.8, (int(generator.integers(1, 6)), 1, 2))
            images.append(to_mnist(strokes_to_ink(dots.tolist())))
        elif kind == 1:  # level, since an upright one is a 1
            start, length = generator.uniform(0.2, 0.6, 2), generator.uniform(0.03, 0.3)
            end = start + length * np.array([1, generator.uniform(-0.25, 0.25)])
            images.append(to_mnist(strokes_to_ink([[start.tolist(), end.tolist()]])))
        elif kind == 2:
            ink = np.zeros((280, 280), np.uint8)
            for _ in range(int(generator.integers(1, 15))):
                y, x = generator.integers(5, 270, 2)
                ink[y : y + 4, x : x + 4] = generator.integers(80, 256)
            images.append(to_mnist(ink))
        else:  # 28x28 pixels that nobody has prepared
            image = np.zeros((28, 28), np.uint8)
            image[tuple(generator.integers(0, 28, (2, int(generator.integers(0, 6)))))] = 255
            images.append(image)
    return np.stack(images)


def draw_nearly_full(count: int, seed: int) -> np.ndarray:
    """Filled areas, dense hatching, and light digits on dark: (count, 28, 28) uint8."""
    generator, images = np.random.default_rng([6, seed]), []
    for number in range(count):
        kind = number % 3
        if kind == 0:
            ink = np.zeros((280, 280), np.uint8)
            top, left = generator.integers(10, 80, 2)
            bottom, right = generator.integers(180, 270, 2)
            ink[top:bottom, left:right] = 255
            images.append(to_mnist(ink))
        elif kind == 1:
            lines = int(generator.integers(10, 25))
            across = np.linspace(0.2, 0.8, 2 * lines) + generator.normal(0, 0.01, 2 * lines)
            down = np.tile([0.2, 0.8], lines) + generator.normal(0, 0.03, 2 * lines)
            points = np.stack([across, down], 1)
            images.append(
                to_mnist(strokes_to_ink([points[:, :: generator.choice([1, -1])].tolist()]))
            )
        else:
            digit = write_by_hand(DIGITS[int(generator.integers(10))], int(generator.integers(26)))
            images.append(to_mnist(255 - strokes_to_ink(digit)))
    return np.stack(images)


def _scribble(generator: np.random.Generator) -> Strokes:
    strokes = []
    for _ in range(int(generator.integers(1, 4))):
        steps = int(generator.integers(40, 160))
        turn = generator.uniform(0.15, 1.2)
        bends = np.cumsum(generator.normal(0, turn, steps))
        walk = np.cumsum(np.stack([np.cos(bends), np.sin(bends)], 1), axis=0)
        walk -= walk.min(axis=0)
        side = generator.uniform(0.3, 0.6)
        walk *= side / walk.max()
        strokes.append((walk + generator.uniform(0.1, 0.9 - side, 2)).tolist())
    return strokes


def _draw(drawings: Sequence[Strokes]) -> np.ndarray:
    return np.stack([to_mnist(strokes_to_ink(strokes)) for strokes in drawings])


def draw_random_strokes(count: int, seed: int) -> np.ndarray:
    """One to four lines, arcs and curves at random, no letters: (count, 28, 28) uint8."""
    generator = np.random.default_rng([9, seed])
    return _draw([_strokes_at_random(generator) for _ in range(count)])


def _strokes_at_random(generator: np.random.Generator) -> Strokes:
    strokes = []
    for _ in range(int(generator.integers(1, 5))):
        kind = generator.integers(4)
        if kind < 2:
            places = (int(generator.integers(2, 5)), 2)
            line = generator.choice([0.25, 0.4, 0.5, 0.6, 0.75], places)
            line = line + generator.normal(0, 0.04, 2) + generator.normal(0, 0.03, (1, 2))
        elif kind == 2:
            centre, radii = generator.uniform(0.3, 0.7, 2), generator.uniform(0.08, 0.3, 2)
            start, turn = generator.uniform(0, 2 * np.pi), generator.uniform(1, 2 * np.pi)
            angles = start + np.linspace(0, turn * generator.choice([-1, 1]), 24)
            line = centre + radii * np.stack([np.cos(angles), np.sin(angles)], 1)
        else:
            corners = generator.uniform(0.2, 0.8, (int(generator.integers(3, 6)), 2))
            line = smoothed(corners, 40, np.hanning(9))
        strokes.append(line)
    shape = np.array([[generator.uniform(0.6, 1.2), generator.uniform(-0.3, 0.3)], [0, 1]])
    size = generator.uniform(0.5, 1)
    return [((line - 0.5) @ shape.T * size + 0.5).clip(0, 1).tolist() for line in strokes]


def smoothed(corners: np.ndarray, count: int, window: np.ndarray) -> np.ndarray:
    """A curve (count, 2) along a polyline (n, 2), rounded by a moving average."""
    at = np.linspace(0, len(corners) - 1, count)
    line = np.stack([np.interp(at, range(len(corners)), corners[:, axis]) for axis in (0, 1)], 1)
    padded = np.pad(line, ((len(window) // 2,) * 2, (0, 0)), mode="edge")
    window = window / window.sum()
    return np.stack([np.convolve(padded[:, axis], window, "valid") for axis in (0, 1)], 1)
