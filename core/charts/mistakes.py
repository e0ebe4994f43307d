"""The chart of recall and precision by digit."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.style import AXIS, PALETTE, QUIET, TOP_LEGEND, layer_chart

RECALL, PRECISION = "recall", "precision"
_FLOOR = 0.02  # percent, where the logarithmic axis ends
_TICKS = (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2)
_OFFSET = 0.32  # padding of a digit's two bars


def class_accuracy_chart(frame: pd.DataFrame, height: int = 368) -> alt.LayerChart:
    """Recall and precision of each digit, with their 95 % confidence intervals.

    The axis is logarithmic in the error rate, or linear if a digit has more errors than correct
    predictions.

    Args:
        frame: columns digit, measure (RECALL or PRECISION), share, low and high (percent); rows
            without a share are left out.
        height: pixels.
    """
    shown = frame.dropna(subset=["share"]).copy()
    for name in ("share", "low", "high"):
        shown[f"{name}_error"] = (100 - shown[name]).clip(_FLOOR, 100)
    most = shown["low_error"].max() if len(shown) else 0
    worst = next((tick for tick in reversed(_TICKS) if tick >= max(5.0, most)), 100)
    ticks: list[float]
    if worst > 50:
        scale, ticks = alt.Scale(domain=[100, 0], nice=False), [100, 75, 50, 25, 0]
    else:
        scale = alt.Scale(type="log", domain=[worst, _FLOOR], nice=False)
        ticks = [*(tick for tick in _TICKS if tick <= worst), _FLOOR]
    axis = alt.Axis(
        values=ticks,
        labelExpr=f"datum.value <= {_FLOOR} ? '100 %' : format(100 - datum.value, '.4~f') + ' %'",
        labelFlush=True,
        **AXIS,
    )
    y = alt.Y(
        "digit:O",
        title=None,
        axis=alt.Axis(
            domain=False, ticks=False, labelPadding=10, labelFontSize=13, labelFontWeight=600
        ),
        scale=alt.Scale(domain=list(range(10))),
    )
    offset = alt.YOffset(
        "measure:N", scale=alt.Scale(domain=[RECALL, PRECISION], paddingOuter=_OFFSET)
    )
    colours = alt.Color(
        "measure:N",
        title=None,
        scale=alt.Scale(domain=[RECALL, PRECISION], range=[PALETTE[0], QUIET]),
        legend=alt.Legend(**TOP_LEGEND),
    )
    tips = [
        alt.Tooltip("digit:O"),
        alt.Tooltip("measure:N"),
        alt.Tooltip("share:Q", title="%", format=".2f"),
        alt.Tooltip("low:Q", title="95 % interval, from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
    ]
    base = alt.Chart(shown).encode(y=y, yOffset=offset, color=colours, tooltip=tips)
    x = alt.X("share_error:Q", title=None, scale=scale, axis=axis)
    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.45).encode(
            x=alt.X("low_error:Q", title=None, scale=scale, axis=axis), x2="high_error:Q"
        ),
        base.mark_point(filled=True, size=56, opacity=1).encode(x=x),
    ]
    return layer_chart(layers, height)
