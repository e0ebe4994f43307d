"""Strokes drawn on the pad: validated, and rendered as ink.

Ink is an array that is 0 where nothing is drawn, and larger where the line is darker.
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
# Smallest extent, as a fraction of the pad, that the line width follows: a tap stays a dot.
MIN_EXTENT = 0.12
FRACTIONAL_BITS = 4  # of OpenCV's fixed-point coordinates


def strokes_to_ink(strokes: Any, size: int = 280) -> Ink:
    """Render strokes with a line width proportional to the size of the digit.

    Args:
        strokes: Lists of points [x, y], both from 0 to 1, measured from the pad's top left corner.
            Points outside are moved to the edge.
        size: Side of the result in pixels, 28 to 1,000.

    Returns:
        (size, size) uint8, ink bright; all zeros when there are no strokes.

    Raises:
        UserError: The strokes are not lists of points, or there are too many points.
    """
    import cv2

    lines = validate_strokes(strokes)
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


def validate_strokes(strokes: Any) -> list[Floats]:
    """Convert strokes to arrays of points (n, 2) from 0 to 1; points outside move to the edge.

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
