"""Charts of sweeps: history, importance of settings, accuracy by setting and by cost."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.style import AXIS, PALETTE, PLAIN_AXIS, QUIET, error_axis, layer_chart

DONE, PRUNED, BEST = "completed", "pruned", "best"
# Error rates in percent where the accuracy axis may end.
_LIMITS = tuple(
    map(
        float,
        [
            "90",
            "80",
            "70",
            "60",
            "50",
            "40",
            "30",
            "20",
            "15",
            "10",
            "8",
            "6",
            "5",
            "4",
            "3",
            "2.5",
            "2",
            "1.8",
            "1.6",
            "1.4",
            "1.2",
            "1",
            "0.9",
            "0.8",
            "0.7",
            "0.6",
            "0.5",
            "0.4",
            "0.3",
            "0.2",
            "0.1",
            "0.05",
        ],
    )
)
_MAX_TICKS = 7
_RIGHT = 16  # pixels of padding
_ROW = 30  # pixels per bar


def history_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Accuracy of the runs in the order in which they ended, with the best so far as a line.

    Args:
        frame: columns order (from 1), accuracy (percent), state (DONE or PRUNED), run and drawn
            (the sampled settings in words).
    """
    frame = _with_errors(frame)
    last = max(int(frame["order"].max()) if len(frame) else 1, 2)
    x = alt.X(
        "order:Q",
        title="run",
        scale=alt.Scale(domain=[1, last], nice=False, padding=8),
        axis=alt.Axis(format="d", tickMinStep=1, **PLAIN_AXIS),
    )
    y = _accuracy_axis(frame)
    completed = frame["error"].where(frame["state"] == DONE)
    best = frame.assign(error=completed.cummin().ffill()).dropna()
    line = _best_line(best).encode(x=x, y=y)
    return layer_chart([line, _points(frame, x, y)], right=_RIGHT)


def tradeoff_chart(frame: pd.DataFrame, price: str) -> alt.LayerChart:
    """Accuracy against cost, with the Pareto front as a line.

    Args:
        frame: columns accuracy (percent), price, state (DONE, PRUNED or BEST), run and drawn.
        price: title of the cost axis.
    """
    frame = _with_errors(frame)
    x = alt.X(
        "price:Q",
        title=price,
        scale=alt.Scale(zero=False, nice=True, padding=12),
        axis=alt.Axis(tickCount=6, format=",~r", **AXIS),
    )
    y = _accuracy_axis(frame)
    best = frame[frame["state"] == BEST].sort_values("price")
    points = _points(frame, x, y, alt.Tooltip("price:Q", title=price, format=",.4~r"))
    top = best.nsmallest(1, "error")
    late = len(top) and top["price"].iloc[0] > frame["price"].agg(["min", "max"]).mean()
    label = (
        alt.Chart(top)
        .mark_text(
            align="right" if late else "left",
            dx=8 if late else -8,
            dy=-12,
            color=PALETTE[2],
            fontSize=11,
        )
        .encode(x=x, y=y, text="run:N")
    )
    line = _best_line(best).encode(x=x, y=y)
    return layer_chart([line, points, label], right=_RIGHT)


def slice_chart(frame: pd.DataFrame, name: str, log: bool = False) -> alt.LayerChart:
    """Accuracy against one setting, over all values of the others.

    Args:
        frame: columns value (numbers or text), accuracy (percent), state, run and drawn.
        name: of the setting.
        log: whether the setting was sampled on a logarithmic scale.
    """
    frame = _with_errors(frame)
    if len(frame) and not pd.api.types.is_numeric_dtype(frame["value"]):
        x = alt.X(
            "value:N",
            title=name,
            axis=alt.Axis(labelAngle=0, labelLimit=140, **PLAIN_AXIS),
        )
    else:
        x = alt.X(
            "value:Q",
            title=name,
            axis=alt.Axis(tickCount=6, format=".3~g", **PLAIN_AXIS),
            scale=alt.Scale(type="log" if log else "linear", zero=False, nice=True, padding=12),
        )
    return layer_chart([_points(frame, x, _accuracy_axis(frame))], right=_RIGHT)


def importance_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Importance of each setting as bars.

    Args:
        frame: columns name and share (0 to 1), in descending order.
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
    bars = alt.Chart(frame).mark_bar(color=PALETTE[0], height=12).encode(x=x, y=y, tooltip=tips)
    labelled = frame.assign(label=[f"{100 * share:.0f}\u00a0%" for share in frame["share"]])
    labels = (
        alt.Chart(labelled)
        .mark_text(align="left", dx=5, color=QUIET, fontSize=12)
        .encode(x=x, y=y, text="label:N")
    )
    return layer_chart([bars, labels], alt.Step(_ROW), right=_RIGHT)


def _with_errors(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(error=(100 - frame["accuracy"]).clip(_LIMITS[-1], _LIMITS[0]))


def _best_line(best: pd.DataFrame) -> alt.Chart:
    return alt.Chart(best).mark_line(
        strokeWidth=2, color=PALETTE[2], interpolate="step-after", clip=True
    )


def _accuracy_axis(frame: pd.DataFrame) -> alt.Y:
    """The axis over the best nine tenths of the runs; the others are drawn at its lower end."""
    errors = frame["error"]
    usual = errors.quantile(0.9) if len(frame) else 10
    highest = min((limit for limit in _LIMITS if limit >= usual), default=_LIMITS[0])
    lowest = 1.0
    if len(frame):
        lowest = max((limit for limit in _LIMITS if limit < errors.min()), default=_LIMITS[-1])
    ticks = [limit for limit in _LIMITS if lowest <= limit <= highest]
    y = error_axis("error", highest, lowest, ticks[::-1][:: -(-len(ticks) // _MAX_TICKS)])
    y["scale"]["clamp"] = True
    return y


def _points(frame: pd.DataFrame, x: alt.X, y: alt.Y, *more: alt.Tooltip) -> alt.Chart:
    states = [state for state in (BEST, DONE, PRUNED) if state in set(frame["state"])]
    colours = {BEST: PALETTE[2], DONE: PALETTE[0], PRUNED: QUIET}
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
        scale=alt.Scale(domain=states, range=[colours[state] for state in states]),
    )
    tips = [
        alt.Tooltip("run:N"),
        alt.Tooltip("accuracy:Q", title="validation accuracy, %", format=".2f"),
        *more,
        alt.Tooltip("drawn:N", title="settings"),
    ]
    return (
        alt.Chart(frame).mark_circle(size=60, opacity=0.8).encode(x=x, y=y, color=own, tooltip=tips)
    )
