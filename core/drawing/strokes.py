"""Strokes drawn on the pad: parsed, and rendered as ink.

Ink is a uint8 array: 0 on the background, up to 255 in the line, as in MNIST.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

Ink = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

MAX_POINTS = 50_000
# Line width as a fraction of the digit's longer side; drawings then hold as much ink as MNIST.
STROKE_WIDTH = 0.145
# Fraction of the pad. A smaller drawing gets the line width of one this large, so that a tap is
# still a visible dot.
MIN_EXTENT = 0.12
INK_SIZE = 280  # side in pixels of the ink that becomes MNIST's form
FRACTIONAL_BITS = 4  # in the fixed-point coordinates that OpenCV takes


def strokes_to_ink(strokes: Any, size: int = INK_SIZE) -> Ink:
    """Render strokes with a line width proportional to the size of the digit.

    Args:
        strokes: Lists of points [x, y], both from 0 to 1, measured from the pad's top left corner.
            Points outside are moved to the edge.
        size: Side of the result in pixels.

    Returns:
        (size, size) uint8; all zeros when there are no strokes.

    Raises:
        UserError: The strokes are not lists of points, or there are too many points.
    """
    import cv2

    lines = parse_strokes(strokes)
    canvas = np.zeros((size, size), np.uint8)
    if not lines:
        return canvas

    extent = max(float(np.ptp(np.concatenate(lines), axis=0).max()), MIN_EXTENT)
    thickness = max(1, round(STROKE_WIDTH * extent * size))
    scale = 2**FRACTIONAL_BITS
    for line in lines:
        points = np.round(line * size * scale).astype(np.int32)
        cv2.polylines(
            canvas, [points.reshape(-1, 1, 2)], False, 255, thickness, cv2.LINE_AA, FRACTIONAL_BITS
        )
        if len(line) == 1:
            radius = thickness * scale // 2
            cv2.circle(canvas, points[0].tolist(), radius, 255, -1, cv2.LINE_AA, FRACTIONAL_BITS)
    return canvas


def parse_strokes(strokes: Any) -> list[Floats]:
    """Convert strokes to arrays, clip them to the pad and drop empty ones.

    Args:
        strokes: As for `strokes_to_ink`.

    Returns:
        One (n, 2) float64 array of points from 0 to 1 per stroke that has points.

    Raises:
        UserError: The strokes are not lists of points, or there are too many points.
    """
    if not isinstance(strokes, list | tuple):
        raise UserError(f"a drawing is a list of strokes, not {type(strokes).__name__}.")
    lines: list[Floats] = []
    total = 0
    for number, stroke in enumerate(strokes, 1):
        if not isinstance(stroke, list | tuple) or len(stroke) > MAX_POINTS:
            raise UserError(f"stroke {number} is not a list of at most {MAX_POINTS:,} points.")
        try:
            line = np.array(stroke, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"stroke {number} contains something other than points.") from None
        if line.size == 0:
            continue
        if line.ndim != 2 or line.shape[1] != 2 or not np.isfinite(line).all():
            raise UserError(f"stroke {number} contains something other than points [x, y].")
        total += len(line)
        if total > MAX_POINTS:
            raise UserError(
                f"the drawing has more than {MAX_POINTS:,} points; clear it and draw again."
            )
        lines.append(np.clip(line, 0, 1))
    return lines
