"""Charts of the drawing page: probabilities under a perturbation, and accuracies on few digits."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.digits import CLASS_COLOURS
from core.charts.style import (
    AXIS,
    HEIGHT,
    PERCENT,
    PLAIN_AXIS,
    QUIET,
    epoch_axis,
    layer_chart,
    run_colours,
)

_FLOOR = 0.005  # lower probabilities are left out
MIN_LABELLED = 0.15  # digits whose probability stays lower are drawn in grey
_ROW = 34  # pixels per network
_RIGHT = 16  # pixels of padding


def probability_chart(
    frame: pd.DataFrame, title: str, value: float, neutral: float
) -> alt.LayerChart:
    """The ten probabilities against the strength of a perturbation.

    Args:
        frame: columns amount, digit (0 to 9) and probability (0 to 1).
        title: of the x axis, with its unit.
        value: the current amount, marked by a solid line.
        neutral: the amount that changes nothing, marked by a dotted line.
    """
    low, high = float(frame["amount"].min()), float(frame["amount"].max())
    x = alt.X(
        "amount:Q",
        title=title,
        scale=alt.Scale(domain=[low, high], nice=False),
        axis=alt.Axis(tickCount=9, titleFontWeight="normal", **PLAIN_AXIS),
    )
    marks = [
        alt.Chart(pd.DataFrame({"amount": [amount]}))
        .mark_rule(color=QUIET, strokeWidth=width, strokeDash=dash)
        .encode(x=x)
        for amount, width, dash in ((neutral, 1, [2, 3]), (value, 1.5, [1, 0]))
        if value != neutral or dash != [1, 0]
    ]
    tip = alt.Tooltip("amount:Q", title=title)
    return layer_chart([*marks, *_probability_lines(frame, x, tip)], HEIGHT + 60, right=_RIGHT)


def epoch_probability_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """The ten probabilities of one image after each kept epoch of a run.

    Args:
        frame: columns amount (the epoch; 0: before the first), digit (0 to 9) and probability (0
            to 1).
    """
    x = epoch_axis(int(frame["amount"].max()), "amount")
    tip = alt.Tooltip("amount:Q", title="epoch")
    return layer_chart(_probability_lines(frame, x, tip), HEIGHT, right=_RIGHT)


def _probability_lines(frame: pd.DataFrame, x: alt.X, tip: alt.Tooltip) -> list[alt.Chart]:
    """The curves of the ten digits; those that are ever probable have a colour and a label."""
    y = alt.Y(
        "probability:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1.08], nice=False),
        axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], labelExpr=PERCENT, **AXIS),
    )
    maxima = frame.groupby("digit")["probability"].max()
    labelled = frame["digit"].isin(maxima[maxima >= MIN_LABELLED].index)
    colours = alt.Color(
        "digit:O", legend=None, scale=alt.Scale(domain=list(range(10)), range=list(CLASS_COLOURS))
    )
    tips = [
        alt.Tooltip("digit:O"),
        tip,
        alt.Tooltip("probability:Q", format=".1%"),
    ]
    quiet, loud = frame[~labelled], frame[labelled]
    lines = [
        alt.Chart(quiet)
        .mark_line(color=QUIET, strokeWidth=1, opacity=0.4)
        .encode(x=x, y=y, detail="digit:O"),
        alt.Chart(_above_floor(loud))
        .mark_line(strokeWidth=2.25)
        .encode(x=x, y=y, color=colours, tooltip=tips),
    ]
    labels = (
        alt.Chart(_peaks(loud))
        .mark_text(dy=-9, fontSize=14, fontWeight=600)
        .encode(x=x, y=y, text="digit:O", color=colours)
    )
    return [*lines, labels]


def accuracy_interval_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Accuracies with their 95 % confidence intervals, one row per network.

    Args:
        frame: columns run, correct, total, accuracy, low and high (percent).
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
    colours = run_colours("run", list(frame["run"]))
    tips = [
        alt.Tooltip("run:N", title="network"),
        alt.Tooltip("correct:Q"),
        alt.Tooltip("total:Q", title="digits"),
        alt.Tooltip("low:Q", title="95 % interval, from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
    ]
    base = alt.Chart(frame).encode(y=y, color=colours, tooltip=tips)
    bars = base.mark_bar(size=6, cornerRadius=3, opacity=0.35).encode(
        x=x.copy(deep=True), x2="high:Q"
    )
    bars.encoding.x.shorthand = "low:Q"
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x)
    return layer_chart([bars, points], _ROW * len(frame) + 30, right=_RIGHT)


def _above_floor(frame: pd.DataFrame) -> pd.DataFrame:
    """The curves without the parts close to 0, where they overlap."""
    near = frame.groupby("digit")["probability"].transform(
        lambda curve: curve.rolling(3, 1, True).max()
    )
    return frame.assign(probability=frame["probability"].where(near >= _FLOOR))


def _peaks(frame: pd.DataFrame) -> pd.DataFrame:
    """For each digit the middle of its widest plateau near the maximum."""
    rows = []
    for _, curve in frame.groupby("digit"):
        near = curve[curve["probability"] >= curve["probability"].max() - 0.01]
        number = near["amount"].diff().gt(2 * curve["amount"].diff().median()).cumsum()
        plateau = near[number == number.value_counts().idxmax()]
        rows.append(plateau.iloc[len(plateau) // 2])
    return pd.DataFrame(rows, columns=frame.columns).astype({"digit": int})
