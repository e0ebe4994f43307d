"""The kernels of a network's rows as small pictures, with their numbers, histograms and facts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.insight.weights import Floats
from pages.ui.components.component import register_component
from pages.ui.components.maps import ABOVE, BELOW

_mount_kernels = register_component("kernels", "kernels/kernels")


@dataclass(frozen=True, eq=False)
class KernelRow:
    """One row of a network.

    Args:
        title: heading.
        note: explanation beside the heading.
        kernels: (F, C, H, W): filters, their input channels, height and width.
        labels: F names of the filters.
        limit: the absolute value that gets the strongest colour, above 0.
        channel_numbers: other numbers of each filter: name -> (F,).
        bins: counts of a histogram from -end to end.
        end: the absolute value at both ends of the histogram, above 0.
        facts: sentences beside the pictures.
        fires: how often each filter is above zero, in percent; empty: not known.
        marks: F words such as "dead", empty for none; empty: no marks.
        noun: what a filter is called.
    """

    title: str
    note: str
    kernels: Floats
    labels: Sequence[str]
    limit: float
    channel_numbers: dict[str, Floats] = field(default_factory=dict)
    bins: Sequence[int] = ()
    end: float = 1.0
    facts: Sequence[str] = ()
    fires: Sequence[float] = ()
    marks: Sequence[str] = ()
    noun: str = "filter"


def draw_kernels(rows: Sequence[KernelRow], key: str) -> None:
    """Draw rows, one below the other; the pointer or the arrow keys name each weight's value."""
    colours = [f"rgb({', '.join(map(str, colour))})" for colour in (ABOVE, BELOW)]
    _mount_kernels(key=key, data={"rows": [_row_data(row) for row in rows], "colours": colours})


def _row_data(row: KernelRow) -> dict[str, Any]:
    values = np.ascontiguousarray(row.kernels, "<f4")
    low, high = float(values.min()), float(values.max())
    return {
        "title": row.title,
        "note": row.note,
        "alt": f"{row.title}: {values.size:,} weights from {low:.3g} to {high:.3g}. "
        "Arrow keys go from weight to weight.",
        "shape": list(values.shape),
        "values": base64.b64encode(values.tobytes()).decode(),
        "limit": row.limit,
        "labels": list(row.labels),
        "noun": row.noun,
        "numbers": {
            name: [float(f"{value:.6g}") for value in numbers]
            for name, numbers in row.channel_numbers.items()
        },
        "bins": list(row.bins),
        "end": row.end,
        "facts": list(row.facts),
        "fires": [float(f"{share:.3g}") for share in row.fires],
        "marks": list(row.marks),
    }
