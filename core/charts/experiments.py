"""Charts of experiments: groups as bands, a difference with its interval, seeds side by side, and the range test.

Colours, axes and words are those of `core.charts.training`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from core.charts.training import AXIS, HEIGHT, PALETTE, QUIET, colour
from core.task import GOAL_ACCURACY

_MISTAKES = (90, 50, 20, 10, 5, 2, 1, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05)  # percent
_FRAME = {"left": 4, "top": 8, "right": 12, "bottom": 4}
_ROW = 34  # pixels for one group
_INK = PALETTE[0]


def bands(frame: pd.DataFrame, names: Sequence[str]) -> alt.LayerChart:
    """Accuracy by epoch of groups: the mean as a line in a band from the worst run to the best.

    Args:
        frame: columns group, epoch (from 1), mean, low and high (percent).
        names: the groups, in the order of the legend.
    """
    epochs = int(frame["epoch"].max()) if len(frame) else 1
    shown = frame.assign(
        mistakes=(100 - frame["mean"]).clip(0.05, 90),
        most=(100 - frame["low"]).clip(0.05, 90),
        fewest=(100 - frame["high"]).clip(0.05, 90),
    )
    late = shown[shown["epoch"] > epochs // 20]
    worst, best = 50.0, 0.2
    if len(late):
        worst = min((mark for mark in _MISTAKES if mark >= late["most"].max()), default=90)
        best = min(
            best, max((mark for mark in _MISTAKES if mark < late["fewest"].min()), default=0.05)
        )
    scale = alt.Scale(type="log", domain=[worst, best], nice=False, clamp=True)
    y = alt.Y(
        "mistakes:Q",
        title=None,
        scale=scale,
        axis=alt.Axis(
            values=[mark for mark in _MISTAKES if best <= mark <= worst],
            labelExpr="format(100 - datum.value, '.4~f') + ' %'",
            **AXIS,
        ),
    )
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if epochs / step <= 16), 200)
    x = alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[0, epochs], nice=False),
        axis=alt.Axis(
            values=list(range(0, epochs + 1, step)),
            format="d",
            labelFlush=False,
            **{**AXIS, "grid": False},
        ),
    )
    own = _colours(names)
    tips = [
        alt.Tooltip("group:N"),
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("mean:Q", title="mean, %", format=".2f"),
        alt.Tooltip("low:Q", title="smallest, %", format=".2f"),
        alt.Tooltip("high:Q", title="largest, %", format=".2f"),
    ]
    area = (
        alt.Chart(shown)
        .mark_area(opacity=0.2)
        .encode(
            x=x,
            y=alt.Y("most:Q", scale=scale, title=None),
            y2="fewest:Q",
            color=own,
            detail="group:N",
        )
    )
    line = alt.Chart(shown).mark_line(strokeWidth=2.25).encode(x=x, y=y, color=own)
    points = (
        alt.Chart(shown).mark_point(filled=True, size=28).encode(x=x, y=y, color=own, tooltip=tips)
    )
    return _framed([*_goal("mistakes", 100 - GOAL_ACCURACY, y), area, line, points], HEIGHT + 60)


def seeds(frame: pd.DataFrame, means: pd.DataFrame) -> alt.LayerChart:
    """Every run's accuracy as a point in its group's row, with the mean and its interval.

    Args:
        frame: columns group, run, seed and accuracy (percent).
        means: columns group, mean, low and high (percent): the ends of the mean's interval.
    """
    names = list(means["group"])
    values = [*frame["accuracy"], *means["low"], *means["high"], GOAL_ACCURACY]
    room = 0.06 * (max(values) - min(values) or 1)
    x = alt.X(
        "accuracy:Q",
        title="accuracy, %",
        axis=alt.Axis(tickCount=6, format=".2~f", **AXIS),
        scale=alt.Scale(
            domain=[min(values) - room, min(100, max(values) + room)], nice=False, clamp=True
        ),
    )
    y = alt.Y(
        "group:N",
        title=None,
        sort=names,
        axis=alt.Axis(domain=False, ticks=False, labelPadding=8, labelLimit=160, labelFlush=False),
    )
    own = _colours(names, legend=False)
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
        alt.Tooltip("low:Q", title="95 % interval from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
    ]
    reach = (
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
    middle = (
        alt.Chart(means)
        .mark_tick(thickness=3, size=18)
        .encode(
            x=alt.X("mean:Q", scale=x["scale"], title="accuracy, %"), y=y, color=own, tooltip=tips
        )
    )
    line = pd.DataFrame({"accuracy": [GOAL_ACCURACY]})
    rule = alt.Chart(line).mark_rule(strokeDash=[2, 3], color=QUIET).encode(x=x)
    goal = (
        alt.Chart(line.assign(words="goal"))
        .mark_text(align="left", baseline="top", dx=4, color=QUIET, fontSize=11)
        .encode(x=x, y=alt.value(0), text="words:N")
    )
    return _framed([rule, goal, reach, points, middle], alt.Step(_ROW))


def difference(
    first: str, second: str, gain: float, interval: tuple[float, float]
) -> alt.LayerChart:
    """By how much one is better than the other: a point with its 95 % interval, on either side of 0.

    Args:
        first, second: names; to the right the second is better.
        gain: percentage points by which the second is better.
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
    better = colour(second) if low > 0 else colour(first) if high < 0 else QUIET
    tips = [
        alt.Tooltip("gain:Q", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % interval from", format="+.2f"),
        alt.Tooltip("high:Q", title="to", format="+.2f"),
    ]
    zero = (
        alt.Chart(pd.DataFrame({"gain": [0.0]}))
        .mark_rule(strokeDash=[2, 3], color=QUIET)
        .encode(x=x)
    )
    reach = (
        alt.Chart(row)
        .mark_rule(strokeWidth=5, opacity=0.45, color=better)
        .encode(
            x=alt.X("low:Q", scale=x["scale"], title=None),
            x2="high:Q",
            y=alt.value(44),
            tooltip=tips,
        )
    )
    point = (
        alt.Chart(row)
        .mark_point(filled=True, size=150, opacity=1, color=better)
        .encode(x=x, y=alt.value(44), tooltip=tips)
    )
    layers = [zero, reach, point]
    left, right = (
        alt.Chart(pd.DataFrame({"words": [words]}))
        for words in (f"← {first} is better", f"{second} is better →")
    )
    quiet: dict[str, Any] = {"color": QUIET, "fontSize": 12, "limit": 280}
    layers += [
        left.mark_text(align="left", **quiet).encode(
            x=alt.value(0), y=alt.value(8), text="words:N"
        ),
        right.mark_text(align="right", **quiet).encode(
            x=alt.value("width"), y=alt.value(8), text="words:N"
        ),
    ]
    return _framed(layers, 84)


def range_test(
    frame: pd.DataFrame,
    lr: float | None = None,
    lowest: float | None = None,
    domain: tuple[float, float] = (1e-4, 10.0),
) -> alt.LayerChart:
    """The loss while the rate climbs, as it is and smoothed, with the suggested rate.

    Args:
        frame: columns lr, loss and smoothed, in order.
        lr: the suggestion; None: none.
        lowest: the rate of the lowest smoothed loss.
        domain: the first and the last rate planned.
    """
    top = 1.25 * (frame["smoothed"].max() if len(frame) else 2.5)
    x = alt.X(
        "lr:Q",
        title="learning rate",
        scale=alt.Scale(type="log", domain=list(domain), nice=False),
        axis=alt.Axis(
            values=[10.0**power for power in range(-8, 2)], format="~g", **{**AXIS, "grid": False}
        ),
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
        .mark_line(strokeWidth=1, opacity=0.3, color=_INK, clip=True)
        .encode(x=x, y=y),
        alt.Chart(frame)
        .mark_line(strokeWidth=2.25, color=_INK, clip=True)
        .encode(x=x, y=alt.Y("smoothed:Q", scale=y["scale"], title=None), tooltip=tips),
    ]
    for rate, words, ink in (
        (lowest, "lowest", QUIET),
        (lr, f"suggested: {lr:g}" if lr else "", PALETTE[2]),
    ):
        if rate is not None:
            mark = pd.DataFrame({"lr": [rate], "words": [words]})
            layers += [
                alt.Chart(mark).mark_rule(strokeDash=[2, 3], color=ink).encode(x=x),
                alt.Chart(mark)
                .mark_text(align="right", dx=-6, color=ink, fontSize=12)
                .encode(x=x, y=alt.value(8), text="words:N"),
            ]
    return _framed(layers, HEIGHT + 60)


def _goal(field: str, value: float, y: alt.Y) -> list[alt.Chart]:
    line = pd.DataFrame({field: [value], "words": ["goal"]})
    return [
        alt.Chart(line).mark_rule(strokeDash=[2, 3], color=QUIET).encode(y=y),
        alt.Chart(line)
        .mark_text(align="left", dx=2, dy=-6, color=QUIET, fontSize=11)
        .encode(y=y, x=alt.value(0), text="words:N"),
    ]


def _colours(names: Sequence[str], legend: bool = True) -> alt.Color:
    above = alt.Legend(
        orient="top", symbolOpacity=1, symbolSize=60, padding=0, offset=8, labelLimit=200
    )
    return alt.Color(
        "group:N",
        title=None,
        legend=above if legend and len(names) > 1 else None,
        scale=alt.Scale(domain=list(names), range=[colour(name) for name in names]),
    )


def _framed(layers: Sequence[alt.Chart], height: int | alt.Step) -> alt.LayerChart:
    return alt.LayerChart(layer=list(layers)).properties(height=height, padding=_FRAME)
