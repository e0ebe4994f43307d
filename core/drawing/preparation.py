"""MNIST's form: 28x28, ink bright, scaled to fit 20x20, centred by its mass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

Ink = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

SIDE, BOX = 28, 20
MAX_PIXELS = 50_000_000
VISIBLE = 0.08  # of the darkest ink; fainter ink does not count towards the digit's extent


def to_mnist(ink: npt.NDArray[Any]) -> Ink:
    """Crop to the ink, scale its longer side to 20 pixels, and centre it by its mass in 28x28.

    Source: the description of the dataset at http://yann.lecun.com/exdb/mnist.

    Args:
        ink: (H, W), ink bright on zero; uint8, or float of any range from 0 upwards.

    Returns:
        (28, 28) uint8 with the darkest ink at 255; all zeros for a blank drawing.

    Raises:
        UserError: The array is not two-dimensional, is empty or too large, or holds negative or
            non-finite values.
    """
    import cv2

    ink = _validate_ink(ink)
    darkest = float(ink.max())
    result = np.zeros((SIDE, SIDE), np.uint8)
    if darkest <= 0:
        return result

    ink = ink / darkest
    rows = np.flatnonzero(ink.max(axis=1) > VISIBLE)
    columns = np.flatnonzero(ink.max(axis=0) > VISIBLE)
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    scale = BOX / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(ink, (width, height), interpolation=interpolation)
    small = np.clip(small / small.max(), 0, 1)

    top, left = (_centring_offset(small.sum(axis=axis)) for axis in (1, 0))
    result[top : top + height, left : left + width] = np.round(small * 255).astype(np.uint8)
    return result


def _centring_offset(profile: npt.NDArray[Any]) -> int:
    """Return where a profile of ink starts so that its centre of mass is at pixel 14 of 28.

    Measured on MNIST: the centres of mass lie between 13.5 and 14.5, pixels counted from 0.
    """
    centre = float((profile * np.arange(len(profile))).sum() / profile.sum())
    return int(np.clip(round(SIDE / 2 - centre), 0, SIDE - len(profile)))


def _validate_ink(ink: Any) -> Floats:
    if not isinstance(ink, np.ndarray) or ink.dtype.kind not in "buif":
        raise UserError(f"a drawing is an array of grey values, not {type(ink).__name__}.")
    if ink.ndim != 2 or ink.size == 0:
        raise UserError(f"a drawing has rows and columns of pixels, not the shape {ink.shape}.")
    if ink.size > MAX_PIXELS:
        raise UserError(f"a drawing has at most {MAX_PIXELS:,} pixels, not {ink.size:,}.")
    values = ink.astype(np.float32)
    if not np.isfinite(values).all() or values.min() < 0:
        raise UserError("the grey values of a drawing are finite numbers from 0 upwards.")
    return values
