"""The chart of a network's parameters. Colours, axes and words are those of `core.charts.training`."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.training import AXIS, PALETTE, QUIET

OVER = PALETTE[1]
# Pixels: for all bars together, at most for them, at most for one, and for one that can still be read.
_ROOM, _LONGEST, _WIDEST, _NARROW = 312, 600, 36, 18


def parameters(frame: pd.DataFrame, budget: int, most: int = 0) -> alt.LayerChart:
    """Parameters row by row, each bar beginning where the one above ends, with the budget as a dotted line.

    Args:
        frame: columns row (a label), parameters; in the order of the network.
        budget: parameters allowed.
        most: parameters that the axis has room for at least, to compare networks.
    """
    total = int(frame["parameters"].sum())
    end = frame["parameters"].cumsum()
    shown = frame.assign(
        end=end,
        start=end - frame["parameters"],
        over=end > budget,
        words=frame["parameters"].map("{:,}".format),
    )
    top = 1.12 * max(total, budget, most)
    count = max(1, len(frame))
    step = min(_WIDEST, max(_ROOM / count, min(_NARROW, _LONGEST / count)))
    x = alt.X(
        "start:Q",
        title=None,
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(tickCount=4, format=",d", **AXIS),
    )
    y = alt.Y(
        "row:N",
        title=None,
        sort=list(frame["row"]),
        axis=alt.Axis(domain=False, ticks=False, labelPadding=8, labelOverlap=True, labelLimit=160),
    )
    tips = [
        alt.Tooltip("row:N"),
        alt.Tooltip("parameters:Q", format=","),
        alt.Tooltip("end:Q", title="up to here", format=","),
    ]
    bars = (
        alt.Chart(shown)
        .mark_bar(height={"band": 0.62})
        .encode(
            x=x,
            x2="end:Q",
            y=y,
            tooltip=tips,
            color=alt.Color(
                "over:N",
                scale=alt.Scale(domain=[False, True], range=[PALETTE[0], OVER]),
                legend=None,
            ),
        )
    )
    figures = (
        alt.Chart(shown)
        .mark_text(align="left", dx=5, fontSize=11, color=QUIET)
        .encode(x=alt.X("end:Q"), y=y, text="words:N")
    )
    line = pd.DataFrame({"start": [budget]})
    rule = alt.Chart(line).mark_rule(strokeDash=[2, 3], color=QUIET).encode(x=x)
    layers = [rule, bars, *([figures] if step > 14 else [])]
    chart = alt.LayerChart(layer=layers)
    return chart.properties(
        height=alt.Step(step) if len(frame) else _WIDEST,
        padding={"left": 4, "top": 8, "right": 12, "bottom": 0},
    )
