"""Picture files opened within bounds, and pictures converted to ink.

The page and the command line open pictures with the same function, so both accept the same files.
"""

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

MAX_FILE = 20_000_000  # bytes
MAX_PIXELS = 120_000_000  # of a JPEG, which can be decoded at a fraction of its size
MAX_DECODED = 20_000_000  # pixels that are decoded at most
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
# A JPEG with several scans keeps all its coefficients in memory, and each scan passes over them.
MAX_COEFFICIENT_BYTES = 450_000_000
MAX_SCANNED = 1_500_000_000  # pixels times scans: about 1.5 seconds
SCAN_MARKER = b"\xff\xda"  # cannot occur inside a scan
# Pillow decodes run-length BMPs in Python; JPEG inside TIFF would bypass the limits on scans.
COMPRESSIONS = {
    "BMP": (0, 3),
    "TIFF": (
        "raw",
        "packbits",
        "tiff_lzw",
        "tiff_adobe_deflate",
        "tiff_deflate",
        "group3",
        "group4",
    ),
}
ORIENTATION = 0x0112  # EXIF tag
LONGER_SIDE = 1_600  # pixels: larger pictures are reduced to it
INK_SIDE = 800  # pixels: longer side of the ink
MIN_SIDE = 8  # pixels
MIN_CONTRAST = 12  # of 255: anything fainter is grain


def open_picture(data: bytes) -> Image:
    """Open a picture file, upright and reduced to a size that is quick to work with.

    Args:
        data: A PNG, JPEG, WebP, BMP, GIF or TIFF file of at most MAX_FILE bytes.

    Raises:
        UserError: The file is not a picture, or too large. Every size is checked before decoding.
    """
    from PIL import Image as pillow

    if len(data) > MAX_FILE:
        raise UserError(
            f"the file has {len(data) / 1e6:.1f} MB; at most {MAX_FILE / 1e6:.0f} MB are read."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked below; metadata does not matter
            # Only these formats: Pillow would run Ghostscript for PostScript.
            picture: Any = pillow.open(io.BytesIO(data), formats=FORMATS)
            _check_cost(picture, data)
            width, height = picture.size
            scale = LONGER_SIDE / max(width, height)
            if scale < 1:
                picture.draft(None, (max(1, int(width * scale)), max(1, int(height * scale))))
            _check_size(picture.size[::-1], MAX_DECODED, "; reduce it, or save it as JPEG")
            picture = _turn_upright(picture)
            if max(picture.size) > LONGER_SIDE:
                picture = _reduce(picture)
            picture.load()
    except UserError:
        raise
    except pillow.DecompressionBombError:
        raise UserError(
            f"the picture has far more than the {MAX_PIXELS:,} pixels that are read; reduce it."
        ) from None
    except Exception:  # Pillow raises a dozen types for broken files
        raise UserError(
            "the file is not a picture that can be read; save it as PNG or JPEG."
        ) from None
    return picture


def picture_to_ink(picture: Image | npt.NDArray[Any]) -> Ink:
    """Extract the ink from a picture: dark on light or light on dark, scanned or photographed.

    Args:
        picture: A Pillow image, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, or
            float from 0 to 1.

    Returns:
        (H, W) uint8, ink bright, at most 800 pixels a side; shading and specks are removed. All
        zeros if nothing stands out from the background.

    Raises:
        UserError: It is not a picture, too small, or too large.
    """
    import cv2

    grey: Any = _to_grey(picture)
    if max(grey.shape) > INK_SIDE:
        scale = INK_SIDE / max(grey.shape)
        size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)

    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background = float(np.median(border))
    ink = grey - background if grey.mean() > background else background - grey
    if np.percentile(np.abs(border - background), 90) > 4:  # uneven: a photograph or a scan
        ink = _remove_shading(grey)
    ink = np.maximum(ink, 0)
    if ink.max() < MIN_CONTRAST:
        return np.zeros(grey.shape, np.uint8)
    return np.round(ink * (255 / ink.max())).astype(np.uint8)


def _check_cost(picture: Any, data: bytes) -> None:
    """Refuse a picture whose decoding would take too much time or memory.

    Raises:
        UserError: It has too many pixels or scans, or an unusual compression.
    """
    name = picture.format
    if name in COMPRESSIONS and picture.info.get("compression", 0) not in COMPRESSIONS[name]:
        raise UserError(f"this kind of {name} file is not read; save it as PNG or JPEG.")
    if name not in ("JPEG", "MPO"):
        return  # only a JPEG is decoded at a fraction of its size
    _check_size(picture.size[::-1], MAX_PIXELS, "; reduce it")
    pixels, scans = picture.size[0] * picture.size[1], data.count(SCAN_MARKER)
    sampling = [(horizontal, vertical) for _, horizontal, vertical, _ in picture.layer]
    largest = max(horizontal * vertical for horizontal, vertical in sampling)
    samples = pixels * sum(horizontal * vertical for horizontal, vertical in sampling) / largest
    if scans > 1 and (pixels * scans > MAX_SCANNED or 2 * samples > MAX_COEFFICIENT_BYTES):
        raise UserError(
            f"this JPEG has {scans:,} scans of {pixels:,} pixels, which take too long to decode; "
            "reduce it, or save it as a baseline JPEG."
        )


