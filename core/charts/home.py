"""The chart of all runs: how accurate for how many parameters. Colours, axes and words are those of `core.charts.training`."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Literal

import altair as alt
import pandas as pd

from core.charts.training import AXIS, PALETTE, QUIET, colour
from core.task import GOAL_ACCURACY, PARAMETER_BUDGET

PICKED = "picked"  # name of the selection that a click makes
SHIPPED, OWN, GROUP = KINDS = "came with the app", "your own", "mean of several seeds"
LABELS = 8  # names beside their points, at most
_TICKS = [90, 50, 20, 10, 5, 2, 1, 0.6, 0.4, 0.3, 0.2]
_FEWEST = 0.25  # mistakes in percent that the axis has room for at least
_LINE, _WIDTH = 14, 0.7  # pixels down, and logarithms across: names closer than both would touch
# Where a name stands: alignment, and pixels right and down. Never level with its point, where the line runs.
_BESIDE: tuple[tuple[Literal["left", "right"], int, int], ...] = (
    ("left", 8, 11),
    ("right", -8, 11),
    ("left", 8, -9),
    ("right", -8, -9),
    ("left", 8, 25),
    ("right", -8, 25),
    ("left", 8, -23),
    ("right", -8, -23),
)
_MANY = 40  # runs from which on points lie on each other
_GREEN = PALETTE[2]


def frontier(
    frame: pd.DataFrame, budget: int, goal: float = GOAL_ACCURACY, height: int = 300
) -> alt.LayerChart:
    """Accuracy against parameters, both logarithmic, with the goal as a shaded corner and the best so far as a line.

    Args:
        frame: columns run, parameters, accuracy (percent) and kind (one of KINDS).
        budget: parameters that the goal allows.
        goal: percent.
        height: pixels.
    """
    shown = frame.assign(mistakes=(100 - frame["accuracy"]).clip(0.01, 90))
    most = max([2.0, *(1.15 * shown["mistakes"])])
    least = min([_FEWEST, *(0.85 * shown["mistakes"])])
    low, high = (
        min([1_500, *(0.7 * shown["parameters"])]),
        max([30_000, *(1.6 * shown["parameters"])]),
    )
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    x = alt.X(
        "parameters:Q",
        title="parameters",
        scale=scale,
        axis=alt.Axis(
            values=[each for each in _thousands() if low <= each <= high],
            format=",d",
            **{**AXIS, "grid": False},
        ),
    )
    y = alt.Y(
        "mistakes:Q",
        title=None,
        scale=alt.Scale(type="log", domain=[most, least], nice=False),
        axis=alt.Axis(values=_TICKS, labelExpr="format(100 - datum.value, '.4~f') + ' %'", **AXIS),
    )
    corner = pd.DataFrame(
        {"parameters": [low], "budget": [budget], "mistakes": [100 - goal], "least": [least]}
    )
    area = (
        alt.Chart(corner)
        .mark_rect(color=_GREEN, opacity=0.1)
        .encode(x=x, x2="budget:Q", y=y, y2="least:Q")
    )
    across = alt.Chart(corner).mark_rule(strokeDash=[2, 3], color=QUIET).encode(y=y)
    up = (
        alt.Chart(corner)
        .mark_rule(strokeDash=[2, 3], color=QUIET)
        .encode(x=alt.X("budget:Q", scale=scale))
    )
    word = (
        alt.Chart(corner)
        .mark_text(align="left", baseline="top", dx=6, dy=6, color=QUIET, fontSize=11, text="goal")
        .encode(x=alt.value(0), y=alt.value(0))
    )
    layers = [area, across, up, word]
    if len(shown):
        layers += [
            _line(shown, x, y, high),
            *_points(shown, x, y),
            *_names(shown, x, y, most, least, height),
        ]
    return alt.LayerChart(layer=layers).properties(
        height=height, padding={"left": 4, "top": 8, "right": 12, "bottom": 0}
    )


def _thousands() -> list[int]:
    return [step * 10**power for power in range(2, 8) for step in (1, 2, 5)] + [PARAMETER_BUDGET]


def best_so_far(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs that no smaller or equally large one beats, from the smallest network on."""
    ordered = frame.sort_values(["parameters", "accuracy"], ascending=[True, False])
    return ordered[ordered["accuracy"] > ordered["accuracy"].cummax().shift(fill_value=-1.0)]


