"""Strokes of a drawing: checked, and rendered as ink."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

Ink = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

MAX_POINTS = 50_000
# Share of the digit's longer side; with it drawn digits carry as much ink as MNIST's.
STROKE_WIDTH = 0.145
# A tap is a dot, not a digit: nothing smaller than this share of the pad is blown up.
SMALLEST = 0.12


def strokes_to_ink(strokes: Any, size: int = 280) -> Ink:
    """Strokes drawn as lines whose width fits the digit's size, so that small digits don't come out fat.

    Args:
        strokes: lists of points [x, y], both 0 to 1 from the pad's top left corner; points outside are cut off.
        size: side of the result in pixels, 28 to 1,000.

    Returns:
        (size, size) uint8, ink bright; all zero when there are no strokes.

    Raises:
        UserError: the strokes are no lists of points, or too many.
    """
    import cv2

    lines = validate_strokes(strokes)
    canvas = np.zeros((size, size), np.uint8)
    if not lines:
        return canvas
    points = np.concatenate(lines)
    extent = max(float(np.ptp(points, axis=0).max()), SMALLEST)
    fine = 16  # OpenCV's fixed-point coordinates: four fractional bits
    thickness = max(1, round(STROKE_WIDTH * extent * size))
    for line in lines:
        pixels = np.round(line * size * fine).astype(np.int32)
        cv2.polylines(canvas, [pixels.reshape(-1, 1, 2)], False, 255, thickness, cv2.LINE_AA, 4)
        if len(line) == 1:
            cv2.circle(canvas, pixels[0].tolist(), thickness * fine // 2, 255, -1, cv2.LINE_AA, 4)
    return canvas


def validate_strokes(strokes: Any) -> list[Floats]:
    """Strokes as arrays of points, (n, 2) from 0 to 1; what lies outside is moved to the edge.

    Raises:
        UserError: the strokes are no lists of points, or too many.
    """
    if not isinstance(strokes, list | tuple):
        raise UserError(f"a drawing is a list of strokes, not {type(strokes).__name__}.")
    lines: list[Floats] = []
    total = 0
    for number, stroke in enumerate(strokes, 1):
        if not isinstance(stroke, list | tuple) or len(stroke) > MAX_POINTS:
            raise UserError(f"stroke {number} is no list of points.")
        try:
            line = np.array(stroke, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"stroke {number} holds something that is no point.") from None
        if line.size == 0:
            continue
        if line.ndim != 2 or line.shape[1] != 2 or not np.isfinite(line).all():
            raise UserError(f"stroke {number} holds something that is no point.")
        total += len(line)
        if total > MAX_POINTS:
            raise UserError(
                f"the drawing has more than {MAX_POINTS:,} points; clear it and draw again."
            )
        lines.append(np.clip(line, 0, 1))
    return lines
