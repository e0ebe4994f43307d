"""Charts of experiments: seeds, the difference of two accuracies, and the LR range test."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from core.charts.style import (
    AXIS,
    HEIGHT,
    PALETTE,
    PLAIN_AXIS,
    QUIET,
    dotted_line,
    layer_chart,
    run_colour,
    run_colours,
)
from core.task import GOAL_ACCURACY

# In pixels.
_ROW = 34  # height of a group's row
_BOTTOM = 4  # padding below a chart
_DIFFERENCE_HEIGHT = 120  # with some 57 for the axis and its title
_DIFFERENCE_Y = 44  # of the point and its interval, from the top of the chart
_LABEL_LINE = 16  # from one line of labels to the next
_LABEL_Y = 8  # of labels, from the top of the chart

_DIFFERENCE_TITLE = "difference of accuracies, percentage points"


def seed_chart(frame: pd.DataFrame, means: pd.DataFrame) -> alt.LayerChart:
    """The accuracy of every run as a point in its group's row, with the mean and its interval.

    Args:
        frame: columns group, run, seed and accuracy (percent).
        means: columns group, mean, low and high (percent; 95 % confidence interval).
    """
    names = list(means["group"])
    values = [*frame["accuracy"], *means["low"], *means["high"], GOAL_ACCURACY]
    margin = 0.06 * (max(values) - min(values) or 1)
    x = alt.X(
        "accuracy:Q",
        title="accuracy, %",
        axis=alt.Axis(tickCount=6, format=".2~f", **AXIS),
        scale=alt.Scale(
            domain=[min(values) - margin, min(100, max(values) + margin)], nice=False, clamp=True
        ),
    )
    y = alt.Y(
        "group:N",
        title=None,
        sort=names,
        axis=alt.Axis(domain=False, ticks=False, labelPadding=8, labelLimit=160, labelFlush=False),
    )
    group_colour = run_colours("group", names)
    points = (
        alt.Chart(frame)
        .mark_circle(size=70, opacity=0.55)
        .encode(
            x=x,
            y=y,
            color=group_colour,
            tooltip=[
                "run:N",
                "seed:Q",
                alt.Tooltip("accuracy:Q", title="accuracy, %", format=".2f"),
            ],
        )
    )
    tips = [
        alt.Tooltip("group:N"),
        alt.Tooltip("mean:Q", title="mean, %", format=".2f"),
        alt.Tooltip("low:Q", title="95 % interval, from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
    ]
    interval = (
        alt.Chart(means)
        .mark_rule(strokeWidth=2)
        .encode(
            x=alt.X("low:Q", scale=x["scale"], title="accuracy, %"),
            x2="high:Q",
            y=y,
            color=group_colour,
            tooltip=tips,
        )
    )
    mean = (
        alt.Chart(means)
        .mark_tick(thickness=3, size=18)
        .encode(
            x=alt.X("mean:Q", scale=x["scale"], title="accuracy, %"),
            y=y,
            color=group_colour,
            tooltip=tips,
        )
    )
    goal_line = dotted_line(x, "accuracy", GOAL_ACCURACY)
    goal_label = (
        alt.Chart(pd.DataFrame({"accuracy": [GOAL_ACCURACY], "label": ["goal"]}))
        .mark_text(align="left", baseline="top", dx=4, color=QUIET, fontSize=11)
        .encode(x=x, y=alt.value(0), text="label:N")
    )
    layers = [goal_line, goal_label, interval, points, mean]
    return layer_chart(layers, alt.Step(_ROW), bottom=_BOTTOM)


def difference_chart(
    first: str, second: str, gain: float, interval: tuple[float, float]
) -> alt.LayerChart:
    """The difference of two accuracies as a point with its 95 % confidence interval.

    Args:
        first, second: names of the runs or groups.
        gain: accuracy of the second minus that of the first, in percentage points.
        interval: 95 % confidence interval of the gain, in percentage points.

    Point and interval have the colour of the better of the two, or grey where the interval holds 0.
    """
    low, high = interval
    half_width = 1.15 * max(abs(low), abs(high), 0.05)
    row = pd.DataFrame({"gain": [gain], "low": [low], "high": [high]})
    x = alt.X(
        "gain:Q",
        title=_DIFFERENCE_TITLE,
        scale=alt.Scale(domain=[-half_width, half_width], nice=False),
        axis=alt.Axis(
            tickCount=7, labelExpr="datum.value ? format(datum.value, '+.2~f') : '0'", **AXIS
        ),
    )
    colour = run_colour(second) if low > 0 else run_colour(first) if high < 0 else QUIET
    tips = [
        alt.Tooltip("gain:Q", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % interval, from", format="+.2f"),
        alt.Tooltip("high:Q", title="to", format="+.2f"),
    ]
    line = (
        alt.Chart(row)
        .mark_rule(strokeWidth=5, opacity=0.45, color=colour)
        .encode(
            x=alt.X("low:Q", scale=x["scale"], title=_DIFFERENCE_TITLE),
            x2="high:Q",
            y=alt.value(_DIFFERENCE_Y),
            tooltip=tips,
        )
    )
    point = (
        alt.Chart(row)
        .mark_point(filled=True, size=150, opacity=1, color=colour)
        .encode(x=x, y=alt.value(_DIFFERENCE_Y), tooltip=tips)
    )
    layers = [dotted_line(x, "gain", 0.0), line, point]
    left, right = (
        alt.Chart(pd.DataFrame({"label": [label]}))
        for label in (f"← {first} is better", f"{second} is better →")
    )
    style: dict[str, Any] = {"color": QUIET, "fontSize": 12, "limit": 280}
    layers += [
        left.mark_text(align="left", **style).encode(
            x=alt.value(0), y=alt.value(_LABEL_Y), text="label:N"
        ),
        right.mark_text(align="right", **style).encode(
            x=alt.value("width"), y=alt.value(_LABEL_Y), text="label:N"
        ),
    ]
    return layer_chart(layers, _DIFFERENCE_HEIGHT, bottom=_BOTTOM)


def lr_range_chart(
    frame: pd.DataFrame,
    suggested_lr: float | None = None,
    lr_at_minimum: float | None = None,
    domain: tuple[float, float] = (1e-4, 10.0),
    own: tuple[str, float] | None = None,
) -> alt.LayerChart:
    """The loss against the rising learning rate, raw and smoothed, with the suggestion.

    Args:
        frame: columns lr, loss and smoothed, by rising lr.
        suggested_lr: the suggested learning rate, or None.
        lr_at_minimum: the learning rate with the lowest smoothed loss, or None.
        domain: the first and the last planned learning rate.
        own: name and peak learning rate of the set-up that was tested; None: not marked.
    """
    top = 1.25 * (frame["smoothed"].max() if len(frame) else 2.5)
    x = alt.X(
        "lr:Q",
        title="learning rate",
        scale=alt.Scale(type="log", domain=list(domain), nice=False),
        axis=alt.Axis(values=[10.0**power for power in range(-8, 2)], format="~g", **PLAIN_AXIS),
    )
    y = alt.Y(
        "loss:Q",
        title=None,
        scale=alt.Scale(domain=[0, max(top, 0.1)], nice=False, clamp=True),
        axis=alt.Axis(tickCount=5, format="~g", **AXIS),
    )
    tips = [
        alt.Tooltip("lr:Q", title="learning rate", format=".3~g"),
        alt.Tooltip("smoothed:Q", title="smoothed loss", format=".3f"),
    ]
    layers = [
        alt.Chart(frame)
        .mark_line(strokeWidth=1, opacity=0.3, color=PALETTE[0], clip=True)
        .encode(x=x, y=y),
        alt.Chart(frame)
        .mark_line(strokeWidth=2.25, color=PALETTE[0], clip=True)
        .encode(x=x, y=alt.Y("smoothed:Q", scale=y["scale"], title=None), tooltip=tips),
    ]
    for lr, label, colour, line in (
        (lr_at_minimum, "minimum", QUIET, 0),
        (suggested_lr, f"suggested: {suggested_lr:g}" if suggested_lr else "", PALETTE[2], 0),
        (own[1] if own else None, f"{own[0]}: {own[1]:g}" if own else "", PALETTE[1], 1),
    ):
        if lr is not None and domain[0] <= lr <= domain[1]:
            text = alt.Chart(pd.DataFrame({"lr": [lr], "label": [label]}))
            layers += [
                dotted_line(x, "lr", lr, colour),
                text.mark_text(align="right", dx=-6, color=colour, fontSize=12).encode(
                    x=x, y=alt.value(_LABEL_Y + line * _LABEL_LINE), text="label:N"
                ),
            ]
    return layer_chart(layers, HEIGHT + 60, bottom=_BOTTOM)
