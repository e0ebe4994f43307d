"""Charts of what a network gets wrong. Colours, axes and the scale of mistakes are those of `core.charts.training`."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.training import AXIS, PALETTE, QUIET

RECALL, PRECISION = "recall", "precision"
_FLOOR = 0.02  # percent: where the axis ends, since a logarithm knows no "none"
_TICKS = (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2)
_OFFSET = 0.32  # of a digit's room between its two bars


def by_digit(frame: pd.DataFrame, height: int = 368) -> alt.LayerChart:
    """Recall and precision of each digit, with their 95 % intervals as lines.

    The scale is one of mistakes, so that the last tenths of a percent have room; for a network that misses a digit
    more often than not it is an even one from 0 to 100 %.

    Args:
        frame: columns digit, measure (RECALL or PRECISION), share, low and high (percent); rows without a share are
            left out.
        height: pixels.
    """
    shown = frame.dropna(subset=["share"]).copy()
    for name in ("share", "low", "high"):
        shown[f"{name}_wrong"] = (100 - shown[name]).clip(_FLOOR, 100)
    most = shown["low_wrong"].max() if len(shown) else 0
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
        legend=alt.Legend(
            orient="top",
            symbolOpacity=1,
            symbolStrokeWidth=0,
            symbolSize=80,
            labelFontSize=12,
            padding=0,
            offset=4,
        ),
    )
    tips = [
        alt.Tooltip("digit:O"),
        alt.Tooltip("measure:N"),
        alt.Tooltip("share:Q", title="%", format=".2f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
    ]
    base = alt.Chart(shown).encode(y=y, yOffset=offset, color=colours, tooltip=tips)
    x = alt.X("share_wrong:Q", title=None, scale=scale, axis=axis)
    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.45).encode(
            x=alt.X("low_wrong:Q", title=None, scale=scale, axis=axis), x2="high_wrong:Q"
        ),
        base.mark_point(filled=True, size=56, opacity=1).encode(x=x),
    ]
    return alt.LayerChart(layer=layers).properties(
        height=height, padding={"left": 4, "top": 4, "right": 12, "bottom": 0}
    )
