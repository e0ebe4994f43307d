"""Picture files opened within bounds, and pictures converted to ink.

The page and the command line open pictures with the same function, so both accept the same files.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.drawing.extraction import extract_ink
from core.drawing.grey_values import DEEP_MODES, MAX_DECODED, check_size, to_grey
from core.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

Ink = npt.NDArray[np.uint8]

MAX_FILE = 20_000_000  # bytes
MAX_PIXELS = 120_000_000  # of a JPEG, which can be decoded at a fraction of its size
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
ANIMATED = ("GIF", "PNG", "WEBP")
ORIENTATION = 0x0112  # EXIF tag
MAX_SIDE = 1_600  # pixels: of the longer side; larger pictures are reduced to it
# Of an animation; frames beyond are not looked at.
MAX_FRAMES, MAX_FRAME_PIXELS = 500, 60_000_000  # together


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
            scale = MAX_SIDE / max(width, height)
            if scale < 1:
                picture.draft(None, (max(1, int(width * scale)), max(1, int(height * scale))))
            check_size(picture.size[::-1], MAX_DECODED, "; reduce it, or save it as JPEG")
            picture = _turn_upright(_last_frame(picture))
            if max(picture.size) > MAX_SIDE:
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
        picture: As for `grey_values.to_grey`.

    Returns:
        As `extraction.extract_ink`: the digits alone; all zeros if there is none.

    Raises:
        UserError: It is not a picture, too small, or too large.
    """
    return extract_ink(to_grey(picture))


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
    check_size(picture.size[::-1], MAX_PIXELS, "; reduce it")
    pixels, scans = picture.size[0] * picture.size[1], data.count(SCAN_MARKER)
    sampling = [(horizontal, vertical) for _, horizontal, vertical, _ in picture.layer]
    largest = max(horizontal * vertical for horizontal, vertical in sampling)
    samples = pixels * sum(horizontal * vertical for horizontal, vertical in sampling) / largest
    if scans > 1 and (pixels * scans > MAX_SCANNED or 2 * samples > MAX_COEFFICIENT_BYTES):
        raise UserError(
            f"this JPEG has {scans:,} scans of {pixels:,} pixels, which take too long to decode; "
            "reduce it, or save it as a baseline JPEG."
        )


def _last_frame(picture: Any) -> Any:
    """Return the last frame of an animation that is not blank, such as a drawing when it is done.

    At most MAX_FRAMES are read, and as many as have MAX_FRAME_PIXELS together. The pages of a TIFF
    file are not an animation; the first one is read.
    """
    if not getattr(picture, "is_animated", False) or picture.format not in ANIMATED:
        return picture
    last = None
    pixels = 0
    for number in range(MAX_FRAMES):
        try:
            picture.seek(number)
        except EOFError:
            break
        check_size(picture.size[::-1], MAX_DECODED)  # a frame may enlarge the picture
        pixels += picture.size[0] * picture.size[1]
        if number and pixels > MAX_FRAME_PIXELS:
            break
        grey = picture.convert("L")
        if last is None or grey.getextrema()[0] != grey.getextrema()[1]:
            last = picture.copy()
    return last


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
    """Scale a picture down until its longer side is MAX_SIDE."""
    from PIL.Image import Resampling

    # Palette and bilevel pixels cannot be averaged, nor can Pillow average 16 bits.
    if picture.mode.startswith(DEEP_MODES):
        from PIL import Image as pillow

        values = np.asarray(picture)
        picture = pillow.fromarray(values.astype(np.float32))
        picture.thumbnail((MAX_SIDE, MAX_SIDE), Resampling.BILINEAR)  # stays in range
        if values.dtype.kind == "f":
            return picture
        return pillow.fromarray(np.asarray(picture).round().astype(np.int32))
    picture = picture.convert({"P": "RGBA", "1": "L"}.get(picture.mode, picture.mode))
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Resampling.BICUBIC)
    return picture
