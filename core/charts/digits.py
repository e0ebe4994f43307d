"""Charts of the digits themselves: classes, grey values, ink, and the map of a sample.

Colours, heights and axes are those of `core.charts.training`.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.training import AXIS, HEIGHT, PALETTE, QUIET

CLASS_COLOURS = (*PALETTE, "#7b828e", "#8d5cf0")
_DIGITS = list(range(10))
PERCENT = "format(100 * datum.value, '.0f') + ' %'"
_FRAME = {"left": 4, "top": 8, "right": 12, "bottom": 6}


def balance(frame: pd.DataFrame) -> alt.LayerChart:
    """The share of each class, with a dotted line where all would be equal.

    Args:
        frame: columns digit, images and share (of 1), one row a class.
    """
    y = alt.Y(
        "share:Q",
        title=None,
        scale=alt.Scale(domain=[0, 0.12], nice=False),
        axis=alt.Axis(values=[0, 0.05, 0.1], labelExpr=PERCENT, **AXIS),
    )
    tips = [
        alt.Tooltip("digit:O"),
        alt.Tooltip("images:Q", format=","),
        alt.Tooltip("share:Q", format=".1%"),
    ]
    bars = (
        alt.Chart(frame)
        .mark_bar(color=PALETTE[0], cornerRadiusEnd=2)
        .encode(x=_by_digit(), y=y, tooltip=tips)
    )
    figures = (
        alt.Chart(frame)
        .mark_text(dy=14, fontSize=10, color="white")
        .encode(x=_by_digit(), y=y, text=alt.Text("images:Q", format=","))
    )
    even = (
        alt.Chart(pd.DataFrame({"share": [0.1]}))
        .mark_rule(strokeDash=[2, 3], color=QUIET)
        .encode(y=y)
    )
    return _framed([bars, even, figures], HEIGHT)


def ink(frame: pd.DataFrame) -> alt.LayerChart:
    """How much ink the digits of each class carry: from the lightest to the heaviest, and the median.

    Args:
        frame: columns digit, low, lower, median, upper and high (shares of white): 5, 25, 50, 75 and 95 %.
    """
    scale = alt.Scale(domain=[0, 0.3], nice=False)
    axis = alt.Axis(values=[0, 0.1, 0.2, 0.3], labelExpr=PERCENT, **AXIS)
    tips = [
        alt.Tooltip("digit:O"),
        *(
            alt.Tooltip(f"{name}:Q", title=title, format=".1%")
            for name, title in (
                ("low", "5 % below"),
                ("lower", "25 % below"),
                ("median", "median"),
                ("upper", "25 % above"),
                ("high", "5 % above"),
            )
        ),
    ]
    base = alt.Chart(frame).encode(x=_by_digit(), tooltip=tips)
    return _framed(
        [
            base.mark_bar(size=2, color=PALETTE[0], opacity=0.5).encode(
                y=alt.Y("low:Q", title=None, scale=scale, axis=axis), y2="high:Q"
            ),
            base.mark_bar(size=14, color=PALETTE[0], cornerRadius=2).encode(
                y=alt.Y("lower:Q", scale=scale), y2="upper:Q"
            ),
            base.mark_tick(size=14, thickness=2, color="white").encode(
                y=alt.Y("median:Q", scale=scale)
            ),
        ],
        HEIGHT,
    )


def greys(frame: pd.DataFrame) -> alt.LayerChart:
    """How often the grey values occur, on a logarithmic scale.

    Args:
        frame: columns low and high (grey values, 0 to 256) and share (of all pixels), one row a bar.
    """
    floor = 1e-3
    x = alt.X(
        "low:Q",
        title="grey value",
        scale=alt.Scale(domain=[0, 256], nice=False),
        axis=alt.Axis(values=[0, 64, 128, 192, 255], **{**AXIS, "grid": False}),
    )
    y = alt.Y(
        "share:Q",
        title=None,
        scale=alt.Scale(type="log", domain=[floor, 1], nice=False, clamp=True),
        axis=alt.Axis(
            values=[0.001, 0.01, 0.1, 1], labelExpr="format(100 * datum.value, '~g') + ' %'", **AXIS
        ),
    )
    tips = [
        alt.Tooltip("low:Q", title="from"),
        alt.Tooltip("last:Q", title="to"),
        alt.Tooltip("share:Q", title="share of the pixels", format=".2%"),
    ]
    shown = frame.assign(last=frame["high"] - 1, floor=floor)
    bars = (
        alt.Chart(shown)
        .mark_bar(color=PALETTE[0], binSpacing=1)
        .encode(x=x, x2="high:Q", y=y, y2="floor:Q", tooltip=tips)
    )
    return _framed([bars], HEIGHT)


def scatter(
    frame: pd.DataFrame, across: str, up: str, digit: int | None = None, height: int = 520
) -> alt.LayerChart:
    """A map of digits: a point each, its picture shown where the mouse is.

    Args:
        frame: columns x, y, digit, index and image (a picture as a data URI).
        across, up: names of the axes.
        digit: the class that stands out; None: all alike.
        height: pixels.
    """
    bare = {**AXIS, "grid": False, "labels": False, "titleFontWeight": "normal"}
    x, y = (
        alt.X("x:Q", title=across, axis=alt.Axis(**bare), scale=alt.Scale(zero=False)),
        alt.Y("y:Q", title=up, axis=alt.Axis(**bare), scale=alt.Scale(zero=False)),
    )
    colours = alt.Color(
        "digit:O",
        title=None,
        scale=alt.Scale(domain=_DIGITS, range=list(CLASS_COLOURS)),
        legend=alt.Legend(
            orient="top",
            direction="horizontal",
            columns=10,
            symbolOpacity=1,
            symbolSize=90,
            labelFontSize=13,
            padding=0,
            offset=8,
        ),
    )
    tips = [alt.Tooltip("image:N"), alt.Tooltip("digit:O"), alt.Tooltip("index:Q")]
    chosen = frame["digit"].eq(digit) if digit is not None else pd.Series(True, index=frame.index)
    layers = []
    for some, opacity in ((frame[~chosen], 0.15), (frame[chosen], 0.75)):
        layers.append(
            alt.Chart(some)
            .mark_circle(size=34, opacity=opacity)
            .encode(x=x, y=y, color=colours, tooltip=tips)
        )
    return _framed(layers, height)


def _by_digit() -> alt.X:
    return alt.X(
        "digit:O",
        title=None,
        scale=alt.Scale(paddingInner=0.1, paddingOuter=0.05),
        axis=alt.Axis(labelAngle=0, **{**AXIS, "grid": False}),
    )


def _framed(layers: list[alt.Chart], height: int) -> alt.LayerChart:
    return alt.LayerChart(layer=layers).properties(height=height, padding=_FRAME)
