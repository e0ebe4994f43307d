"""Charts of the dataset: classes, grey values, ink, and a two-dimensional map of images."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.style import AXIS, PALETTE, PERCENT, PLAIN_AXIS, QUIET, layer_chart

CLASS_COLOURS = (*PALETTE, "#7b828e", "#8d5cf0")
_DIGITS = list(range(10))
_BOTTOM = 6  # pixels of padding


def class_balance_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """The share of each class, with a dotted line at 10 %.

    Args:
        frame: columns digit, images and share (0 to 1), one row per class.
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
    counts = (
        alt.Chart(frame)
        .mark_text(dy=14, fontSize=10, color="white")
        .encode(x=_by_digit(), y=y, text=alt.Text("images:Q", format=","))
    )
    even = (
        alt.Chart(pd.DataFrame({"share": [0.1]}))
        .mark_rule(strokeDash=[2, 3], color=QUIET)
        .encode(y=y)
    )
    return layer_chart([bars, even, counts], bottom=_BOTTOM)


def ink_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Box plot of the mean grey value of each class's images.

    Args:
        frame: columns digit, low, lower, median, upper and high: the 5, 25, 50, 75 and 95 %
            quantiles, 0 to 1.
    """
    scale = alt.Scale(domain=[0, 0.3], nice=False)
    axis = alt.Axis(values=[0, 0.1, 0.2, 0.3], labelExpr=PERCENT, **AXIS)
    tips = [
        alt.Tooltip("digit:O"),
        *(
            alt.Tooltip(f"{name}:Q", title=title, format=".1%")
            for name, title in (
                ("low", "5 % quantile"),
                ("lower", "25 % quantile"),
                ("median", "median"),
                ("upper", "75 % quantile"),
                ("high", "95 % quantile"),
            )
        ),
    ]
    base = alt.Chart(frame).encode(x=_by_digit(), tooltip=tips)
    return layer_chart(
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
        bottom=_BOTTOM,
    )


def grey_value_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Histogram of grey values on a logarithmic axis.

    Args:
        frame: columns low and high (grey values, 0 to 256) and share of all pixels.
    """
    floor = 1e-3
    x = alt.X(
        "low:Q",
        title="grey value",
        scale=alt.Scale(domain=[0, 256], nice=False),
        axis=alt.Axis(values=[0, 64, 128, 192, 255], **PLAIN_AXIS),
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
        alt.Tooltip("share:Q", title="share of pixels", format=".2%"),
    ]
    shown = frame.assign(last=frame["high"] - 1, floor=floor)
    bars = (
        alt.Chart(shown)
        .mark_bar(color=PALETTE[0], binSpacing=1)
        .encode(x=x, x2="high:Q", y=y, y2="floor:Q", tooltip=tips)
    )
    return layer_chart([bars], bottom=_BOTTOM)


def digit_map(
    frame: pd.DataFrame, across: str, up: str, digit: int | None = None, height: int = 520
) -> alt.LayerChart:
    """Scatter plot of images, each shown in its tooltip.

    Args:
        frame: columns x, y, digit, index and image (a PNG as a data URI).
        across, up: titles of the axes.
        digit: the class to emphasise; None: none.
        height: pixels.
    """
    bare = {**PLAIN_AXIS, "labels": False, "titleFontWeight": "normal"}
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
    for points, opacity in ((frame[~chosen], 0.15), (frame[chosen], 0.75)):
        layers.append(
            alt.Chart(points)
            .mark_circle(size=34, opacity=opacity)
            .encode(x=x, y=y, color=colours, tooltip=tips)
        )
    return layer_chart(layers, height, bottom=_BOTTOM)


def _by_digit() -> alt.X:
    return alt.X(
        "digit:O",
        title=None,
        scale=alt.Scale(paddingInner=0.1, paddingOuter=0.05),
        axis=alt.Axis(labelAngle=0, **PLAIN_AXIS),
    )
