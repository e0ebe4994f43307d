"""The chart of a network's parameters by row."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.style import AXIS, PALETTE, QUIET, dotted_line, layer_chart

OVER = PALETTE[1]
_HEIGHT, _MAX_HEIGHT = 312, 600  # pixels of all bars
_MIN_BAR, _MAX_BAR = 18, 36  # pixels of one bar


def parameter_chart(frame: pd.DataFrame, budget: int, most: int = 0) -> alt.LayerChart:
    """Parameters by row as a waterfall chart, with the limit as a dotted line.

    Args:
        frame: columns row (a label) and parameters, in the order of the network.
        budget: limit on the number of parameters.
        most: number of parameters that the axis covers at least, to compare networks.
    """
    total = int(frame["parameters"].sum())
    end = frame["parameters"].cumsum()
    shown = frame.assign(
        end=end,
        start=end - frame["parameters"],
        over=end > budget,
        label=frame["parameters"].map("{:,}".format),
    )
    top = 1.12 * max(total, budget, most)
    count = max(1, len(frame))
    step = min(_MAX_BAR, max(_HEIGHT / count, min(_MIN_BAR, _MAX_HEIGHT / count)))
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
        alt.Tooltip("end:Q", title="sum up to here", format=","),
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
        .encode(x=alt.X("end:Q"), y=y, text="label:N")
    )
    layers = [dotted_line(x, "start", budget), bars, *([figures] if step > 14 else [])]
    return layer_chart(layers, alt.Step(step) if len(frame) else _MAX_BAR)
