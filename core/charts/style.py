"""What all charts share: colours, heights, and the axes for epochs and for accuracy.

The colours contrast with white and with near-black; axes and text take the page's theme.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from core.task import GOAL_ACCURACY

HEIGHT = 260
PALETTE = ("#5a78ee", "#c46a2d", "#2b8a6e", "#a2559f", "#8a7a2b", "#3b8db5", "#b5506a", "#5f8f2f")
QUIET = "#8b8b86"
AXIS: dict[str, Any] = {
    "grid": True,
    "gridOpacity": 0.35,
    "domain": False,
    "ticks": False,
    "labelPadding": 8,
    "titlePadding": 10,
}
PLAIN_AXIS: dict[str, Any] = {**AXIS, "grid": False}
TOP_LEGEND: dict[str, Any] = {
    "orient": "top",
    "symbolOpacity": 1,
    "symbolStrokeWidth": 0,
    "symbolSize": 80,
    "labelFontSize": 12,
    "padding": 0,
    "offset": 4,
}
PERCENT = "format(100 * datum.value, '.0f') + ' %'"  # label of a share
_COLOURS = {  # index in PALETTE of runs whose name has a colour of its own
    "final": 0,
    "initial": 1,
    "intermediate": 2,
    "best": 3,
    "tiny": 4,
    "teacher": 5,
    "taught": 6,
    "sprint": 7,
    "micro": 5,  # the smallest and the largest network, which no chart shows close together
}
# An accuracy is plotted as its error rate on a logarithmic axis, so that the last tenths of a
# percent have room; the labels show accuracies.
ERROR_TICKS = (90, 50, 20, 10, 5, 2, 1, 0.6, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01)
ERROR_LABEL = "format(100 - datum.value, '.4~f') + ' %'"


def run_colour(name: str) -> str:
    """Return the colour that a run has in every chart and table."""
    index = _COLOURS.get(name, zlib.crc32(name.encode()))
    return PALETTE[index % len(PALETTE)]


def epoch_axis(epochs: int, field: str = "epoch") -> alt.X:
    """Return the axis from 0 to a run's last epoch, of the field that holds epochs."""
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if epochs / step <= 16), 200)
    ticks = list(range(0, epochs + 1, step))
    return alt.X(
        f"{field}:Q",
        title="epoch",
        scale=alt.Scale(domain=[0, epochs], nice=False),
        axis=alt.Axis(values=ticks, format="d", labelFlush=False, **PLAIN_AXIS),
    )


def error_axis(
    field: str, highest: float, lowest: float, ticks: Sequence[float] = ERROR_TICKS
) -> alt.Y:
    """Return the accuracy axis of a field that holds error rates in percent.

    Args:
        field: column with the error rates.
        highest, lowest: error rates at the bottom and at the top of the axis.
        ticks: error rates to label; those outside the axis are left out.
    """
    return alt.Y(
        f"{field}:Q",
        title=None,
        scale=alt.Scale(type="log", domain=[highest, lowest], nice=False, clamp=False),
        axis=alt.Axis(
            values=[tick for tick in ticks if lowest <= tick <= highest],
            labelExpr=ERROR_LABEL,
            **AXIS,
        ),
    )


def linear_error_axis(field: str) -> alt.Y:
    """Return the accuracy axis from guessing to 100 % of a field that holds error rates."""
    return alt.Y(
        f"{field}:Q",
        title=None,
        scale=alt.Scale(domain=[90, 0], nice=False),
        axis=alt.Axis(values=[90, 80, 60, 40, 20, 0], labelExpr=ERROR_LABEL, **AXIS),
    )


def goal_line(field: str, y: alt.Y, goal: float = GOAL_ACCURACY) -> list[alt.Chart]:
    """Return the goal as a labelled dotted line on an `error_axis`."""
    line = pd.DataFrame({field: [100 - goal], "label": ["goal"]})
    return [
        alt.Chart(line).mark_rule(strokeDash=[2, 3], color=QUIET).encode(y=y),
        alt.Chart(line)
        .mark_text(align="left", dx=2, dy=-6, color=QUIET, fontSize=11)
        .encode(y=y, x=alt.value(0), text="label:N"),
    ]


def dotted_line(x: alt.X, field: str, value: float, colour: str = QUIET) -> alt.Chart:
    """Return a vertical dotted line at a value."""
    line = pd.DataFrame({field: [value]})
    return alt.Chart(line).mark_rule(strokeDash=[2, 3], color=colour).encode(x=x)


def run_colours(field: str, names: Sequence[str], legend: alt.Legend | None = None) -> alt.Color:
    """Return the colour encoding of a column of run names."""
    colours = [run_colour(name) for name in names]
    scale = alt.Scale(domain=list(names), range=colours)
    return alt.Color(f"{field}:N", title=None, legend=legend, scale=scale)


def layer_chart(
    layers: Sequence[alt.Chart], height: Any = HEIGHT, right: int = 12, bottom: int = 0
) -> alt.LayerChart:
    """Return the layers as one chart with the padding that all charts have.

    Args:
        layers: from back to front.
        height: pixels, or a step per row.
        right, bottom: padding in pixels.
    """
    padding = {"left": 4, "top": 8, "right": right, "bottom": bottom}
    return alt.LayerChart(layer=list(layers)).properties(height=height, padding=padding)
