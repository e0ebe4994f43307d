"""Images as PNG data URIs: many in one sprite sheet, or one file each."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
GAP = 1  # blank pixels around each image, so that scaling does not mix neighbours
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Images in one picture, whose ink is opaque and whose background is transparent."""

    uri: str
    width: int  # pixels
    height: int
    places: tuple[tuple[int, int], ...]  # left and top of each image


def sprite_sheet(images: Images, across: int = 10) -> Sheet:
    """Return one picture that contains all images.

    Args:
        images: (N, H, W) uint8, ink 255 on 0.
        across: images per row of the sheet.
    """
    # A palette of 256 alpha values is as small as a grey picture.
    return _sheet(images, across, 0, bytes(3 * 256), bytes(range(256)))


def signed_sprite_sheet(
    values: npt.NDArray[np.floating[Any]], above: Colour, below: Colour, across: int = 10
) -> Sheet:
    """Return one picture that contains all maps: one colour above 0, another below.

    Args:
        values: (N, H, W), clipped to -1 to 1.
        above, below: red, green and blue, 0 to 255.
        across: maps per row of the sheet.
    """
    steps = (127 + np.round(127 * np.clip(values, -1, 1))).astype(np.uint8)
    alphas = bytes(min(255, round(255 * abs(step - 127) / 127)) for step in range(256))
    return _sheet(steps, across, 127, bytes(below) * 127 + bytes(above) * 129, alphas)


def _sheet(images: Images, across: int, blank: int, palette: bytes, alphas: bytes) -> Sheet:
    count, height, width = images.shape
    down = max(1, -(-count // across))
    tall, wide = height + 2 * GAP, width + 2 * GAP
    page = np.full((down * across, tall, wide), blank, np.uint8)
    page[:count, GAP:-GAP, GAP:-GAP] = images
    page = page.reshape(down, across, tall, wide).swapaxes(1, 2).reshape(down * tall, across * wide)
    places = tuple((at % across * wide + GAP, at // across * tall + GAP) for at in range(count))
    return Sheet(_png(page, 8, palette, alphas), page.shape[1], page.shape[0], places)


def digit_pngs(images: Images, ink: Colour, paper: Colour) -> list[str]:
    """Return each image as a PNG of its own, with 16 colours from paper to ink.

    Args:
        images: (N, H, W) uint8, ink 255 on 0; W even.
        ink, paper: red, green and blue, 0 to 255.
    """
    palette = np.linspace(paper, ink, 16).round().astype(np.uint8).tobytes()
    greys = images >> 4
    packed = greys[..., ::2] << 4 | greys[..., 1::2]  # two pixels per byte
    return [_png(rows, 4, palette) for rows in packed]


def _png(rows: Images, bits: int, palette: bytes, alphas: bytes = b"") -> str:
    """Encode a PNG with a palette; imaging libraries are five times slower for small ones."""
    height, width = rows.shape
    header = struct.pack(">IIBBBBB", width * 8 // bits, height, bits, 3, 0, 0, 0)
    lines = np.zeros((height, width + 1), np.uint8)  # each line starts with its filter type: none
    lines[:, 1:] = rows
    parts = [
        (b"IHDR", header),
        (b"PLTE", palette),
        (b"tRNS", alphas),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
        if body or name == b"IEND"
    ]
    return f"data:image/png;base64,{base64.b64encode(_SIGNATURE + b''.join(chunks)).decode()}"
