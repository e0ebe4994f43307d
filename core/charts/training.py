"""Charts: functions from a DataFrame to an Altair chart. What is shown and when is the pages' business.

All charts of a kind have one height, and axes that end at marks, so that nothing moves while a run goes on: an axis
only widens, and only when a curve would leave it. Colours stand out on white and on near-black; the rest (axes, text)
takes the page's theme.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import pandas as pd

from core.config import RunConfig
from core.task import GOAL_ACCURACY
from core.training import schedules

HEIGHT = 260
PALETTE = ("#5a78ee", "#c46a2d", "#2b8a6e", "#a2559f", "#8a7a2b", "#3b8db5", "#b5506a", "#5f8f2f")
QUIET = "#8b8b86"
_OWN = {
    "final": 0,
    "initial": 1,
    "intermediate": 2,
    "best": 3,
    "tiny": 4,
    "teacher": 5,
    "sprint": 7,
}

TRAIN, VALIDATION = "training", "validation"

# Where the axes may end, from the usual end outwards: mistakes in percent, and mean nll.
_MOST, _FEWEST = (10, 20, 50, 90), (0.2, 0.1, 0.05)
_LOSS_HIGH, _LOSS_LOW = (1.0, 3.0, 10.0), (0.01, 0.003, 0.001)
_MISTAKES = [90, 50, 20, 10, 5, 2, 1, 0.6, 0.4, 0.2, 0.1, 0.05]
_LOSSES = [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001]
_MANY = 40  # epochs from which on points would touch
_STEPS = 400  # points of a curve by steps that the eye can still tell apart


def colour(name: str) -> str:
    """The colour that a run keeps in every chart and table."""
    at = _OWN.get(name, zlib.crc32(name.encode()))
    return PALETTE[at % len(PALETTE)]


def accuracy(
    frame: pd.DataFrame,
    epochs: int,
    run: str = "",
    goal: float = GOAL_ACCURACY,
    behind: pd.DataFrame | None = None,
) -> alt.LayerChart:
    """Accuracy by epoch on a scale of mistakes, with the goal as a dotted line.

    Args:
        frame: columns epoch (from 1), part (TRAIN or VALIDATION) and accuracy (percent), and where they are known low
            and high, the ends of its interval.
        epochs: planned length of the run; the axis ends there.
        run: name that chooses the colour.
        goal: percent.
        behind: the same of another run, drawn in grey behind it.
    """
    shown = _mistakes(frame)
    beside = None if behind is None else _upto(_mistakes(behind), epochs)
    seen = [
        *_settled(shown, "mistakes", epochs),
        *(() if beside is None else _settled(beside, "mistakes", epochs)),
    ]
    most, fewest = _end(_MOST, seen), _end(_FEWEST, seen)
    y = alt.Y(
        "mistakes:Q",
        title=None,
        scale=alt.Scale(type="log", domain=[most, fewest], nice=False),
        axis=alt.Axis(
            values=[mark for mark in _MISTAKES if fewest <= mark <= most],
            labelExpr="format(100 - datum.value, '.4~f') + ' %'",
            **AXIS,
        ),
    )
    x = _epochs(epochs)
    line = pd.DataFrame({"mistakes": [100 - goal], "words": ["goal"]})
    rule = alt.Chart(line).mark_rule(strokeDash=[2, 3], color=QUIET).encode(y=y)
    words = (
        alt.Chart(line)
        .mark_text(align="left", dx=2, dy=-6, color=QUIET, fontSize=11)
        .encode(y=y, x=alt.value(0), text="words:N")
    )
    layers = [rule, words]
    if "low" in shown:
        sure = shown[shown["part"] == VALIDATION]
        layers.append(
            alt.Chart(sure)
            .mark_area(opacity=0.2, color=colour(run), clip=True)
            .encode(x=x, y=alt.Y("most:Q", scale=y["scale"], title=None), y2="fewest:Q")
        )
    tips = [
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("part:N", title="images"),
        alt.Tooltip("accuracy:Q", title="accuracy, %", format=".2f"),
    ]
    if beside is not None:
        layers += _lines(beside, y, x, QUIET, tips, epochs)
    return _framed([*layers, *_lines(shown, y, x, colour(run), tips, epochs)])


def loss(
    frame: pd.DataFrame,
    epochs: int,
    run: str = "",
    batches: pd.DataFrame | None = None,
    behind: pd.DataFrame | None = None,
) -> alt.LayerChart:
    """Mean loss by epoch on a logarithmic scale, with the loss of batches and its running mean behind it.

    Args:
        frame: columns epoch (from 1), part (TRAIN or VALIDATION) and loss (mean nll per image, nats).
        epochs: planned length of the run.
        run: name that chooses the colour.
        batches: columns epoch (a fraction: 0.5 is half-way through the first) and loss; where there are very many,
            they are drawn as a band from the lowest to the highest of their neighbours.
        behind: as frame, of another run, drawn in grey behind it.
    """
    frame, batches, behind = (
        each if each is None else each.assign(loss=each["loss"].clip(lower=_LOSS_LOW[-1]))
        for each in (frame, batches, behind)
    )
    beside = None if behind is None else _upto(behind, epochs)
    seen = [
        *_settled(frame, "loss", epochs),
        *(() if beside is None else _settled(beside, "loss", epochs)),
    ]
    low, high = _end(_LOSS_LOW, seen), _end(_LOSS_HIGH, seen)
    y = alt.Y(
        "loss:Q",
        title=None,
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(
            values=[mark for mark in _LOSSES if low <= mark <= high],
            labelExpr="format(datum.value, '~')",
            **AXIS,
        ),
    )
    x = _epochs(epochs)
    tips = [
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("part:N", title="images"),
        alt.Tooltip("loss:Q", format=".4f"),
    ]
    layers = [] if batches is None or not len(batches) else _batches(batches, y, x, colour(run))
    if beside is not None:
        layers += _lines(beside, y, x, QUIET, tips, epochs)
    return _framed([*layers, *_lines(frame, y, x, colour(run), tips, epochs)])


def _batches(batches: pd.DataFrame, y: alt.Y, x: alt.X, ink: str) -> list[alt.Chart]:
    """The loss of batches as it is, or as a band, and its running mean."""
    if len(batches) <= _STEPS:
        raw = (
            alt.Chart(batches)
            .mark_line(strokeWidth=1, opacity=0.3, color=ink, clip=True)
            .encode(x=x, y=y)
        )
    else:
        groups = batches.groupby(_groups(len(batches), _STEPS))
        band = pd.DataFrame(
            {
                "epoch": groups["epoch"].mean(),
                "lowest": groups["loss"].min(),
                "highest": groups["loss"].max(),
            }
        )
        raw = (
            alt.Chart(band)
            .mark_area(opacity=0.22, color=ink, clip=True)
            .encode(x=x, y=alt.Y("highest:Q", scale=y["scale"], title=None), y2="lowest:Q")
        )
    mean = alt.Chart(smooth(thinned(batches))).mark_line(
        strokeWidth=1, opacity=0.8, color=ink, clip=True
    )
    return [raw, mean.encode(x=x, y=y)]


def smooth(batches: pd.DataFrame) -> pd.DataFrame:
    """The running mean of the loss of batches: columns epoch and loss, as `loss` takes them.

    Each point is the mean of its neighbours at both sides, so that the curve does not lag behind.
    """
    window = max(1, len(batches) // 40) | 1
    return batches.assign(loss=batches["loss"].rolling(window, center=True, min_periods=1).mean())


def rate(
    planned: pd.DataFrame, epochs: int, run: str = "", actual: pd.DataFrame | None = None
) -> alt.LayerChart:
    """The learning rate over the run: the plan in grey, and what was used on top of it.

    Args:
        planned: columns epoch (a fraction, from 0) and rate.
        epochs: planned length of the run.
        run: name that chooses the colour.
        actual: columns epoch and rate, or None for a preview, where the plan takes the colour.
    """
    rates = [*planned["rate"], *(actual["rate"] if actual is not None else ())]
    top = max([value for value in rates if value == value] or [0.0]) or 1.0
    y = alt.Y(
        "rate:Q",
        title=None,
        scale=alt.Scale(domain=[0, top * 1.05], nice=False),
        axis=alt.Axis(tickCount=4, format="~g", **AXIS),
    )
    x = _epochs(epochs, from_zero=True)
    tips = [alt.Tooltip("epoch:Q", format=".3~f"), alt.Tooltip("rate:Q", format=".4~g")]
    behind = actual is not None
    layers = [
        alt.Chart(planned)
        .mark_line(
            strokeWidth=1.5 if behind else 2,
            color=QUIET if behind else colour(run),
            strokeDash=[3, 3] if behind else [1, 0],
        )
        .encode(x=x, y=y, tooltip=tips)
    ]
    if behind:
        layers.append(
            alt.Chart(_corners(actual))
            .mark_line(strokeWidth=2, color=colour(run))
            .encode(x=x, y=y, tooltip=tips)
        )
    return _framed(layers)


def plan(config: RunConfig, steps: int) -> pd.DataFrame:
    """The rates that a schedule plans, as `rate` takes them: columns epoch (from 0) and rate.

    Args:
        config: the run.
        steps: in an epoch.
    """
    total = config.epochs * steps
    # Steps of a staircase need both their edges; smooth schedules need no more than the eye can tell apart.
    at = {round(share * (total - 1) / _STEPS) for share in range(_STEPS + 1)}
    at |= {
        min(total - 1, max(0, epoch * steps - edge))
        for epoch in range(config.epochs + 1)
        for edge in (0, 1)
    }
    return pd.DataFrame(
        [(step / steps, schedules.rate(config, step, steps)) for step in sorted(at)],
        columns=["epoch", "rate"],
    )


def thinned(frame: pd.DataFrame, most: int = _STEPS) -> pd.DataFrame:
    """At most so many rows: means of neighbours where there are more."""
    return frame if len(frame) <= most else frame.groupby(_groups(len(frame), most)).mean()


def _groups(rows: int, groups: int) -> pd.Index:
    return pd.RangeIndex(rows) * groups // rows


def _corners(rates: pd.DataFrame) -> pd.DataFrame:
    """The rates that make the curve: both ends of every step, and no more of a slope than the eye can tell apart."""
    value = rates["rate"]
    some = rates[(value != value.shift()) | (value != value.shift(-1))]
    return (
        some
        if len(some) <= 2 * _STEPS
        else some.iloc[[*range(0, len(some), len(some) // _STEPS), -1]]
    )


def _settled(frame: pd.DataFrame, name: str, epochs: int) -> list[float]:
    """What the axis must have room for.

    Training's first epoch, which begins with a network that knows nothing, and the first epochs of a long run would
    take the room of all others.
    """
    first = (
        frame["part"]
        .map({TRAIN: 1, VALIDATION: 0})
        .clip(lower=epochs // 20 if epochs > _MANY else 0)
    )
    return [value for value in frame.loc[frame["epoch"] > first, name] if math.isfinite(value)]


def _end(marks: Sequence[float], values: Sequence[float]) -> float:
    """The first mark beyond which no value lies; the last mark where there is none."""
    outwards = 1 if marks[-1] > marks[0] else -1
    return next(
        (mark for mark in marks if all(outwards * value <= outwards * mark for value in values)),
        marks[-1],
    )


AXIS: dict[str, Any] = {
    "grid": True,
    "gridOpacity": 0.35,
    "domain": False,
    "ticks": False,
    "labelPadding": 8,
    "titlePadding": 10,
}


def _mistakes(frame: pd.DataFrame) -> pd.DataFrame:
    names = {"accuracy": "mistakes", "low": "most", "high": "fewest"}
    return frame.assign(
        **{
            mistakes: (100 - frame[name]).clip(_FEWEST[-1], _MOST[-1])
            for name, mistakes in names.items()
            if name in frame
        }
    )


def _upto(frame: pd.DataFrame, epochs: int) -> pd.DataFrame:
    return frame[frame["epoch"] <= epochs]


def _epochs(epochs: int, from_zero: bool = True) -> alt.X:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200) if epochs / step <= 16)
    ticks = list(range(0, epochs + 1, step))
    return alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[0 if from_zero else 1, epochs], nice=False),
        axis=alt.Axis(values=ticks, format="d", labelFlush=False, **{**AXIS, "grid": False}),
    )


def _lines(
    frame: pd.DataFrame,
    y: alt.Y,
    x: alt.X,
    ink: str,
    tips: Sequence[alt.Tooltip],
    epochs: int,
) -> Iterable[alt.Chart]:
    """Validation as a full line, training as a thin one, each with its points to hover over.

    The points of a long run would run into a band, so there they are only felt.
    """
    many = epochs > _MANY
    name, ends = y["shorthand"].split(":")[0], sorted(y["scale"]["domain"])
    for part, width, opacity in ((TRAIN, 1.5, 0.7), (VALIDATION, 2.25, 1.0)):
        some = frame[frame["part"] == part]
        width *= 0.7 if many else 1
        yield (
            alt.Chart(some)
            .mark_line(
                strokeWidth=width,
                opacity=opacity,
                color=ink,
                clip=True,
                strokeDash=[4, 2] if part == TRAIN else [1, 0],
            )
            .encode(x=x, y=y)
        )
        # Left out rather than clipped, which would halve the points at the end of the axis.
        yield (
            alt.Chart(some[some[name].between(*ends)])
            .mark_point(
                filled=True,
                size=60 if len(some) < 2 or many else 28,
                color=ink,
                opacity=0 if many and len(some) > 1 else opacity,
            )
            .encode(x=x, y=y, tooltip=list(tips))
        )


def _framed(layers: Sequence[alt.Chart]) -> alt.LayerChart:
    chart = alt.LayerChart(layer=list(layers))
    return chart.properties(height=HEIGHT, padding={"left": 4, "top": 8, "right": 12, "bottom": 0})
