"""The curves of several runs in one chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from core.charts.style import (
    AXIS,
    ERROR_LABEL,
    ERROR_TICKS,
    epoch_axis,
    goal_line,
    layer_chart,
    run_colour,
    run_colours,
)
from core.task import GOAL_ACCURACY

HEIGHT = 340
LABEL_WIDTH = 150  # pixels at the right, at most
LABEL_HEIGHT = 15  # pixels
MAX_TITLE = 20  # characters at the end of a curve, which leave room for its figure
MAX_MARKED = 30  # epochs up to which each has a visible point
_LOSS_TICKS = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
SOLID = [1, 0]
_DASHES = (SOLID, [9, 3], [9, 3, 2, 3], [2, 3])
ACCURACY, LOSS, RATE = MEASURES = ("accuracy", "loss", "learning rate")


def curve_chart(
    frame: pd.DataFrame,
    measure: str,
    names: Sequence[str],
    behind: pd.DataFrame | None = None,
    titles: Mapping[str, str] | None = None,
) -> alt.LayerChart:
    """The curves of several runs, each with its title at the end.

    Runs of the same colour differ in their dashes. The mean of several runs has a band.

    Args:
        frame: columns run, epoch (from 1) and value (percent, mean nll per image or rate);
            for means also low and high, the ends of the band.
        measure: one of MEASURES; accuracy has the goal as a dotted line.
        names: the runs, which determine colours and dashes.
        behind: training curves like `frame`, drawn thin.
        titles: what to call the runs, by name; None, or a run that is left out: by its name.
    """
    everything = frame if behind is None else pd.concat([frame, behind])
    epochs = int(everything["epoch"].max()) if len(everything) else 1
    # The axis ignores the first epochs of a long run, which would compress the others.
    first = epochs // 20 if epochs > MAX_MARKED else 0
    scale = _Scale(
        measure,
        [
            value
            for epoch, value in zip(everything["epoch"], everything["value"], strict=True)
            if epoch > first and math.isfinite(value)
        ],
    )
    frame = frame.assign(
        y=[scale.position(value) for value in frame["value"]],
        title=[(titles or {}).get(name, name) for name in frame["run"]],
    )
    ends, labels = _ends(frame, scale)
    x, y = epoch_axis(epochs), scale.y
    own = run_colours("run", names)
    dash = alt.StrokeDash(
        "run:N", legend=None, scale=alt.Scale(domain=list(names), range=line_dashes(names))
    )
    tips = [
        alt.Tooltip("title:N", title="run"),
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("value:Q", title=scale.title, format=scale.format),
    ]
    layers: list[alt.Chart] = []
    if measure == ACCURACY:
        layers += goal_line("y", y)
    if behind is not None:
        layers.append(
            alt.Chart(behind.assign(y=[scale.position(value) for value in behind["value"]]))
            .mark_line(strokeWidth=1, opacity=0.6, strokeDash=[3, 2], clip=True)
            .encode(x=x, y=y, color=own, detail="run:N")
        )
    if "low" in frame and (banded := frame[frame["low"] < frame["high"]]).size:
        band = {end: [scale.position(value) for value in banded[end]] for end in ("low", "high")}
        layers.append(
            alt.Chart(banded.assign(**band))
            .mark_area(opacity=0.2, clip=True)
            .encode(
                x=x,
                y=alt.Y("low:Q", scale=y["scale"], title=None),
                y2="high:Q",
                color=own,
                detail="run:N",
            )
        )
    layers.append(
        alt.Chart(frame)
        .mark_line(strokeWidth=2, clip=True)
        .encode(x=x, y=y, color=own, strokeDash=dash)
    )
    # Invisible points still show a tooltip.
    few = epochs <= MAX_MARKED
    frame, ends = (rows[rows["y"].between(scale.low, scale.high)] for rows in (frame, ends))
    for rows, size, opacity in ((frame, 24 if few else 60, 1 if few else 0), (ends, 40, 1)):
        layers.append(
            alt.Chart(rows)
            .mark_point(filled=True, size=size, opacity=opacity)
            .encode(x=x, y=y, color=own, tooltip=tips)
        )
    layers.append(
        alt.Chart(labels)
        .mark_text(align="left", baseline="middle", dx=10, fontSize=12, limit=LABEL_WIDTH)
        .encode(x=alt.value("width"), y=y, text="label:N", color=own)
    )
    return layer_chart(layers, HEIGHT, right=8)


def line_dashes(names: Sequence[str]) -> list[list[int]]:
    """Return the dashes of each run's line: solid unless an earlier run has the same colour."""
    colours = [run_colour(name) for name in names]
    return [_DASHES[colours[:i].count(colour) % len(_DASHES)] for i, colour in enumerate(colours)]


