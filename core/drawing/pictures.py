"""Picture files: opened within bounds, and turned into ink."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

Ink = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

MAX_PIXELS = 50_000_000
MAX_FILE = 20_000_000  # bytes
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MAX_UNPACKED = 20_000_000  # pixels of a file that has to be unpacked whole
LARGE = 1_600  # pixels: a picture's longer side once it is open


def open_picture(data: bytes) -> Image:
    """The picture in a file, brought down to a size that is quick to work with.

    Args:
        data: a PNG, JPEG, WebP, BMP or GIF file, at most MAX_FILE bytes and MAX_PIXELS pixels.

    Raises:
        UserError: it is too large, or no picture; nothing is unpacked before its size is known.
    """
    from PIL import Image as pillow
    from PIL import ImageOps

    if len(data) > MAX_FILE:
        raise UserError(
            f"the file has {len(data) / 1e6:.1f} MB; at most {MAX_FILE / 1e6:.0f} MB are read."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a size that Pillow only warns of is refused below
            picture = pillow.open(io.BytesIO(data), formats=FORMATS)
        # Only a JPEG can be unpacked at a fraction of its size.
        _check_size(
            picture.size[::-1], MAX_PIXELS if picture.format in ("JPEG", "MPO") else MAX_UNPACKED
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on metadata that are of no use here
            picture.draft(None, (LARGE, LARGE))
            upright: Any = ImageOps.exif_transpose(picture)
            if max(upright.size) > LARGE:
                upright = upright.convert({"P": "RGBA", "1": "L"}.get(upright.mode, upright.mode))
                grained = upright.mode.startswith("I")  # of 16 bits, which Pillow cannot average
                upright.thumbnail(
                    (LARGE, LARGE),
                    pillow.Resampling.NEAREST if grained else pillow.Resampling.BICUBIC,
                )
            upright.load()
    except UserError:
        raise
    except pillow.DecompressionBombError:
        raise UserError(
            f"the picture has far more than the {MAX_UNPACKED:,} pixels that are read."
        ) from None
    except Exception:  # Pillow raises a dozen kinds over a broken file
        raise UserError(
            "the file is no picture that can be read; save it as PNG or JPEG."
        ) from None
    return upright


def picture_to_ink(picture: Image | npt.NDArray[Any]) -> Ink:
    """The ink of a picture of a digit: dark on light or light on dark, scanned or photographed.

    Args:
        picture: a Pillow image, or (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, or float from 0 to 1.

    Returns:
        (H, W) uint8, ink bright; shading of the paper and specks removed, at most 800 pixels a side.

    Raises:
        UserError: it is no picture, too small, or too large.
    """
    import cv2

    grey: Any = _grey(picture)
    if max(grey.shape) > 800:
        scale = 800 / max(grey.shape)
        size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = float(np.median(border))
    ink = grey - paper if grey.mean() > paper else paper - grey
    if np.percentile(np.abs(border - paper), 90) > 4:  # no even paper: a photograph or a scan
        ink = _unshaded(grey)
    ink = np.maximum(ink, 0)
    if ink.max() < 12:  # of 255: nothing that could be told from the paper's grain
        return np.zeros(grey.shape, np.uint8)
    return np.round(ink * (255 / ink.max())).astype(np.uint8)


def _unshaded(grey: Floats) -> Floats:
    """Ink above uneven paper, with grain and specks removed; the sign is chosen by what covers less."""
    import cv2

    smooth = cv2.GaussianBlur(grey, (0, 0), max(grey.shape) / 250 + 0.3)
    small = cv2.resize(smooth, (96, 96), interpolation=cv2.INTER_AREA)
    # Ink covers the lesser part of its surroundings, so a wide median is paper; ink is what departs from it most.
    departure = small - cv2.medianBlur(small.astype(np.uint8), 61)
    low, high = np.percentile(departure, [1, 99])
    dark = -low >= high
    paper = _paper(smooth, cv2.MORPH_CLOSE if dark else cv2.MORPH_OPEN)
    # Of dark ink the share, to take out the light that falls unevenly on the paper.
    ink: Any = (1 - smooth / np.maximum(paper, 1)) * 255 if dark else smooth - paper
    ink = np.minimum(np.maximum(ink, 0), 255)
    level, mask = cv2.threshold(ink.astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count > 1:
        areas = stats[1:, cv2.CC_STAT_AREA]
        kept = np.flatnonzero(areas >= 0.08 * areas.max()) + 1
        near = cv2.dilate(np.isin(labels, kept).astype(np.uint8), np.ones((5, 5), np.uint8))
        ink = ink * near
    return np.where(ink < 0.5 * level, 0, np.minimum(ink, 2 * level))


def _paper(smooth: Any, without_ink: int) -> Any:
    """The paper's grey below the ink. It changes slowly, and in small the work is a hundred times less."""
    import cv2

    height, width = smooth.shape
    scale = min(1.0, 200 / max(height, width))
    small = cv2.resize(
        smooth,
        (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=cv2.INTER_AREA,
    )
    side = max(15, round(max(small.shape) / 4) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    paper = cv2.GaussianBlur(cv2.morphologyEx(small, without_ink, kernel), (0, 0), side / 4)
    return cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)


def _grey(picture: Any) -> Floats:
    """A picture's grey values, (H, W) float32 from 0 to 255; transparent parts become white paper."""
    from PIL import Image as pillow
    from PIL import ImageOps

    if isinstance(picture, pillow.Image):
        _check_size(picture.size[::-1])
        try:
            if picture.mode.startswith(
                "I;16"
            ):  # Pillow's own way to 8 bits would cut off instead of scaling
                picture = pillow.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            picture = np.asarray(ImageOps.exif_transpose(picture).convert("RGBA"))
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(
                f"the picture cannot be read ({error}); save it again as PNG or JPEG."
            ) from None
    if not isinstance(picture, np.ndarray) or picture.dtype.kind not in "buif":
        raise UserError(f"a picture is an image or an array of pixels, not {_named(picture)}.")
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4):
        raise UserError(f"a picture is grey, RGB or RGBA, not of shape {picture.shape}.")
    _check_size(picture.shape[:2])
    if min(picture.shape[:2]) < 8:
        raise UserError(
            f"the picture has {picture.shape[1]}x{picture.shape[0]} pixels; a digit needs at least 8x8."
        )
    values = picture.astype(np.float32) * (255 if picture.dtype.kind in "bf" else 1)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise UserError("a picture's values go from 0 to 255, or from 0 to 1 as fractions.")
    if values.shape[2] == 1:
        return values[..., 0]
    grey = values[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    if values.shape[2] == 4:
        alpha = values[..., 3] / 255
        paper = (
            0.0 if alpha.min() < 0.5 and grey[alpha > 0.5].mean() > 160 else 255.0
        )  # light ink, clear ground
        grey = grey * alpha + paper * (1 - alpha)
    return grey


def _check_size(shape: tuple[int, ...], most: int = MAX_PIXELS) -> None:
    if int(np.prod(shape, dtype=np.int64)) > most:
        raise UserError(f"the picture has {shape[1]}x{shape[0]} pixels; at most {most:,} are read.")


def _named(value: Any) -> str:
    return f"{value.dtype} values" if isinstance(value, np.ndarray) else type(value).__name__
