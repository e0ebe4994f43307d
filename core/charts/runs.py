"""Charts that lay the curves of several runs over each other, as `core.charts.training` draws those of one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from core.charts.training import AXIS, QUIET, colour
from core.task import GOAL_ACCURACY

HEIGHT = 340
LABELS = 150  # pixels at the right for the names, at most
LINE = 15  # pixels from one name to the next
MOST_POINTS = 30  # epochs up to which each is marked
_MISTAKES = [90, 50, 20, 10, 5, 2, 1, 0.6, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01]  # percent
_LOSSES = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
FULL = [1, 0]
_DASHES = (FULL, [9, 3], [9, 3, 2, 3], [2, 3])
ACCURACY, LOSS, RATE = MEASURES = ("accuracy", "loss", "learning rate")


def overlay(
    frame: pd.DataFrame, measure: str, names: Sequence[str], behind: pd.DataFrame | None = None
) -> alt.LayerChart:
    """The curves of several runs, each in its own colour with its name at the end.

    Runs whose colours are the same are told apart by dashes. The mean of several runs lies in a band.

    Args:
        frame: columns run, epoch (from 1) and value: percent, mean nll per image or rate, by the measure; where
            values are means also low and high, the ends of the band.
        measure: one of MEASURES; accuracy stands on a scale of mistakes, with the goal as a dotted line.
        names: the runs, in the order of the legend.
        behind: training curves, as `frame`, thin behind the others; None: none.
    """
    everything = frame if behind is None else pd.concat([frame, behind])
    epochs = int(everything["epoch"].max()) if len(everything) else 1
    # Of a long run the first epochs are left out at the bottom, or nothing could be told apart at the top.
    first = epochs // 20 if epochs > MOST_POINTS else 0
    scale = _Scale(
        measure,
        [
            value
            for epoch, value in zip(everything["epoch"], everything["value"], strict=True)
            if epoch > first and math.isfinite(value)
        ],
    )
    frame = frame.assign(y=[scale.shown(value) for value in frame["value"]])
    ends, labels = _ends(frame, scale)
    x, y = _epochs(epochs), scale.y
    own = alt.Color(
        "run:N",
        legend=None,
        scale=alt.Scale(domain=list(names), range=[colour(each) for each in names]),
    )
    dash = alt.StrokeDash(
        "run:N", legend=None, scale=alt.Scale(domain=list(names), range=dashes(names))
    )
    tips = [
        alt.Tooltip("run:N"),
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("value:Q", title=scale.title, format=scale.format),
    ]
    layers: list[alt.Chart] = []
    if measure == ACCURACY:
        line = pd.DataFrame({"y": [100 - GOAL_ACCURACY], "words": ["goal"]})
        layers += [
            alt.Chart(line).mark_rule(strokeDash=[2, 3], color=QUIET).encode(y=y),
            alt.Chart(line)
            .mark_text(align="left", dx=2, dy=-6, color=QUIET, fontSize=11)
            .encode(y=y, x=alt.value(0), text="words:N"),
        ]
    if behind is not None:
        layers.append(
            alt.Chart(behind.assign(y=[scale.shown(value) for value in behind["value"]]))
            .mark_line(strokeWidth=1, opacity=0.6, strokeDash=[3, 2], clip=True)
            .encode(x=x, y=y, color=own, detail="run:N")
        )
    if "low" in frame and (spread_out := frame[frame["low"] < frame["high"]]).size:
        ends_of = {
            end: [scale.shown(value) for value in spread_out[end]] for end in ("low", "high")
        }
        layers.append(
            alt.Chart(spread_out.assign(**ends_of))
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
    # Points that cannot be seen can still be pointed at.
    few = epochs <= MOST_POINTS
    frame, ends = (some[some["y"].between(scale.low, scale.high)] for some in (frame, ends))
    for some, size, opacity in ((frame, 24 if few else 60, 1 if few else 0), (ends, 40, 1)):
        layers.append(
            alt.Chart(some)
            .mark_point(filled=True, size=size, opacity=opacity)
            .encode(x=x, y=y, color=own, tooltip=tips)
        )
    layers.append(
        alt.Chart(labels)
        .mark_text(align="left", baseline="middle", dx=10, fontSize=12, limit=LABELS)
        .encode(x=alt.value("width"), y=y, text="words:N", color=own)
    )
    chart = alt.LayerChart(layer=layers)
    return chart.properties(height=HEIGHT, padding={"left": 4, "top": 8, "right": 8, "bottom": 0})


def dashes(names: Sequence[str]) -> list[list[int]]:
    """The dashes of each run's line: full, unless a run before it has the same colour."""
    taken: dict[str, int] = {}
    found = []
    for name in names:
        number = taken.get(colour(name), 0)
        found.append(_DASHES[number % len(_DASHES)])
        taken[colour(name)] = number + 1
    return found


