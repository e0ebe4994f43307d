"""Signed maps drawn as sharp pixels: blue above zero, orange below, transparent at zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.charts.sprites import signed_sprite_sheet, sprite_sheet
from pages.ui.components.component import register_component

SIDE = 28  # pixels of an image
# Both colours stand out on white and on near-black.
ABOVE, BELOW = (0x5A, 0x78, 0xEE), (0xD9, 0x7A, 0x36)


@dataclass(frozen=True, eq=False)
class MapRow:
    """Maps that stand side by side.

    Args:
        values: (N, H, W), between -1 and 1. With N = 0 only the title and the note are shown.
        alts: N descriptions for screen readers.
        title: heading of the row.
        note: explanation beside the heading.
        labels: N texts below the maps; empty for none.
        notes: N texts below the labels; empty for none.
        tile: width of a map in rem.
        ink: (28, 28) uint8, a digit that is drawn below the maps.
        box: (left, top, side) in pixels of the digit, a square to outline.
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


_mount_maps = register_component("maps", "tiles/maps", "tiles/map_rows")


def draw_maps(rows: Sequence[MapRow], key: str) -> None:
    """Draw rows of maps, one below the other."""
    _mount_maps(key=key, data={"rows": [map_row_data(row) for row in rows]})


def map_row_data(row: MapRow) -> dict[str, Any]:
    """The row as `tiles/map_rows.js` draws it."""
    count, height, width = row.values.shape
    sprites = signed_sprite_sheet(row.values if count else np.zeros((1, 1, 1)), ABOVE, BELOW)
    cells = [
        {
            "alt": description,
            "label": row.labels[position] if row.labels else "",
            "note": row.notes[position] if row.notes else "",
        }
        for position, description in enumerate(row.alts)
    ]
    return {
        "title": row.title,
        "note": row.note,
        "alt": row.alts[0] if row.alts else "",
        "sheet": sprites.uri,
        "width": sprites.width,
        "height": sprites.height,
        "places": sprites.places,
        "across": width,
        "down": height,
        "cells": cells,
        "tile": row.tile,
        "ink": None if row.ink is None else sprite_sheet(row.ink[None], 1).uri,
        "box": _box_percent(row.box),
    }


def _box_percent(box: tuple[int, int, int] | None) -> list[float] | None:
    """Clip a square to the image: left, top, width and height in percent of its side."""
    if box is None:
        return None
    left, top, side = box
    x, y = max(0, left), max(0, top)
    width, height = min(SIDE, left + side) - x, min(SIDE, top + side) - y
    return [100 * length / SIDE for length in (x, y, width, height)]