def _turn_upright(picture: Any) -> Any:
    """Apply the EXIF orientation; broken metadata is ignored."""
    from PIL.Image import Transpose

    try:
        orientation = picture.getexif().get(ORIENTATION)
    except Exception:  # Pillow raises half a dozen types for broken metadata
        orientation = None
    transpositions = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    if isinstance(orientation, int) and orientation in transpositions:
        return picture.transpose(transpositions[orientation])
    return picture


def _reduce(picture: Any) -> Any:
    """Scale a picture down to LONGER_SIDE."""
    from PIL.Image import Resampling

    # Palette and bilevel pixels cannot be averaged, nor can Pillow average 16 bits.
    picture = picture.convert({"P": "RGBA", "1": "L"}.get(picture.mode, picture.mode))
    sixteen_bits = picture.mode.startswith("I")
    picture.thumbnail(
        (LONGER_SIDE, LONGER_SIDE), Resampling.NEAREST if sixteen_bits else Resampling.BICUBIC
    )
    return picture


def _remove_shading(grey: Floats) -> Floats:
    """Return the ink on an uneven background, without grain and specks.

    Whether the ink is darker or lighter than the background is decided by what departs most from
    a wide median.
    """
    import cv2

    smooth = cv2.GaussianBlur(grey, (0, 0), max(grey.shape) / 250 + 0.3)
    small = cv2.resize(smooth, (96, 96), interpolation=cv2.INTER_AREA)
    # Ink covers less than half of any neighbourhood, so a wide median is the background.
    departure = small - cv2.medianBlur(small.astype(np.uint8), 61)
    low, high = np.percentile(departure, [1, 99])
    dark = -low >= high

    background = _estimate_background(smooth, cv2.MORPH_CLOSE if dark else cv2.MORPH_OPEN)
    # Light multiplies: for dark ink the ratio to the background removes uneven lighting.
    ink: Any = (1 - smooth / np.maximum(background, 1)) * 255 if dark else smooth - background
    ink = np.minimum(np.maximum(ink, 0), 255)

    level, mask = cv2.threshold(ink.astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count > 1:
        areas = stats[1:, cv2.CC_STAT_AREA]
        large = np.flatnonzero(areas >= 0.08 * areas.max()) + 1
        ink = ink * cv2.dilate(np.isin(labels, large).astype(np.uint8), np.ones((5, 5), np.uint8))
    return np.where(ink < 0.5 * level, 0, np.minimum(ink, 2 * level))


def _estimate_background(smooth: Any, operation: int) -> Any:
    """Estimate the grey values behind the ink by a morphological operation that removes ink.

    They change slowly, so a reduced picture is enough and takes a hundredth of the time.
    """
    import cv2

    height, width = smooth.shape
    scale = min(1.0, 200 / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(smooth, size, interpolation=cv2.INTER_AREA)
    side = max(15, round(max(small.shape) / 4) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    background = cv2.GaussianBlur(cv2.morphologyEx(small, operation, kernel), (0, 0), side / 4)
    return cv2.resize(background, (width, height), interpolation=cv2.INTER_LINEAR)


def _to_grey(picture: Any) -> Floats:
    """Convert a picture to grey values (H, W), float32 from 0 to 255."""
    from PIL import Image as pillow

    if isinstance(picture, pillow.Image):
        picture = _to_array(picture)
    if not isinstance(picture, np.ndarray) or picture.dtype.kind not in "buif":
        raise UserError(f"a picture is an image or an array of pixels, not {_type_name(picture)}.")
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4):
        raise UserError(f"a picture is grey, RGB or RGBA, not of shape {picture.shape}.")
    _check_size(picture.shape[:2], MAX_DECODED)
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
        light_ink = alpha.min() < 0.5 and grey[alpha > 0.5].mean() > 160
        grey = grey * alpha + (0.0 if light_ink else 255.0) * (1 - alpha)
    return grey


def _to_array(picture: Any) -> npt.NDArray[np.uint8]:
    from PIL import Image as pillow

    _check_size(picture.size[::-1], MAX_DECODED)
    try:
        if picture.mode.startswith("I;16"):  # Pillow's conversion to 8 bits clips, not scales
            picture = pillow.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        return np.asarray(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"the picture cannot be read ({error}); save it again as PNG or JPEG."
        ) from None


def _check_size(shape: tuple[int, ...], most: int, advice: str = "") -> None:
    if int(np.prod(shape, dtype=np.int64)) > most:
        raise UserError(
            f"the picture has {shape[1]:,}x{shape[0]:,} pixels; at most {most:,} are read{advice}."
        )


def _type_name(value: Any) -> str:
    return f"{value.dtype} values" if isinstance(value, np.ndarray) else type(value).__name__
