"""MNIST's form: 28x28, ink bright, scaled to 20x20, centred by its mass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

Ink = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

SIDE, BOX = 28, 20
MAX_PIXELS = 50_000_000


def to_mnist(ink: npt.NDArray[Any]) -> Ink:
    """Crop to the ink, scale its longer side to 20 pixels, and centre it by its mass in 28x28.

    Args:
        ink: (H, W), ink bright on zero; uint8, or float of any positive range.

    Returns:
        (28, 28) uint8 with the darkest ink at 255; all zero for a blank drawing.

    Raises:
        UserError: the array has no two axes, no pixels, too many, or holds what is no number.
    """
    import cv2

    ink = _checked_ink(ink)
    top = float(ink.max())
    result = np.zeros((SIDE, SIDE), np.uint8)
    if top <= 0:
        return result
    ink = ink / top
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.08), np.flatnonzero(ink.max(axis=0) > 0.08)
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    small = cv2.resize(
        ink, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    small = np.clip(small / small.max(), 0, 1)
    y, x = (_corner(small.sum(axis=axis)) for axis in (1, 0))
    result[y : y + height, x : x + width] = np.round(small * 255).astype(np.uint8)
    return result


def _corner(profile: npt.NDArray[Any]) -> int:
    """Where a profile of ink starts in 28 pixels so that its centre of mass falls into pixel 14.

    Measured on MNIST's own images: their centres of mass lie between 13.5 and 14.5, pixels counted from 0.
    """
    centre = float((profile * np.arange(len(profile))).sum() / profile.sum())
    return int(np.clip(round(SIDE / 2 - centre), 0, SIDE - len(profile)))


def _checked_ink(ink: Any) -> Floats:
    if not isinstance(ink, np.ndarray) or ink.dtype.kind not in "buif":
        raise UserError(f"a drawing is an array of grey values, not {type(ink).__name__}.")
    if ink.ndim != 2 or ink.size == 0:
        raise UserError(f"a drawing has rows and columns of pixels, not the shape {ink.shape}.")
    if ink.size > MAX_PIXELS:
        raise UserError(f"a drawing has at most {MAX_PIXELS:,} pixels, not {ink.size:,}.")
    values = ink.astype(np.float32)
    if not np.isfinite(values).all() or values.min() < 0:
        raise UserError("a drawing's grey values are numbers from 0 (paper) upwards.")
    return values
