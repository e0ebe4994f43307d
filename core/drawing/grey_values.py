"""A picture of any mode or number format, converted to grey values from 0 to 255."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

Floats = npt.NDArray[np.floating[Any]]

MAX_DECODED = 20_000_000  # pixels
MIN_SIDE = 8  # pixels
DEPTHS = (8, 10, 12, 14, 16, 24, 32)  # bits that scanners and cameras use
# Pillow's modes with more than 8 bits a pixel; its own conversion to 8 bits clips them.
DEEP_MODES = ("I", "F")


def to_grey(picture: Any) -> Floats:
    """Convert a picture to grey values.

    Args:
        picture: A Pillow image, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, or
            float from 0 to 1. An image with integers of more than 8 bits may use any number of
            them, and one with floats may use any range.

    Returns:
        (H, W) float32 from 0 to 255. Transparent pixels are white, or black around light ink.

    Raises:
        UserError: It is not a picture, too small, or too large.
    """
    from PIL import Image as pillow

    if isinstance(picture, pillow.Image):
        picture = _to_array(picture)
    if not isinstance(picture, np.ndarray) or picture.dtype.kind not in "buif":
        raise UserError(f"a picture is an image or an array of pixels, not {_type_name(picture)}.")
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4):
        raise UserError(f"a picture is grey, RGB or RGBA, not of shape {picture.shape}.")
    check_size(picture.shape[:2], MAX_DECODED)
    if min(picture.shape[:2]) < MIN_SIDE:
        height, width = picture.shape[:2]
        raise UserError(
            f"the picture has {width}x{height} pixels; a digit needs at least "
            f"{MIN_SIDE}x{MIN_SIDE}."
        )
    values = picture.astype(np.float32) * (255 if picture.dtype.kind in "bf" else 1)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise UserError("the values of a picture range from 0 to 255, or from 0 to 1 as floats.")

    if values.shape[2] == 1:
        return values[..., 0]
    grey = values[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    if values.shape[2] == 4:
        alpha = values[..., 3] / 255
        # Light ink on a transparent ground gets a black background, anything else a white one.
        opaque = alpha > 0.5 * alpha.max()  # ink may be faint everywhere
        light_ink = opaque.any() and not opaque.all() and grey[opaque].mean() > 160
        grey = grey * alpha + (0.0 if light_ink else 255.0) * (1 - alpha)
    return np.asarray(np.clip(grey, 0, 255), np.float32)


def check_size(shape: tuple[int, ...], most: int, advice: str = "") -> None:
    """Refuse a picture (H, W) with more than `most` pixels.

    Raises:
        UserError: It has more.
    """
    if int(np.prod(shape, dtype=np.int64)) > most:
        raise UserError(
            f"the picture has {shape[1]:,}x{shape[0]:,} pixels; at most {most:,} are read{advice}."
        )


def _to_array(picture: Any) -> npt.NDArray[Any]:
    """Return the pixels of a Pillow image: uint8, or float from 0 to 1 if they are deeper."""
    check_size(picture.size[::-1], MAX_DECODED)
    try:
        if picture.mode.startswith(DEEP_MODES):
            return _scale_to_one(np.asarray(picture))
        return np.asarray(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"the picture cannot be read ({error}); save it again as PNG or JPEG."
        ) from None


def _scale_to_one(values: npt.NDArray[Any]) -> Floats:
    """Scale deep pixels to the range from 0 to 1, by the range that they seem to use.

    Integers use the smallest of DEPTHS that holds them. Floats run from 0 to 1 or from 0 to 255;
    any other range is stretched from its least to its greatest value.
    """
    integers = values.dtype.kind in "bui"
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        return values  # refused with a sentence by the caller
    low, high = float(values.min()), float(values.max())
    if low >= 0 and integers:
        return values / next(2**bits - 1 for bits in DEPTHS if high < 2**bits)
    if low >= 0 and high <= 1:
        return values
    if low >= 0 and 16 < high <= 255:
        return values / 255
    return (values - low) / max(high - low, 1e-12)


def _type_name(value: Any) -> str:
    return f"{value.dtype} values" if isinstance(value, np.ndarray) else type(value).__name__
