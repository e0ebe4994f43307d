"""Digits drawn as sharp pixels in the text colour: many in a grid, or a single one enlarged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.charts.sprites import sprite_sheet
from pages.ui.components.component import register_component

_mount_gallery = register_component("gallery", "tiles/gallery")
_mount_closeup = register_component("closeup", "tiles/closeup")


def draw_gallery(
    images: np.ndarray,
    alt: str,
    key: str,
    *,
    alts: Sequence[str],
    labels: Sequence[str] = (),
    notes: Sequence[str] = (),
    stacked: bool = False,
    marked: Sequence[int] = (),
    columns: Sequence[int] = (),
    headings: Sequence[str] = (),
    tile: float = 3.5,
    picked: int | None = None,
    on_pick: Callable[[], None] | None = None,
) -> None:
    """Draw images in a grid.

    Args:
        images: (N, 28, 28) uint8.
        alt: description of the grid for screen readers.
        key: key of the component.
        alts: N descriptions, one for each image.
        labels: N texts below the images, in bold; empty for none.
        notes: N texts beside the labels, in grey; empty for none.
        stacked: whether the notes stand below the labels instead.
        marked: positions of the images that get a question mark in their corner.
        columns: number of images in each group of columns, such as (1, 8); empty: as many as fit.
        headings: text at the left of each row; only with `columns`.
        tile: side of an image in rem, or with `columns` its largest side. At 3.5 each pixel of an
            image covers two pixels of the screen.
        picked: position of the selected image.
        on_pick: called after a click on an image, whose position is then in
            `st.session_state[key].picked`.
    """
    sprites = sprite_sheet(images)
    cells = [
        {
            "alt": description,
            "label": labels[position] if labels else "",
            "note": notes[position] if notes else "",
            "mark": position in marked,
        }
        for position, description in enumerate(alts)
    ]
    _mount_gallery(
        key=key,
        on_picked_change=on_pick or (lambda: None),
        data={
            "sheet": sprites.uri,
            "width": sprites.width,
            "height": sprites.height,
            "places": sprites.places,
            "alt": alt,
            "cells": cells,
            "columns": list(columns) or None,
            "headings": list(headings) or None,
            "tile": tile,
            "stacked": stacked,
            "selectable": on_pick is not None,
            "picked": -1 if picked is None else picked,
        },
    )


def draw_closeup(image: np.ndarray, alt: str, caption: str, key: str = "closeup") -> None:
    """Draw one image large, with the value of the pixel under the pointer.

    Args:
        image: (28, 28) uint8.
        alt: description for screen readers.
        caption: text below the image while the pointer is elsewhere.
        key: key of the component.
    """
    _mount_closeup(
        key=key,
        data={
            "sheet": sprite_sheet(image[None], across=1).uri,
            "pixels": image.flatten().tolist(),
            "alt": alt,
            "caption": caption,
        },
    )