class _Scale:
    """The vertical axis: from what is drawn to where it stands, and back."""

    def __init__(self, measure: str, values: Sequence[float]):
        self.measure = measure
        self.title, self.format = {
            ACCURACY: ("accuracy, %", ".2f"),
            LOSS: ("loss", ".4f"),
            RATE: ("learning rate", ".4~g"),
        }[measure]
        self.marks = {ACCURACY: _MISTAKES, LOSS: _LOSSES}.get(measure, [])
        shown = [self.shown(value) for value in values] + (
            [100 - GOAL_ACCURACY] if measure == ACCURACY else []
        )
        if measure == RATE:
            self.low, self.high = 0.0, max(shown, default=0.0) * 1.05 or 1.0
            scale = alt.Scale(domain=[self.low, self.high], nice=False)
            axis = alt.Axis(tickCount=5, format="~g", **AXIS)
        else:
            # The axis begins and ends at marks, so that a better run does not move it by a hair.
            self.low = max(
                (mark for mark in self.marks if mark < min(shown, default=1)),
                default=self.marks[-1],
            )
            self.high = min(
                (mark for mark in self.marks if mark > self.low and mark >= max(shown, default=1)),
                default=self.marks[0],
            )
            scale = alt.Scale(
                type="log",
                domain=[self.high, self.low] if measure == ACCURACY else [self.low, self.high],
                nice=False,
            )
            words = (
                "format(100 - datum.value, '.4~f') + ' %'"
                if measure == ACCURACY
                else "format(datum.value, '~')"
            )
            axis = alt.Axis(
                values=[mark for mark in self.marks if self.low <= mark <= self.high],
                labelExpr=words,
                **AXIS,
            )
        self.y = alt.Y("y:Q", title=None, scale=scale, axis=axis)

    def shown(self, value: float) -> float:
        """What stands on the axis for a value: mistakes in percent for an accuracy."""
        if self.measure == RATE:
            return value
        return min(
            max(100 - value if self.measure == ACCURACY else value, self.marks[-1]), self.marks[0]
        )

    def height(self, shown: float) -> float:
        """Pixels from the top."""
        return HEIGHT * (1 - self._share(shown))

    def at(self, height: float) -> float:
        """What stands so many pixels from the top."""
        share = 1 - height / HEIGHT
        if self.measure == RATE:
            return self.low + share * (self.high - self.low)
        if self.measure == ACCURACY:
            share = 1 - share
        return float(
            math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        )

    def _share(self, shown: float) -> float:
        if self.measure == RATE:
            return (shown - self.low) / (self.high - self.low)
        share = (math.log(shown) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return min(1.0, max(0.0, 1 - share if self.measure == ACCURACY else share))


def _ends(frame: pd.DataFrame, scale: _Scale) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last point of each curve, and its name where it lies on no other name."""
    last = frame.sort_values("epoch").groupby("run", sort=False).tail(1)
    last = last.assign(at=[scale.height(value) for value in last["y"]]).sort_values(
        "at", kind="stable"
    )
    places = spread(list(last["at"]), LINE, HEIGHT)
    words = [
        f"{run}  {value:{scale.format.replace('~', '')}}"
        for run, value in zip(last["run"], last["value"], strict=True)
    ]
    return last, last.assign(y=[scale.at(place) for place in places], words=words)


def spread(places: Sequence[float], least: float, most: float) -> list[float]:
    """Places moved as little as need be to stand apart.

    Args:
        places: in rising order.
        least: from one to the next.
        most: the last one's limit; the first one's is 0.
    """
    least = min(least, most / max(1, len(places) - 1))
    moved = list(places)
    for _ in range(2):
        for number in range(1, len(moved)):
            moved[number] = max(moved[number], moved[number - 1] + least)
        if moved and moved[-1] > most:
            moved[-1] = most
            for number in range(len(moved) - 2, -1, -1):
                moved[number] = min(moved[number], moved[number + 1] - least)
    return [max(0.0, place) for place in moved]


def _epochs(epochs: int) -> alt.X:
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if epochs / step <= 16), 200)
    return alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[0, epochs], nice=False),
        axis=alt.Axis(
            values=list(range(0, epochs + 1, step)),
            format="d",
            labelFlush=False,
            **{**AXIS, "grid": False},
        ),
    )
