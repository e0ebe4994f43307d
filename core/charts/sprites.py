"""Digits as PNG files inside a data URI: many on one sheet, or each by itself in given colours."""

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
GAP = 1  # blank pixels around each digit on a sheet, so that none bleeds into the next when it is scaled
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Digits side by side in one picture whose ink is opaque and whose paper is clear."""

    uri: str
    width: int  # pixels
    height: int
    places: tuple[tuple[int, int], ...]  # left and top of each digit


def sheet(images: Images, across: int = 10) -> Sheet:
    """One picture that holds all the images.

    Args:
        images: (N, H, W) uint8, ink bright.
        across: images in a row of the sheet.
    """
    # A palette of 256 alphas: as small as a grey picture, and clear where there is no ink.
    return _sheet(images, across, 0, bytes(3 * 256), bytes(range(256)))


def signed_sheet(
    values: npt.NDArray[np.floating[Any]], above: Colour, below: Colour, across: int = 10
) -> Sheet:
    """One picture that holds all the maps: one colour above zero, another below, clear at zero.

    Args:
        values: (N, H, W), -1 to 1; what lies beyond is drawn as the nearest of these.
        above, below: red, green and blue, 0 to 255.
        across: maps in a row of the sheet.
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


def singles(images: Images, ink: Colour, paper: Colour) -> list[str]:
    """Each image as a picture of its own, in sixteen steps from paper to ink.

    Args:
        images: (N, H, W) uint8, ink bright; W even.
        ink, paper: red, green and blue, 0 to 255.
    """
    palette = np.linspace(paper, ink, 16).round().astype(np.uint8).tobytes()
    greys = images >> 4
    halves = greys[..., ::2] << 4 | greys[..., 1::2]  # two pixels in a byte
    return [_png(rows, 4, palette) for rows in halves]


def _png(rows: Images, bits: int, palette: bytes, alphas: bytes = b"") -> str:
    """A picture with a palette as a data URI; an imaging library takes five times as long for one so small."""
    height, width = rows.shape
    header = struct.pack(">IIBBBBB", width * 8 // bits, height, bits, 3, 0, 0, 0)
    lines = np.zeros((height, width + 1), np.uint8)  # each line begins with its filter: none
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
