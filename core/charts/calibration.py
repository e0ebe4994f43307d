"""Charts of calibration: the reliability diagram, and the calibration error by digit."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.style import AXIS, PALETTE, PERCENT, QUIET, TOP_LEGEND, layer_chart

AS_TRAINED, WITH_TEMPERATURE = "as trained", "with the temperature"
_COLOURS = alt.Scale(domain=[AS_TRAINED, WITH_TEMPERATURE], range=[PALETTE[0], QUIET])


def reliability_chart(frame: pd.DataFrame, height: int = 368) -> alt.LayerChart:
    """Accuracy against mean probability, with 95 % intervals; calibrated bins lie on the diagonal.

    The numbers of predictions stand above the horizontal axis.

    Args:
        frame: one row per bin and series, with columns series (AS_TRAINED or WITH_TEMPERATURE),
            confidence, accuracy, low, high and centre (0 to 1), count, and bin (text). The counts
            of AS_TRAINED are written.
        height: pixels.
    """
    axis = alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1], labelExpr=PERCENT, **AXIS)
    scale = alt.Scale(domain=[0, 1], nice=False)
    x = alt.X("confidence:Q", title="highest probability", scale=scale, axis=axis)
    y = alt.Y("accuracy:Q", title="accuracy", scale=scale, axis=axis)
    colour = alt.Color("series:N", title=None, scale=_COLOURS, legend=alt.Legend(**TOP_LEGEND))
    tips = [
        alt.Tooltip("series:N"),
        alt.Tooltip("bin:N"),
        alt.Tooltip("count:Q", title="predictions", format=","),
        alt.Tooltip("confidence:Q", title="mean probability", format=".2%"),
        alt.Tooltip("accuracy:Q", format=".2%"),
        alt.Tooltip("low:Q", title="95 % interval, from", format=".2%"),
        alt.Tooltip("high:Q", title="to", format=".2%"),
    ]
    diagonal = pd.DataFrame({"confidence": [0, 1], "accuracy": [0, 1]})
    trained = frame[frame["series"] == AS_TRAINED]
    counts = trained.assign(text=trained["count"].map(_shorten_count), accuracy=0.0)
    base = alt.Chart(frame).encode(x=x, color=colour, tooltip=tips)
    layers = [
        alt.Chart(diagonal)
        .mark_line(color=QUIET, strokeDash=[2, 3], strokeWidth=1)
        .encode(x=x, y=y),
        base.mark_rule(strokeWidth=2, opacity=0.45).encode(
            y=alt.Y("low:Q", title="accuracy", scale=scale, axis=axis), y2="high:Q"
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(y=y),
        alt.Chart(counts)
        .mark_text(dy=-8, fontSize=10, color=QUIET)
        .encode(
            x=alt.X("centre:Q", title="highest probability", scale=scale, axis=axis),
            y=y,
            text="text:N",
        ),
    ]
    return layer_chart(layers, height)


def digit_error_chart(frame: pd.DataFrame, height: int = 368) -> alt.LayerChart:
    """Calibration error of the predictions of each digit.

    Args:
        frame: one row per digit and series, with columns digit, series, error (percent), count,
            confidence and accuracy (0 to 1); digits that are never predicted are left out.
        height: pixels.
    """
    highest = float(frame["error"].max()) if len(frame) else 0.0
    tips = [
        alt.Tooltip("digit:O", title="predicted digit"),
        alt.Tooltip("series:N"),
        alt.Tooltip("error:Q", title="calibration error, %", format=".2f"),
        alt.Tooltip("count:Q", title="predictions", format=","),
        alt.Tooltip("confidence:Q", title="mean probability", format=".2%"),
        alt.Tooltip("accuracy:Q", format=".2%"),
    ]
    base = alt.Chart(frame).encode(
        y=alt.Y(
            "digit:O",
            title=None,
            axis=alt.Axis(
                domain=False, ticks=False, labelPadding=10, labelFontSize=13, labelFontWeight=600
            ),
            scale=alt.Scale(domain=list(range(10))),
        ),
        yOffset=alt.YOffset(
            "series:N", scale=alt.Scale(domain=[AS_TRAINED, WITH_TEMPERATURE], paddingOuter=0.32)
        ),
        color=alt.Color("series:N", title=None, scale=_COLOURS, legend=alt.Legend(**TOP_LEGEND)),
        tooltip=tips,
    )
    x = alt.X(
        "error:Q",
        title=None,
        scale=alt.Scale(domain=[0, max(highest * 1.05, 0.1)], nice=False),
        axis=alt.Axis(tickCount=5, labelExpr="format(datum.value, '~r') + ' %'", **AXIS),
    )
    return layer_chart([base.mark_bar(size=6, cornerRadius=3).encode(x=x)], height)


def _shorten_count(count: int) -> str:
    return f"{count / 1000:.1f}k" if count >= 1000 else str(count)
