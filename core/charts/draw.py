"""Charts of the drawing page: how answers change along a nudge, and how sure accuracies on few digits are.

Colours, heights and axes are those of `core.charts.training`.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.digits import CLASS_COLOURS, PERCENT
from core.charts.training import AXIS, HEIGHT, QUIET, colour

_FLOOR = 0.005  # of probability: lower stretches of a curve are left out
NAMED = 0.15  # a digit that never gets a larger probability is drawn quietly
_ROW = 34  # pixels for a network
_FRAME = {"left": 4, "top": 8, "right": 16, "bottom": 0}


def curves(frame: pd.DataFrame, title: str, now: float, still: float) -> alt.LayerChart:
    """The ten probabilities along a nudge, with a line where the sliders stand; named where they are highest.

    Args:
        frame: columns amount, digit (0 to 9) and probability (0 to 1).
        title: of the axis, with its unit.
        now: the amount that is set.
        still: the amount that changes nothing, marked by a dotted line.
    """
    low, high = float(frame["amount"].min()), float(frame["amount"].max())
    x = alt.X(
        "amount:Q",
        title=title,
        scale=alt.Scale(domain=[low, high], nice=False),
        axis=alt.Axis(tickCount=9, **{**AXIS, "grid": False, "titleFontWeight": "normal"}),
    )
    y = alt.Y(
        "probability:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1.08], nice=False),
        axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], labelExpr=PERCENT, **AXIS),
    )
    tops = frame.groupby("digit")["probability"].max()
    named = [digit for digit in tops.index if tops[digit] >= NAMED]
    colours = alt.Color(
        "digit:O", legend=None, scale=alt.Scale(domain=list(range(10)), range=list(CLASS_COLOURS))
    )
    tips = [
        alt.Tooltip("digit:O"),
        alt.Tooltip("amount:Q", title=title),
        alt.Tooltip("probability:Q", format=".1%"),
    ]
    quiet, loud = frame[~frame["digit"].isin(named)], frame[frame["digit"].isin(named)]
    marks = [
        alt.Chart(pd.DataFrame({"amount": [amount]}))
        .mark_rule(color=QUIET, strokeWidth=width, strokeDash=dash)
        .encode(x=x)
        for amount, width, dash in ((still, 1, [2, 3]), (now, 1.5, [1, 0]))
        if now != still or dash != [1, 0]
    ]
    lines = [
        alt.Chart(quiet)
        .mark_line(color=QUIET, strokeWidth=1, opacity=0.4)
        .encode(x=x, y=y, detail="digit:O"),
        alt.Chart(_above_floor(loud))
        .mark_line(strokeWidth=2.25)
        .encode(x=x, y=y, color=colours, tooltip=tips),
    ]
    words = (
        alt.Chart(_tops(loud))
        .mark_text(dy=-9, fontSize=14, fontWeight=600)
        .encode(x=x, y=y, text="digit:O", color=colours)
    )
    return alt.LayerChart(layer=[*marks, *lines, words]).properties(
        height=HEIGHT + 60, padding=_FRAME
    )


def intervals(frame: pd.DataFrame) -> alt.LayerChart:
    """Accuracies with their intervals, a line for each network.

    Args:
        frame: columns run, right, total, accuracy, low and high (percent).
    """
    low = max(0.0, float(frame["low"].min() // 10 * 10))
    x = alt.X(
        "accuracy:Q",
        title=None,
        scale=alt.Scale(domain=[low, 100], nice=False),
        axis=alt.Axis(tickCount=5, labelExpr="datum.value + ' %'", **AXIS),
    )
    y = alt.Y(
        "run:N",
        title=None,
        sort=None,
        axis=alt.Axis(domain=False, ticks=False, labelPadding=10, labelLimit=180, labelFontSize=13),
    )
    colours = alt.Color(
        "run:N",
        legend=None,
        scale=alt.Scale(domain=list(frame["run"]), range=[colour(name) for name in frame["run"]]),
    )
    tips = [
        alt.Tooltip("run:N", title="network"),
        alt.Tooltip("right:Q"),
        alt.Tooltip("total:Q", title="digits"),
        alt.Tooltip("low:Q", title="from, %", format=".1f"),
        alt.Tooltip("high:Q", title="to, %", format=".1f"),
    ]
    base = alt.Chart(frame).encode(y=y, color=colours, tooltip=tips)
    bars = base.mark_bar(size=6, cornerRadius=3, opacity=0.35).encode(
        x=x.copy(deep=True), x2="high:Q"
    )
    bars.encoding.x.shorthand = "low:Q"
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x)
    return alt.LayerChart(layer=[bars, points]).properties(
        height=_ROW * len(frame) + 30, padding=_FRAME
    )


def _above_floor(frame: pd.DataFrame) -> pd.DataFrame:
    """The curves without the stretches where they lie on the axis, and on each other."""
    near = frame.groupby("digit")["probability"].transform(
        lambda curve: curve.rolling(3, 1, True).max()
    )
    return frame.assign(probability=frame["probability"].where(near >= _FLOOR))


def _tops(frame: pd.DataFrame) -> pd.DataFrame:
    """For each digit the middle of where it is highest."""
    rows = []
    for _, some in frame.groupby("digit"):
        near = some[some["probability"] >= some["probability"].max() - 0.01]
        first = (
            near["amount"].diff().gt(2 * some["amount"].diff().median()).cumsum()
        )  # of plateaus the widest
        plateau = near[first == first.value_counts().idxmax()]
        rows.append(plateau.iloc[len(plateau) // 2])
    return pd.DataFrame(rows, columns=frame.columns).astype({"digit": int})
