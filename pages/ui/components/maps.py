"""Signed maps as crisp pixels on the drawing page: blue above zero, orange below, clear at zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.charts.sprites import sheet, signed_sheet
from pages.ui.components.component import component

ABOVE, BELOW = (0x5A, 0x78, 0xEE), (0xD9, 0x7A, 0x36)  # stand out on white and on near-black


@dataclass(frozen=True, eq=False)
class Line:
    """Maps in a row.

    Args:
        values: (N, H, W), -1 to 1; none: only the title and the note are shown.
        alts: what each map shows.
        title, note: above them.
        labels, notes: below each.
        tile: width of a map in rem.
        ink: (28, 28) uint8, a digit to lie below them.
        box: (left, top, side) in pixels, a square to mark.
    """

    values: np.ndarray
    alts: Sequence[str]
    title: str = ""
    note: str = ""
    labels: Sequence[str] = ()
    notes: Sequence[str] = ()
    tile: float = 5.25
    ink: np.ndarray | None = None
    box: tuple[int, int, int] | None = None


_maps = component("maps", "tiles/maps")


def maps(lines: Sequence[Line], key: str) -> None:
    """Rows of maps, one below the other."""
    _maps(key=key, data={"rows": [_row(line) for line in lines]})


def _row(line: Line) -> dict[str, Any]:
    count, down, across = line.values.shape
    page = signed_sheet(line.values if count else np.zeros((1, 1, 1)), ABOVE, BELOW)
    cells = [
        {
            "alt": alt,
            "label": line.labels[at] if line.labels else "",
            "note": line.notes[at] if line.notes else "",
        }
        for at, alt in enumerate(line.alts)
    ]
    return {
        "title": line.title,
        "note": line.note,
        "alt": line.alts[0] if line.alts else "",
        "sheet": page.uri,
        "width": page.width,
        "height": page.height,
        "places": page.places,
        "across": across,
        "down": down,
        "cells": cells,
        "tile": line.tile,
        "ink": None if line.ink is None else sheet(line.ink[None], 1).uri,
        "box": _box(line.box),
    }


def _box(box: tuple[int, int, int] | None) -> list[float] | None:
    """The part of a square that lies on the image: left, top, width and height in percent."""
    if box is None:
        return None
    left, top, side = box
    low = [max(0, left), max(0, top)]
    return [
        100 * each / 28
        for each in (*low, min(28, left + side) - low[0], min(28, top + side) - low[1])
    ]