def _line(shown: pd.DataFrame, x: alt.X, y: alt.Y, high: float) -> alt.Chart:
    best = best_so_far(shown)[["parameters", "mistakes"]]
    best = pd.concat([best, best.tail(1).assign(parameters=high)])
    return (
        alt.Chart(best)
        .mark_line(interpolate="step-after", strokeWidth=1.5, color=QUIET, opacity=0.6)
        .encode(x=x, y=y)
    )


def _points(shown: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    names, kinds, opacity = list(shown["run"]), list(KINDS), 0.85 if len(shown) < _MANY else 0.5
    click = alt.selection_point(name=PICKED, fields=["run"], on="click", clear=False)
    tips = [
        alt.Tooltip("run:N"),
        alt.Tooltip("accuracy:Q", title="accuracy, %", format=".2f"),
        alt.Tooltip("parameters:Q", format=","),
        alt.Tooltip("kind:N", title="it"),
    ]
    # All kinds in one layer, since a selection belongs to one.
    return [
        alt.Chart(shown)
        .mark_point(filled=True, opacity=opacity, cursor="pointer")
        .encode(
            x=x,
            y=y,
            tooltip=tips,
            color=alt.Color(
                "run:N",
                scale=alt.Scale(domain=names, range=[colour(name) for name in names]),
                legend=None,
            ),
            shape=alt.Shape(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=["diamond", "circle", "square"]),
                legend=None,
            ),
            size=alt.Size(
                "kind:N", scale=alt.Scale(domain=kinds, range=[170, 64, 110]), legend=None
            ),
        )
        .add_params(click)
    ]


def _names(
    shown: pd.DataFrame, x: alt.X, y: alt.Y, most: float, least: float, height: int
) -> list[alt.Chart]:
    """Names beside their points: of the shipped runs, and of one's own all if few, else the best."""
    own = shown[shown["kind"] != SHIPPED]
    best = own[own["run"].isin(best_so_far(shown)["run"])].tail(1)
    chosen = pd.concat([shown[shown["kind"] == SHIPPED], own if len(own) <= LABELS // 2 else best])
    chosen = chosen.sort_values(["accuracy", "run"], ascending=False).head(LABELS)
    places = _places(chosen, most, least, height)
    return [
        alt.Chart(chosen[[place == each for place in places]])
        .mark_text(align=align, dx=dx, dy=dy, fontSize=12, fontWeight=500, color=QUIET)
        .encode(x=x, y=y, text="run:N")
        for each, (align, dx, dy) in enumerate(_BESIDE)
    ]


def _places(chosen: pd.DataFrame, most: float, least: float, height: int) -> Sequence[int]:
    """Which of _BESIDE each name takes: the first where it lies on no name that stands already, and on no point."""
    taken: list[tuple[float, str, float]] = []
    found = []
    points = [
        (log(parameters), height * log(mistakes / least) / log(most / least))
        for mistakes, parameters in zip(chosen["mistakes"], chosen["parameters"], strict=True)
    ]
    for across, down in points:
        free = [
            place
            for place, (side, _, dy) in enumerate(_BESIDE)
            if not any(
                side == other and abs(across - at) < _WIDTH and abs(down + dy - level) < _LINE
                for at, other, level in taken
            )
            and not any(
                0 < (at - across if side == "left" else across - at) < _WIDTH
                and abs(down + dy - level) < _LINE / 2
                for at, level in points
            )
        ]
        found.append(free[0] if free else 0)
        side, _, dy = _BESIDE[found[-1]]
        taken.append((across, side, down + dy))
    return found
