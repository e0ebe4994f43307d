"""Charts of sweeps: how the search went, what mattered, one setting at a time, and accuracy against its price.

Colours, axes and words are those of `core.charts.training`.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from core.charts.training import AXIS, HEIGHT, PALETTE, QUIET

DONE, PRUNED, BEST = "trained to the end", "ended early", "best"
_MARKS = (
    90,
    80,
    70,
    60,
    50,
    40,
    30,
    20,
    15,
    10,
    8,
    6,
    5,
    4,
    3,
    2.5,
    2,
    1.8,
    1.6,
    1.4,
    1.2,
    1,
    0.9,
    0.8,
    0.7,
    0.6,
    0.5,
    0.4,
    0.3,
    0.2,
    0.1,
    0.05,
)  # mistakes, percent: where the axis may end
_TICKS = 7
_FRAME = {"left": 4, "top": 8, "right": 16, "bottom": 0}
_INK = PALETTE[0]
_BEST = PALETTE[2]
_ROW = 30  # pixels for one bar


def history(frame: pd.DataFrame) -> alt.LayerChart:
    """Accuracy of each run in the order in which they ended, and the best so far as a line.

    Args:
        frame: columns order (from 1), accuracy (percent), state (DONE or PRUNED), run and drawn (words).
    """
    shown = _mistakes(frame)
    last = max(int(shown["order"].max()) if len(shown) else 1, 2)
    x = alt.X(
        "order:Q",
        title="run",
        scale=alt.Scale(domain=[1, last], nice=False, padding=8),
        axis=alt.Axis(format="d", tickMinStep=1, **{**AXIS, "grid": False}),
    )
    y = _accuracy(shown)
    best = shown.assign(
        mistakes=shown["mistakes"].where(shown["state"] == DONE).cummin().ffill()
    ).dropna()
    line = alt.Chart(best).mark_line(
        strokeWidth=2, color=_BEST, interpolate="step-after", clip=True
    )
    return _framed([line.encode(x=x, y=y), _points(shown, x, y)])


def front(frame: pd.DataFrame, price: str) -> alt.LayerChart:
    """Accuracy against its price, with the runs that no other beats in both on a line.

    Args:
        frame: columns accuracy (percent), price, state (DONE, PRUNED or BEST), run and drawn (words).
        price: what it is, in words: the title of its axis.
    """
    shown = _mistakes(frame)
    x = alt.X(
        "price:Q",
        title=price,
        scale=alt.Scale(zero=False, nice=True, padding=12),
        axis=alt.Axis(tickCount=6, format=",~r", **AXIS),
    )
    y = _accuracy(shown)
    best = shown[shown["state"] == BEST].sort_values("price")
    line = alt.Chart(best).mark_line(
        strokeWidth=2, color=_BEST, interpolate="step-after", clip=True
    )
    points = _points(shown, x, y, alt.Tooltip("price:Q", title=price, format=",.4~r"))
    top = best.nsmallest(1, "mistakes")
    late = len(top) and top["price"].iloc[0] > shown["price"].agg(["min", "max"]).mean()
    words = (
        alt.Chart(top)
        .mark_text(
            align="right" if late else "left",
            dx=8 if late else -8,
            dy=-12,
            color=_BEST,
            fontSize=11,
        )
        .encode(x=x, y=y, text="run:N")
    )
    return _framed([line.encode(x=x, y=y), points, words])


def slice_(frame: pd.DataFrame, name: str, log: bool = False) -> alt.LayerChart:
    """Accuracy against one setting, whatever the others were.

    Args:
        frame: columns value (numbers, or words where it is one of some choices), accuracy (percent), state, run, drawn.
        name: of the setting.
        log: whether it was drawn by its logarithm.
    """
    shown = _mistakes(frame)
    if len(shown) and not pd.api.types.is_numeric_dtype(shown["value"]):
        x = alt.X(
            "value:N",
            title=name,
            axis=alt.Axis(labelAngle=0, labelLimit=140, **{**AXIS, "grid": False}),
        )
    else:
        x = alt.X(
            "value:Q",
            title=name,
            axis=alt.Axis(tickCount=6, format=".3~g", **{**AXIS, "grid": False}),
            scale=alt.Scale(type="log" if log else "linear", zero=False, nice=True, padding=12),
        )
    return _framed([_points(shown, x, _accuracy(shown))])


def importance(frame: pd.DataFrame) -> alt.LayerChart:
    """How much each setting mattered, as bars with their shares.

    Args:
        frame: columns name and share (0 to 1), the largest first.
    """
    y = alt.Y(
        "name:N",
        title=None,
        sort=list(frame["name"]),
        axis=alt.Axis(domain=False, ticks=False, labelPadding=8, labelLimit=180),
    )
    x = alt.X(
        "share:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1.12 * max([*frame["share"], 0.01])], nice=False),
        axis=None,
    )
    tips = [alt.Tooltip("name:N", title="setting"), alt.Tooltip("share:Q", format=".0%")]
    bars = alt.Chart(frame).mark_bar(color=_INK, height=12).encode(x=x, y=y, tooltip=tips)
    shown = frame.assign(words=[f"{100 * share:.0f}\u00a0%" for share in frame["share"]])
    words = (
        alt.Chart(shown)
        .mark_text(align="left", dx=5, color=QUIET, fontSize=12)
        .encode(x=x, y=y, text="words:N")
    )
    return alt.LayerChart(layer=[bars, words]).properties(height=alt.Step(_ROW), padding=_FRAME)


def _mistakes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(mistakes=(100 - frame["accuracy"]).clip(_MARKS[-1], _MARKS[0]))


def _accuracy(shown: pd.DataFrame) -> alt.Y:
    """Accuracy on a scale of mistakes that holds the better nine tenths; what is worse stands at its lower end."""
    usual = shown["mistakes"].quantile(0.9) if len(shown) else 10
    most = min((mark for mark in _MARKS if mark >= usual), default=_MARKS[0])
    fewest = (
        max((mark for mark in _MARKS if mark < shown["mistakes"].min()), default=_MARKS[-1])
        if len(shown)
        else 1
    )
    marks = [mark for mark in _MARKS if fewest <= mark <= most]
    return alt.Y(
        "mistakes:Q",
        title=None,
        scale=alt.Scale(type="log", domain=[most, fewest], nice=False, clamp=True),
        axis=alt.Axis(
            values=marks[::-1][:: -(-len(marks) // _TICKS)],
            labelExpr="format(100 - datum.value, '.4~f') + ' %'",
            **AXIS,
        ),
    )


def _points(shown: pd.DataFrame, x: alt.X, y: alt.Y, *more: alt.Tooltip) -> alt.Chart:
    states = [state for state in (BEST, DONE, PRUNED) if state in set(shown["state"])]
    inks = {BEST: _BEST, DONE: _INK, PRUNED: QUIET}
    legend = (
        alt.Legend(
            orient="top",
            symbolOpacity=1,
            padding=0,
            offset=8,
            values=[DONE, PRUNED],
        )
        if {DONE, PRUNED} <= set(states)
        else None
    )
    own = alt.Color(
        "state:N",
        title=None,
        legend=legend,
        scale=alt.Scale(domain=states, range=[inks[state] for state in states]),
    )
    tips = [
        alt.Tooltip("run:N"),
        alt.Tooltip("accuracy:Q", title="held-out images, %", format=".2f"),
        *more,
        alt.Tooltip("drawn:N"),
    ]
    return (
        alt.Chart(shown).mark_circle(size=60, opacity=0.8).encode(x=x, y=y, color=own, tooltip=tips)
    )


def _framed(layers: Sequence[alt.Chart]) -> alt.LayerChart:
    return alt.LayerChart(layer=list(layers)).properties(height=HEIGHT, padding=_FRAME)
