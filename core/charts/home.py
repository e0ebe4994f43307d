"""The chart of recipes, runs and public networks: accuracy against the number of parameters."""

from __future__ import annotations

from math import log
from typing import Literal

import altair as alt
import pandas as pd

from core.charts.style import (
    PALETTE,
    PLAIN_AXIS,
    QUIET,
    error_axis,
    layer_chart,
    run_colours,
)
from core.task import GOAL_ACCURACY, PARAMETER_BUDGET

PICKED = "picked"  # name of the selection by a click
RECIPE, SHIPPED, OWN, GROUP = KINDS = (
    "recipe",
    "shipped with the app",
    "your run",
    "your group",
)
MAX_LABELS = 12
# Font weights of labels: of the best for their size and of the user's own, and of the others, which
# a style sheet leaves out on a phone.
Weight = Literal[400, 500]
IMPORTANT: Weight = 500
FURTHER: Weight = 400
_TICKS = [90, 50, 20, 10, 5, 2, 1, 0.8, 0.6, 0.5, 0.4, 0.3]
_MAX_ERROR, _MIN_ERROR = 1.1, 0.28  # percent; the axis reaches at least this far
_PUBLIC = ["source", "parameters", "accuracy", "epoch", "is_best"]
_LABEL_HEIGHT, _LABEL_WIDTH = 14, 0.7  # pixels, and natural logarithm of parameters
# Positions of a label: alignment, and offset right and down in pixels. Never level with its point,
# where the line is.
_POSITIONS: tuple[tuple[Literal["left", "right"], int, int], ...] = (
    ("left", 8, 11),
    ("right", -8, 11),
    ("left", 8, -9),
    ("right", -8, -9),
    ("left", 8, 25),
    ("right", -8, 25),
    ("left", 8, -23),
    ("right", -8, -23),
)
_MANY = 40  # runs from which on points overlap


def frontier_chart(
    frame: pd.DataFrame,
    budget: int,
    goal: float = GOAL_ACCURACY,
    height: int = 300,
    public: pd.DataFrame | None = None,
    unit: str = "parameters",
) -> alt.LayerChart:
    """Accuracy by size, with the goal as a shaded corner and the Pareto front as a line.

    Args:
        frame: columns run, parameters, accuracy (percent), low and high (its 95 % confidence
            interval; both the accuracy itself where none is drawn), kind (one of KINDS) and sample
            (what the accuracy is, for the tooltip).
        budget: number of parameters that the goal allows.
        goal: percent.
        height: pixels.
        public: networks of others in grey: columns source, parameters, accuracy (percent), epoch
            (which epoch has that accuracy) and is_best (whether that one was chosen on the test
            images); None: no such networks.
        unit: what the column parameters counts.
    """
    frame = frame.assign(**_errors(frame, "accuracy", "low", "high"))
    public = pd.DataFrame(columns=_PUBLIC) if public is None else public
    public = public.assign(**_errors(public, "accuracy"))
    every = pd.concat([frame[["parameters", "error"]], public[["parameters", "error"]]])
    errors = [*every["error"], *frame["error_low"], *frame["error_high"]]
    highest = max(_MAX_ERROR, *(1.15 * error for error in errors), 0)
    lowest = min(_MIN_ERROR, *(0.85 * error for error in errors), 100)
    low = min(1_500, *(0.7 * every["parameters"]), 1_500)
    high = max(30_000, *(1.6 * every["parameters"]), 30_000)
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    x = alt.X(
        "parameters:Q",
        title=unit,
        scale=scale,
        axis=alt.Axis(
            values=[tick for tick in _parameter_ticks() if low <= tick <= high],
            format=",d",
            **PLAIN_AXIS,
        ),
    )
    y = error_axis("error", highest, lowest, _TICKS)
    corner = pd.DataFrame(
        {"parameters": [low], "budget": [budget], "error": [100 - goal], "lowest": [lowest]}
    )
    area = (
        alt.Chart(corner)
        .mark_rect(color=PALETTE[2], opacity=0.1)
        .encode(x=x, x2="budget:Q", y=y, y2="lowest:Q")
    )
    across = alt.Chart(corner).mark_rule(strokeDash=[2, 3], color=QUIET).encode(y=y)
    up = (
        alt.Chart(corner)
        .mark_rule(strokeDash=[2, 3], color=QUIET)
        .encode(x=alt.X("budget:Q", scale=scale))
    )
    label = (
        alt.Chart(corner)
        .mark_text(align="left", baseline="top", dx=6, dy=6, color=QUIET, fontSize=11, text="goal")
        .encode(x=alt.value(0), y=alt.value(0))
    )
    layers = [area, across, up, label]
    if len(public):
        layers += _public_points(public, x, y, unit)
    if len(frame):
        layers += [
            _front(frame, x, y, high),
            _intervals(frame, x, error_axis("error_low", highest, lowest, _TICKS)),
            _points(frame, x, y, unit),
            *_labels(frame, x, y, highest, lowest, height),
        ]
    return layer_chart(layers, height)


def _errors(frame: pd.DataFrame, *columns: str) -> dict[str, pd.Series]:
    """Columns of accuracies as error rates in percent, within what the axis can show."""
    names = {"accuracy": "error", "low": "error_low", "high": "error_high"}
    return {names[name]: (100 - frame[name].astype(float)).clip(0.01, 90) for name in columns}


