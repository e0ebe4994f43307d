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

_ROW = 34  # pixels for one group
_BOTTOM = 4  # pixels of padding


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
    own = run_colours("group", names)
    points = (
        alt.Chart(frame)
        .mark_circle(size=70, opacity=0.55)
        .encode(
            x=x,
            y=y,
            color=own,
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
            color=own,
            tooltip=tips,
        )
    )
    mean = (
        alt.Chart(means)
        .mark_tick(thickness=3, size=18)
        .encode(
            x=alt.X("mean:Q", scale=x["scale"], title="accuracy, %"), y=y, color=own, tooltip=tips
        )
    )
    rule = dotted_line(x, "accuracy", GOAL_ACCURACY)
    goal = (
        alt.Chart(pd.DataFrame({"accuracy": [GOAL_ACCURACY], "label": ["goal"]}))
        .mark_text(align="left", baseline="top", dx=4, color=QUIET, fontSize=11)
        .encode(x=x, y=alt.value(0), text="label:N")
    )
    layers = [rule, goal, interval, points, mean]
    return layer_chart(layers, alt.Step(_ROW), bottom=_BOTTOM)


def difference_chart(
    first: str, second: str, gain: float, interval: tuple[float, float]
) -> alt.LayerChart:
    """The difference of two accuracies as a point with its 95 % confidence interval.

    Args:
        first, second: names of the runs or groups.
        gain: accuracy of the second minus that of the first, in percentage points.
        interval: of the gain.
    """
    low, high = interval
    far = 1.15 * max(abs(low), abs(high), 0.05)
    row = pd.DataFrame({"gain": [gain], "low": [low], "high": [high]})
    x = alt.X(
        "gain:Q",
        title=None,
        scale=alt.Scale(domain=[-far, far], nice=False),
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
            x=alt.X("low:Q", scale=x["scale"], title=None),
            x2="high:Q",
            y=alt.value(44),
            tooltip=tips,
        )
    )
    point = (
        alt.Chart(row)
        .mark_point(filled=True, size=150, opacity=1, color=colour)
        .encode(x=x, y=alt.value(44), tooltip=tips)
    )
    layers = [dotted_line(x, "gain", 0.0), line, point]
    left, right = (
        alt.Chart(pd.DataFrame({"label": [label]}))
        for label in (f"← {first} is better", f"{second} is better →")
    )
    style: dict[str, Any] = {"color": QUIET, "fontSize": 12, "limit": 280}
    layers += [
        left.mark_text(align="left", **style).encode(
            x=alt.value(0), y=alt.value(8), text="label:N"
        ),
        right.mark_text(align="right", **style).encode(
            x=alt.value("width"), y=alt.value(8), text="label:N"
        ),
    ]
    return layer_chart(layers, 84, bottom=_BOTTOM)


def lr_range_chart(
    frame: pd.DataFrame,
    lr: float | None = None,
    lowest: float | None = None,
    domain: tuple[float, float] = (1e-4, 10.0),
) -> alt.LayerChart:
    """The loss against the rising learning rate, raw and smoothed, with the suggested rate.

    Args:
        frame: columns lr, loss and smoothed, by rising lr.
        lr: the suggested rate, or None.
        lowest: the rate with the lowest smoothed loss, or None.
        domain: the first and the last planned rate.
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
        alt.Tooltip("lr:Q", title="rate", format=".3~g"),
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
    for rate, label, colour in (
        (lowest, "minimum", QUIET),
        (lr, f"suggested: {lr:g}" if lr else "", PALETTE[2]),
    ):
        if rate is not None:
            text = alt.Chart(pd.DataFrame({"lr": [rate], "label": [label]}))
            layers += [
                dotted_line(x, "lr", rate, colour),
                text.mark_text(align="right", dx=-6, color=colour, fontSize=12).encode(
                    x=x, y=alt.value(8), text="label:N"
                ),
            ]
    return layer_chart(layers, HEIGHT + 60, bottom=_BOTTOM)
