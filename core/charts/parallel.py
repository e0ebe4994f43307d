"""Parallel coordinates: many runs as lines over one vertical axis for each setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from core.charts.style import PALETTE, QUIET, layer_chart

HEIGHT = 320
MAX_AXES = 9
_LOG_RATIO = 20  # of the largest to the smallest value, from which an axis is logarithmic
_MAX_LABELS = 8  # of an axis with categories
_MARGIN = 0.5  # axes' distance left and right of the first and the last


@dataclass(frozen=True, slots=True)
class _Axis:
    """A vertical axis: where a value stands on it, from 0 to 1, and its labels."""

    title: str
    numbers: tuple[float, ...] = ()
    """Smallest and largest value; empty: categories."""
    categories: tuple[str, ...] = ()
    log: bool = False

    def position(self, value: Any) -> float | None:
        if self.categories:
            if str(value) not in self.categories:
                return None
            return (self.categories.index(str(value)) + 0.5) / len(self.categories)
        if value is None or not math.isfinite(value):
            return None
        low, high, value = (math.log(each) if self.log else each for each in (*self.numbers, value))
        return 0.5 if low == high else (value - low) / (high - low)

    def labels(self) -> list[tuple[float, str]]:
        if self.categories:
            step = -(-len(self.categories) // _MAX_LABELS)
            return [(self.position(name) or 0.0, name) for name in self.categories[::step]]
        return [
            (self.position(value) or 0.0, f"{value:.4g}") for value in dict.fromkeys(self.numbers)
        ]


def parallel_chart(
    frame: pd.DataFrame, axes: Sequence[str], measure: str, title: str
) -> alt.LayerChart:
    """Settings of runs as lines, coloured by a measure; the best run is drawn thick.

    Args:
        frame: columns run, the axes' titles (numbers or text; None: the run has no value) and the
            measure.
        axes: columns to draw, from left to right; at most MAX_AXES are drawn.
        measure: column of numbers, high is good; drawn as the last axis.
        title: of the measure.
    """
    frame = frame[frame[measure].notna()]
    drawn = [_make_axis(name, list(frame[name])) for name in axes[:MAX_AXES]]
    columns = [*axes[:MAX_AXES], measure]
    drawn.append(_Axis(title, _range(list(frame[measure]))))
    points = pd.DataFrame(
        [
            {
                "run": row["run"],
                "axis": number,
                "y": height,
                "measure": row[measure],
                "settings": words,
            }
            for row in frame.to_dict("records")
            for words in [", ".join(f"{name} {row[name]}" for name in axes if pd.notna(row[name]))]
            for number, (axis, name) in enumerate(zip(drawn, columns, strict=True))
            if (height := axis.position(row[name])) is not None
        ],
        columns=["run", "axis", "y", "measure", "settings"],
    )
    best = frame.loc[frame[measure].idxmax(), "run"] if len(frame) else ""
    x = alt.X(
        "axis:Q",
        axis=None,
        scale=alt.Scale(domain=[-_MARGIN, len(drawn) - 1 + _MARGIN], nice=False),
    )
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.04, 1.14], nice=False))
    colour = alt.Color(
        "measure:Q",
        title=title,
        legend=None,
        # Other interpolations pass through hues of their own.
        scale=alt.Scale(range=["#b9b7b0", PALETTE[0]], interpolate="rgb"),
    )
    tips = [
        alt.Tooltip("run:N"),
        alt.Tooltip("measure:Q", title=title, format=".2f"),
        alt.Tooltip("settings:N"),
    ]
    labels = pd.DataFrame(
        [
            {"axis": number, "y": position, "label": label}
            for number, axis in enumerate(drawn)
            for position, label in axis.labels()
        ],
        columns=["axis", "y", "label"],
    )
    heads = pd.DataFrame(
        [
            {"axis": number, "low": 0, "y": 1, "top": 1.1, "label": axis.title}
            for number, axis in enumerate(drawn)
        ]
    )
    lines = alt.Chart(points).mark_line(clip=True).encode(x=x, y=y, detail="run:N", tooltip=tips)
    chosen = points[points["run"] == best]
    layers = [
        alt.Chart(heads)
        .mark_rule(color=QUIET, opacity=0.6)
        .encode(x=x, y=alt.Y("low:Q", scale=y["scale"], axis=None), y2="y:Q"),
        lines.mark_line(strokeWidth=1.5, opacity=0.6).encode(color=colour),
        alt.Chart(chosen)
        .mark_line(strokeWidth=3, color=PALETTE[2])
        .encode(x=x, y=y, detail="run:N", tooltip=tips),
        alt.Chart(points)
        .mark_point(filled=True, size=50, opacity=0)
        .encode(x=x, y=y, tooltip=tips),
        alt.Chart(labels)
        .mark_text(align="left", dx=6, fontSize=11, color=QUIET, limit=110)
        .encode(x=x, y=y, text="label:N"),
        alt.Chart(heads)
        .mark_text(fontSize=12, limit=130, color=QUIET)
        .encode(x=x, y=alt.Y("top:Q", scale=y["scale"], axis=None), text="label:N"),
    ]
    return layer_chart(layers, HEIGHT, right=8)


def _make_axis(title: str, values: Sequence[Any]) -> _Axis:
    present = [value for value in values if value is not None and value == value]
    if present and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in present
    ):
        low, high = _range(present)
        return _Axis(title, (low, high), log=low > 0 and high / low >= _LOG_RATIO)
    return _Axis(title, categories=tuple(sorted({str(value) for value in present})))


def _range(values: Sequence[float]) -> tuple[float, float]:
    return (min(values, default=0.0), max(values, default=1.0))
