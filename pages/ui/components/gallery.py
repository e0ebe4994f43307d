"""Digits as crisp pixels in the page's ink: many in a grid, or one close up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.charts.sprites import sheet
from pages.ui.components.component import component

_gallery = component("gallery", "tiles/gallery")
_closeup = component("closeup", "tiles/closeup")


def gallery(
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
    """Images in a grid, drawn as one picture.

    Args:
        images: (N, 28, 28) uint8.
        alt: what the grid shows, for screen readers.
        key: of the component.
        alts: what each image shows.
        labels: below each image, in bold.
        notes: beside the labels, quietly.
        stacked: put the notes below the labels instead.
        marked: places of the images that get a question mark in their corner.
        columns: images in each group of columns, e.g. (1, 8); empty: as many as fit.
        headings: at the left of each row; only with columns.
        tile: side of an image in rem, or with columns the most that it may be; 3.5 is two screen pixels for each.
        picked: place of the image that is marked.
        on_pick: called when an image was clicked, its place in `st.session_state[key].picked`.
    """
    page = sheet(images)
    cells = [
        {
            "alt": each,
            "label": labels[at] if labels else "",
            "note": notes[at] if notes else "",
            "mark": at in marked,
        }
        for at, each in enumerate(alts)
    ]
    _gallery(
        key=key,
        on_picked_change=on_pick or (lambda: None),
        data={
            "sheet": page.uri,
            "width": page.width,
            "height": page.height,
            "places": page.places,
            "alt": alt,
            "cells": cells,
            "columns": list(columns) or None,
            "headings": list(headings) or None,
            "tile": tile,
            "stacked": stacked,
            "pick": on_pick is not None,
            "picked": -1 if picked is None else picked,
        },
    )


def closeup(image: np.ndarray, alt: str, said: str, key: str = "closeup") -> None:
    """One image, large; the pixel that is pointed at is read out.

    Args:
        image: (28, 28) uint8.
        alt: what it shows.
        said: below it while no pixel is pointed at.
        key: of the component.
    """
    _closeup(
        key=key,
        data={
            "sheet": sheet(image[None], across=1).uri,
            "pixels": image.flatten().tolist(),
            "alt": alt,
            "said": said,
        },
    )
