"""Pictures on slides: charts and diagrams as SVG, and digits as parts of one sprite sheet."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from core.charts.sprites import sprite_sheet
from core.reports.html import render_svg
from pages.ui.frame import HERE

# Pixels of a chart without its axes; a slide enlarges it, with its type.
CHART_WIDTH, CHART_HEIGHT, ROW_HEIGHT = 460, 215, 22
MAX_COLUMNS = 10  # digits on a line

Picture = dict[str, Any]  # as presentation.js takes it


@dataclass(frozen=True, eq=False)
class DigitRow:
    """Digits beside each other on a slide, on as many lines as they need.

    Args:
        images: (N, 28, 28) uint8.
        alts: N descriptions.
        labels: N texts below the images; empty: none.
        heading: text above the row; empty: none.
    """

    images: np.ndarray
    alts: Sequence[str]
    labels: Sequence[str] = ()
    heading: str = ""


def chart_picture(chart: alt.LayerChart, description: str) -> Picture:
    """A chart.

    Args:
        chart: without a width.
        description: for screen readers.
    """
    has_rows = isinstance(chart.height, alt.Step)
    chart = chart.properties(height=alt.Step(ROW_HEIGHT) if has_rows else CHART_HEIGHT)
    return {"svg": render_svg(chart, CHART_WIDTH), "alt": description}


def diagram_picture(svg: str, description: str) -> Picture:
    """A diagram of `core.charts.diagrams`, with a description for screen readers."""
    return {"svg": svg, "alt": description}


def digits_picture(
    rows: Sequence[DigitRow], description: str, max_columns: int = MAX_COLUMNS
) -> Picture:
    """Rows of digits, all of the same width.

    Args:
        rows: rows without digits are left out.
        description: of all of them, for screen readers.
        max_columns: digits on a line; longer rows are continued on further lines of even length.
    """
    rows = [row for row in rows if len(row.images)]
    if not rows:
        return {}
    lines = [math.ceil(len(row.images) / max_columns) for row in rows]
    columns = max(
        math.ceil(len(row.images) / count) for row, count in zip(rows, lines, strict=True)
    )
    sheet = sprite_sheet(np.concatenate([row.images for row in rows]))
    places = iter(sheet.places)
    return {
        "sheet": sheet.uri,
        "width": sheet.width,
        "height": sheet.height,
        "columns": columns,
        "lines": sum(math.ceil(len(row.images) / columns) for row in rows),
        "alt": description,
        "rows": [
            {
                "heading": row.heading,
                "cells": [
                    {
                        "alt": text,
                        "label": row.labels[at] if row.labels else "",
                        "place": next(places),
                    }
                    for at, text in enumerate(row.alts)
                ],
            }
            for row in rows
        ],
    }


def strip_picture() -> Picture:
    """One handwritten digit of each class."""
    pixels = base64.b64encode((HERE / "digits.png").read_bytes()).decode()
    return {
        "strip": f"data:image/png;base64,{pixels}",
        "alt": "Ten handwritten digits, 0 to 9",
    }