def _public_points(public: pd.DataFrame, x: alt.X, y: alt.Y, unit: str) -> list[alt.Chart]:
    """Grey points: hollow where the epoch was chosen on the test images."""
    tips = [
        alt.Tooltip("source:N", title="public network"),
        alt.Tooltip("accuracy:Q", title="accuracy, %", format=".2f"),
        alt.Tooltip("epoch:N"),
        alt.Tooltip("parameters:Q", title=unit, format=","),
    ]
    return [
        alt.Chart(public[public["is_best"].astype(bool) == is_best])
        .mark_point(
            shape="circle", filled=not is_best, color=QUIET, size=44, strokeWidth=1.5, opacity=0.9
        )
        .encode(x=x, y=y, tooltip=tips)
        for is_best in (True, False)
    ]


def _intervals(frame: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    """Vertical lines over the intervals; `y` is the axis of their low ends."""
    return (
        alt.Chart(frame[frame["low"] < frame["high"]])
        .mark_rule(strokeWidth=2, opacity=0.7)
        .encode(x=x, y=y, y2="error_high:Q", color=run_colours("run", list(frame["run"])))
    )


def _parameter_ticks() -> list[int]:
    return [step * 10**power for power in range(2, 8) for step in (1, 2, 5)] + [PARAMETER_BUDGET]


def pareto_front(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that are more accurate than every smaller or equally large one."""
    ordered = frame.sort_values(["parameters", "accuracy"], ascending=[True, False])
    return ordered[ordered["accuracy"] > ordered["accuracy"].cummax().shift(fill_value=-1.0)]


def _front(frame: pd.DataFrame, x: alt.X, y: alt.Y, high: float) -> alt.Chart:
    best = pareto_front(frame)[["parameters", "error"]]
    best = pd.concat([best, best.tail(1).assign(parameters=high)])
    return (
        alt.Chart(best)
        .mark_line(interpolate="step-after", strokeWidth=1.5, color=QUIET, opacity=0.6)
        .encode(x=x, y=y)
    )


def _points(frame: pd.DataFrame, x: alt.X, y: alt.Y, unit: str) -> alt.Chart:
    # All kinds in one layer, since a selection belongs to one.
    kinds, opacity = list(KINDS), 0.85 if len(frame) < _MANY else 0.5
    click = alt.selection_point(name=PICKED, fields=["run"], on="click", clear=False)
    tips = [
        alt.Tooltip("run:N"),
        alt.Tooltip("accuracy:Q", title="accuracy, %", format=".3~f"),
        alt.Tooltip("sample:N", title="that is"),
        alt.Tooltip("parameters:Q", title=unit, format=","),
        alt.Tooltip("kind:N"),
    ]
    return (
        alt.Chart(frame)
        .mark_point(filled=True, opacity=opacity, cursor="pointer")
        .encode(
            x=x,
            y=y,
            tooltip=tips,
            color=run_colours("run", list(frame["run"])),
            shape=alt.Shape(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=["diamond", "diamond", "circle", "square"]),
                legend=None,
            ),
            size=alt.Size(
                "kind:N", scale=alt.Scale(domain=kinds, range=[170, 90, 64, 110]), legend=None
            ),
        )
        .add_params(click)
    )


def _labels(
    frame: pd.DataFrame, x: alt.X, y: alt.Y, highest: float, lowest: float, height: int
) -> list[alt.Chart]:
    """Names beside the points of shipped runs, and of the user's runs if few, else of the best."""
    is_shipped = frame["kind"].isin([RECIPE, SHIPPED])
    shipped, own = frame[is_shipped], frame[~is_shipped]
    best = own[own["run"].isin(pareto_front(frame)["run"])].tail(1)
    chosen = pd.concat([shipped, own if len(own) <= MAX_LABELS // 2 else best])
    chosen = chosen.sort_values(["accuracy", "run"], ascending=False).head(MAX_LABELS)
    positions = _choose_positions(chosen, highest, lowest, height)
    is_best = chosen["run"].isin(pareto_front(frame)["run"])
    is_own = ~chosen["kind"].isin([RECIPE, SHIPPED])
    chosen = chosen.assign(position=positions, is_important=is_best | is_own)
    layers = []
    for (position, is_important), rows in chosen.groupby(["position", "is_important"]):
        align, dx, dy = _POSITIONS[position]
        weight: Weight = IMPORTANT if is_important else FURTHER
        layers.append(
            alt.Chart(rows)
            .mark_text(align=align, dx=dx, dy=dy, fontSize=12, fontWeight=weight, color=QUIET)
            .encode(x=x, y=y, text="run:N")
        )
    return layers


def _choose_positions(
    chosen: pd.DataFrame, highest: float, lowest: float, height: int
) -> list[int]:
    """For each label the first of _POSITIONS that covers no earlier label and no point."""
    taken: list[tuple[float, str, float]] = []
    result: list[int] = []
    points = [
        (log(parameters), height * log(error / lowest) / log(highest / lowest))
        for error, parameters in zip(chosen["error"], chosen["parameters"], strict=True)
    ]
    for across, down in points:
        free = [
            position
            for position, (side, _, dy) in enumerate(_POSITIONS)
            if not any(
                side == other
                and abs(across - at) < _LABEL_WIDTH
                and abs(down + dy - level) < _LABEL_HEIGHT
                for at, other, level in taken
            )
            and not any(
                0 < (at - across if side == "left" else across - at) < _LABEL_WIDTH
                and abs(down + dy - level) < _LABEL_HEIGHT / 2
                for at, level in points
            )
        ]
        result.append(free[0] if free else 0)
        side, _, dy = _POSITIONS[result[-1]]
        taken.append((across, side, down + dy))
    return result
