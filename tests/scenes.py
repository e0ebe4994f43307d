"""Digits rendered into pictures as people have them: framed, ruled, shaded, small, thin, inverted.

A situation changes some fields of a `Scene`, with values drawn from a random generator; several
situations can change the same scene. `render` then draws the scene and saves it as a file.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

CELL = 280  # pixels: side of a picture that a digit fills as in MNIST
PAGE = 960  # pixels: side of a page with a small digit
BOX = 20 / 28  # of a cell: the longer side of a digit


@dataclass
class Scene:
    """How a digit is drawn. Lengths are in pixels, tones from 0 (black) to 1 (white)."""

    side: int = CELL
    digit: float = BOX  # longer side of the digit, as a fraction of the picture's
    offset: tuple[float, float] = (0.0, 0.0)  # of the digit from the centre, of the free space
    paper: float = 0.94
    pen: float = 0.12
    width: float | None = None  # of the pen, as a fraction of the digit; None: as in MNIST
    frame: int = 0
    ruled: bool = False
    squared: bool = False
    spacing: int = 40
    line: int = 1
    line_tone: float = 0.6
    turn: float = 0.0  # degrees
    shade: float = 0.0  # by how much light falls off over the page
    direction: float = 0.0  # radians: where light comes from
    grain: float = 0.0  # standard deviation, of 255
    tight: bool = False
    inverted: bool = False
    form: str = "png"  # or jpeg, clear, 10 bits, 16 bits, unit, float
    quality: int = 90


Situation = Callable[[Scene, np.random.Generator], None]


def _frame(pixels: int) -> Situation:
    def apply(scene: Scene, rng: np.random.Generator) -> None:
        scene.frame = pixels

    return apply


def _small(share: float) -> Situation:
    def apply(scene: Scene, rng: np.random.Generator) -> None:
        scene.side, scene.digit = PAGE, share
        scene.offset = (float(rng.uniform(-0.7, 0.7)), float(rng.uniform(-0.7, 0.7)))
        scene.spacing, scene.line = 48, 2
        # A photograph, so not quite even.
        scene.shade, scene.direction = max(scene.shade, 0.3), float(rng.uniform(0, 2 * np.pi))
        scene.grain = max(scene.grain, 6.0)

    return apply


def _set(**values: object) -> Situation:
    """Give fields a value, or one drawn between two."""

    def apply(scene: Scene, rng: np.random.Generator) -> None:
        for name, value in values.items():
            if isinstance(value, tuple):
                value = float(rng.uniform(*value))
            setattr(scene, name, value)

    return apply


def _low_contrast(scene: Scene, rng: np.random.Generator) -> None:
    scene.paper = float(rng.uniform(0.5, 0.9))
    scene.pen = scene.paper - float(rng.uniform(0.1, 0.2))


def _rule(kind: str) -> Situation:
    def apply(scene: Scene, rng: np.random.Generator) -> None:
        setattr(scene, kind, True)
        scene.spacing = int(scene.spacing * rng.uniform(0.8, 1.3))
        scene.line += int(rng.integers(0, 3))
        scene.line_tone = float(rng.uniform(0.1, 0.8))

    return apply


# By kind, since two of one kind cannot be combined.
SITUATIONS: dict[str, dict[str, Situation]] = {
    "frame": {f"frame of {pixels} px": _frame(pixels) for pixels in (1, 2, 4, 6)},
    "lines": {"ruled lines": _rule("ruled"), "squared paper": _rule("squared")},
    "light": {"shade": _set(shade=(0.3, 0.6), direction=(0, 2 * np.pi))},
    "grain": {"grain": _set(grain=(6, 16))},
    "size": {
        f"{round(100 * share)} % of the side": _small(share)
        for share in (0.5, 0.25, 0.15, 0.12, 0.1, 0.08)
    },
    "pen": {
        "very thin pen": _set(width=0.025),
        "thin pen": _set(width=0.05),
        "thick pen": _set(width=0.2),
    },
    "crop": {"tight crop": _set(tight=True)},
    "turn": {"page turned": _set(turn=(-8, 8))},
    "contrast": {"low contrast": _low_contrast},
    "polarity": {"inverted": _set(inverted=True)},
    "form": {
        "JPEG": _set(form="jpeg", quality=15),
        "transparent": _set(form="clear"),
        "10 of 16 bits": _set(form="10 bits"),
        "16 bits": _set(form="16 bits"),
        "float from 0 to 1": _set(form="unit"),
        "float of another range": _set(form="float"),
    },
}


def render(digit: np.ndarray, scene: Scene, rng: np.random.Generator) -> bytes:
    """Render a digit (28, 28), ink bright, as a picture file."""
    ink, lines = _draw(digit, scene)
    if scene.tight:
        rows, columns = np.flatnonzero(ink.max(1) > 0.3), np.flatnonzero(ink.max(0) > 0.3)
        cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        ink, lines = ink[cut], lines[cut]
    covered = np.maximum(ink, lines * (scene.paper - scene.line_tone) / (Scene.paper - Scene.pen))
    if scene.frame:
        covered = np.pad(covered, scene.frame, constant_values=1)
    height, width = covered.shape
    if scene.form == "clear":
        tone = 255 if scene.inverted else round(255 * scene.pen)
        grey = np.full(covered.shape, tone, np.uint8)
        return _save(np.dstack([grey] * 3 + [np.round(255 * covered).astype(np.uint8)]), "PNG")

    tones = scene.paper - (scene.paper - scene.pen) * covered
    y, x = np.mgrid[:height, :width] / max(height, width) - 0.5
    towards = np.cos(scene.direction) * x + np.sin(scene.direction) * y
    tones = tones * (1 - scene.shade * np.clip(towards + 0.5, 0, 1))
    if scene.inverted:
        tones = 1 - tones
    tones = np.clip(tones + rng.normal(0, scene.grain / 255, tones.shape), 0, 1)
    if scene.form == "10 bits":
        return _save(np.round(1020 * tones).astype(np.uint16), "PNG")
    if scene.form == "16 bits":
        return _save(np.round(65_535 * tones).astype(np.uint16), "TIFF")
    if scene.form == "unit":
        return _save(tones.astype(np.float32), "TIFF")
    if scene.form == "float":
        return _save((4_000 * tones - 1_000).astype(np.float32), "TIFF")
    grey = np.round(255 * tones).astype(np.uint8)
    if scene.form == "jpeg":
        return _save(grey, "JPEG", quality=scene.quality)
    return _save(grey, "PNG")


def _draw(digit: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Draw the ink of the digit and the lines of the page, each (side, side) from 0 to 1."""
    import cv2

    side = scene.side
    cell = round(side * scene.digit / BOX)
    ink = cv2.resize(digit.astype(np.float32) / 255, (cell, cell), interpolation=cv2.INTER_CUBIC)
    ink = np.clip(ink, 0, 1)
    if scene.width is not None:
        ink = _redraw(ink, max(1.0, scene.width * scene.digit * side))
    page = np.zeros((side, side), np.float32)
    free = (side - cell) / 2
    top, left = (round(free + share * max(free, 0)) for share in scene.offset)
    page[max(top, 0) : top + cell, max(left, 0) : left + cell] = ink

    lines = np.zeros((side, side), np.float32)
    start = scene.spacing // 2
    if scene.ruled or scene.squared:
        for at in range(start, side, scene.spacing):
            lines[at : at + scene.line] = 1
    if scene.squared:
        for at in range(start, side, scene.spacing):
            lines[:, at : at + scene.line] = 1
    if scene.turn:
        matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), scene.turn, 1)
        page = cv2.warpAffine(page, matrix, (side, side), flags=cv2.INTER_LINEAR)
        lines = cv2.warpAffine(
            lines, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return page, lines


def _redraw(ink: np.ndarray, width: float) -> np.ndarray:
    """Draw the middle line of a digit's strokes (H, W) with a pen of so many pixels."""
    import cv2

    enlarge = max(1, round(6 / width))  # a thin pen needs a fraction of a pixel
    large = cv2.resize(ink, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_LINEAR)
    size = 280 / large.shape[0]
    small = cv2.resize(large, (280, 280), interpolation=cv2.INTER_LINEAR) > 0.4
    middle = skeleton(small).astype(np.uint8)
    away = cv2.distanceTransform(1 - middle, cv2.DIST_L2, 5)
    away = cv2.resize(away, large.shape[::-1], interpolation=cv2.INTER_LINEAR) / size
    drawn = np.clip(width * enlarge / 2 + 0.5 - away, 0, 1)
    return np.clip(cv2.resize(drawn, ink.shape[::-1], interpolation=cv2.INTER_AREA), 0, 1)


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Thin a mask (H, W) to lines one pixel wide.

    Source: Zhang and Suen, A fast parallel algorithm for thinning digital patterns (1984).
    """
    thin = np.pad(mask.astype(np.uint8), 1)
    while True:
        before = thin.copy()
        for step in (0, 1):
            # The neighbours, clockwise from the top.
            shifts = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
            around = [np.roll(thin, (-dy, -dx), (0, 1)) for dy, dx in shifts]
            count = sum(around)
            turns = sum(
                (one == 0) & (other == 1)
                for one, other in zip(around, around[1:] + around[:1], strict=True)
            )
            up, right, down, left = around[0::2]
            open_ends = (
                (up * right * down == 0) & (right * down * left == 0)
                if step == 0
                else (up * right * left == 0) & (up * down * left == 0)
            )
            gone = (thin == 1) & (count >= 2) & (count <= 6) & (turns == 1) & open_ends
            thin = np.where(gone, 0, thin).astype(np.uint8)
        if (thin == before).all():
            return thin[1:-1, 1:-1]


def _save(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