class _Scale:
    """The vertical axis: from values to positions on it and to pixels, and back."""

    def __init__(self, measure: str, values: Sequence[float]):
        self.measure = measure
        self.title, self.format = {
            ACCURACY: ("accuracy, %", ".2f"),
            LOSS: ("loss", ".4f"),
            RATE: ("learning rate", ".4~g"),
        }[measure]
        self.ticks = {ACCURACY: ERROR_TICKS, LOSS: _LOSS_TICKS}.get(measure, [])
        goal = [GOAL_ACCURACY] if measure == ACCURACY else []
        positions = [self.position(value) for value in [*values, *goal]]
        if measure == RATE:
            self.low, self.high = 0.0, max(positions, default=0.0) * 1.05 or 1.0
            scale = alt.Scale(domain=[self.low, self.high], nice=False)
            axis = alt.Axis(tickCount=5, format="~g", **AXIS)
        else:
            # The axis ends at ticks, so that a slightly better run does not move it.
            self.low = max(
                (tick for tick in self.ticks if tick < min(positions, default=1)),
                default=self.ticks[-1],
            )
            self.high = min(
                (
                    tick
                    for tick in self.ticks
                    if tick > self.low and tick >= max(positions, default=1)
                ),
                default=self.ticks[0],
            )
            scale = alt.Scale(
                type="log",
                domain=[self.high, self.low] if measure == ACCURACY else [self.low, self.high],
                nice=False,
            )
            label = ERROR_LABEL if measure == ACCURACY else "format(datum.value, '~')"
            axis = alt.Axis(
                values=[tick for tick in self.ticks if self.low <= tick <= self.high],
                labelExpr=label,
                **AXIS,
            )
        self.y = alt.Y("y:Q", title=None, scale=scale, axis=axis)

    def position(self, value: float) -> float:
        """Return the position of a value: for an accuracy, its error rate in percent."""
        if self.measure == RATE:
            return value
        return min(
            max(100 - value if self.measure == ACCURACY else value, self.ticks[-1]), self.ticks[0]
        )

    def to_pixels(self, position: float) -> float:
        """Return the distance of a position from the top, in pixels."""
        return HEIGHT * (1 - self._share(position))

    def from_pixels(self, pixels: float) -> float:
        """Return the position at a distance from the top."""
        share = 1 - pixels / HEIGHT
        if self.measure == RATE:
            return self.low + share * (self.high - self.low)
        if self.measure == ACCURACY:
            share = 1 - share
        return float(
            math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        )

    def _share(self, position: float) -> float:
        if self.measure == RATE:
            return (position - self.low) / (self.high - self.low)
        share = (math.log(position) - math.log(self.low)) / (
            math.log(self.high) - math.log(self.low)
        )
        return min(1.0, max(0.0, 1 - share if self.measure == ACCURACY else share))


def _shorten(title: str) -> str:
    """A long title without its middle: a name in brackets at its end tells equal ones apart."""
    half = MAX_TITLE // 2
    return title if len(title) <= MAX_TITLE else f"{title[:half].rstrip()}…{title[-half:].lstrip()}"


def _ends(frame: pd.DataFrame, scale: _Scale) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last point of each curve, and its label where it does not cover another."""
    last = frame.sort_values("epoch").groupby("run", sort=False).tail(1)
    last = last.assign(at=[scale.to_pixels(value) for value in last["y"]]).sort_values(
        "at", kind="stable"
    )
    pixels = spread_labels(list(last["at"]), LABEL_HEIGHT, HEIGHT)
    labels = [
        f"{_shorten(title)}  {value:{scale.format.replace('~', '')}}"
        for title, value in zip(last["title"], last["value"], strict=True)
    ]
    return last, last.assign(y=[scale.from_pixels(y) for y in pixels], label=labels)


def spread_labels(positions: Sequence[float], distance: float, limit: float) -> list[float]:
    """Move positions as little as necessary to keep a distance.

    Args:
        positions: in ascending order.
        distance: between neighbours.
        limit: of the last one; the limit of the first is 0.
    """
    least, most = min(distance, limit / max(1, len(positions) - 1)), limit
    moved = list(positions)
    for _ in range(2):
        for number in range(1, len(moved)):
            moved[number] = max(moved[number], moved[number - 1] + least)
        if moved and moved[-1] > most:
            moved[-1] = most
            for number in range(len(moved) - 2, -1, -1):
                moved[number] = min(moved[number], moved[number + 1] - least)
    return [max(0.0, position) for position in moved]
