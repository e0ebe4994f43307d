"""Charts of the weights: the size of gradients and updates by epoch."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from core.charts.runs import spread_labels
from core.charts.style import AXIS, PALETTE, QUIET, epoch_axis, layer_chart

RULE_OF_THUMB = 1e-3
_LOWEST, _HIGHEST = 1e-4, 1e-1  # where the axis ends unless a value lies outside
# Smaller values, as of a row that gets no gradient or of a schedule that ends at zero, stand here.
_FLOOR = 1e-6
_HEIGHT, _LABEL_HEIGHT = 220, 16


def step_size_chart(
    frame: pd.DataFrame, epochs: int, field: str, rule: float | None = None
) -> alt.LayerChart:
    """Draw the size of gradients or updates relative to the weights, one line per row.

    Args:
        frame: as of `core.experiments.curves.step_size_frame`.
        epochs: planned length of the run, where the axis ends.
        field: "gradient" or "update".
        rule: a value to mark with a dotted line.
    """
    frame = frame.assign(
        name="row " + frame["row"].astype(str), shown=frame[field].clip(lower=_FLOOR)
    )
    numbers = sorted(frame["row"].unique())
    values = frame["shown"]
    low = min(_LOWEST, 10 ** math.floor(math.log10(values.min()))) if len(values) else _LOWEST
    high = max(_HIGHEST, 10 ** math.ceil(math.log10(values.max()))) if len(values) else _HIGHEST
    exponents = range(round(math.log10(low)), round(math.log10(high)) + 1)
    x = epoch_axis(epochs)
    y = alt.Y(
        "shown:Q",
        title=None,
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(
            values=[10.0**exponent for exponent in exponents],
            labelExpr=f"(datum.value < {2 * _FLOOR} ? '≤ ' : '') + format(100 * datum.value, '~f')"
            " + ' %'",
            **AXIS,
        ),
    )
    colour = alt.Color(
        "row:O",
        legend=None,
        scale=alt.Scale(
            domain=[int(number) for number in numbers],
            range=[PALETTE[at % len(PALETTE)] for at in range(len(numbers))],
        ),
    )
    tips = [
        alt.Tooltip("name:N", title="weights of"),
        alt.Tooltip("epoch:Q"),
        alt.Tooltip(f"{field}:Q", title=f"{field} relative to the weights", format=".2%"),
    ]
    base = alt.Chart(frame).encode(x=x, y=y, color=colour)
    layers = [
        base.mark_line(strokeWidth=1.75, clip=True),
        base.mark_point(filled=True, size=36, opacity=1).encode(tooltip=tips),
        _labels(frame, low, high)
        .mark_text(align="left", dx=7, fontSize=11)
        .encode(x=x, y=alt.Y("place:Q", scale=y["scale"], title=None), color=colour, text="name:N"),
    ]
    if rule is not None:
        line = alt.Chart(pd.DataFrame({"shown": [rule]}))
        layers.insert(0, line.mark_rule(strokeDash=[2, 3], color=QUIET).encode(y=y))
    return layer_chart(layers, _HEIGHT, right=48)


def _labels(frame: pd.DataFrame, low: float, high: float) -> alt.Chart:
    """The names beside the last points, moved apart where they would overlap."""
    last = frame.sort_values("epoch").groupby("row").tail(1).sort_values("shown")
    pixels = [_HEIGHT * math.log(value / low, high / low) for value in last["shown"]]
    places = [
        low * (high / low) ** (y / _HEIGHT) for y in spread_labels(pixels, _LABEL_HEIGHT, _HEIGHT)
    ]
    return alt.Chart(last.assign(place=places))
