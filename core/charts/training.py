"""The curves of one run: accuracy, loss and learning rate.

Charts are functions from data frames to Altair charts; the pages decide where they stand. The
axes end at fixed values and only widen when a curve would leave them, so that nothing moves
during a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import altair as alt
import pandas as pd

from core.charts.style import (
    AXIS,
    QUIET,
    epoch_axis,
    error_axis,
    goal_line,
    layer_chart,
    linear_error_axis,
    run_colour,
)
from core.config import RunConfig
from core.task import GOAL_ACCURACY
from core.training import schedules

TRAIN, VALIDATION = "training", "validation"

# Where the axes may end, from the usual end outwards: error rates in percent, and mean nll.
_ERROR_MAXIMA, _ERROR_MINIMA = (10, 20, 50, 90), (0.2, 0.1, 0.05)
_LOSS_MAXIMA, _LOSS_MINIMA = (1.0, 3.0, 10.0), (0.01, 0.003, 0.001)
_WHOLE_LOSS = 2.5  # guessing among ten digits has a loss of ln 10 = 2.3
_WHOLE_LOSS_TICKS = [0, 0.5, 1, 1.5, 2, 2.3, 5, 10]
_LOSS_TICKS = [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001]
_MAX_MARKED = 40  # epochs up to which each has a visible point
_MAX_POINTS = 400  # of a curve by steps
SMOOTHING = 1 / 40  # share of a curve by steps that its moving average spans


def accuracy_chart(
    frame: pd.DataFrame,
    epochs: int,
    run: str = "",
    goal: float = GOAL_ACCURACY,
    behind: pd.DataFrame | None = None,
    whole: bool = False,
) -> alt.LayerChart:
    """Accuracy by epoch, with the goal as a dotted line and the confidence interval as a band.

    Args:
        frame: columns epoch (from 1), part (TRAIN or VALIDATION), accuracy (percent) and optionally
            low and high, the ends of its confidence interval.
        epochs: planned length of the run, where the axis ends.
        run: name of the run, which determines the colour.
        goal: percent.
        behind: the same for another run, drawn in grey.
        whole: whether a linear axis shows all of learning, from 10 to 100 %, instead of a
            logarithmic one of the error rate, which shows the range near 100 %.
    """
    frame = _with_errors(frame)
    behind = None if behind is None else _with_errors(behind[behind["epoch"] <= epochs])
    values = _values_in_range([frame, behind], "error", epochs)
    x = epoch_axis(epochs)
    y = (
        linear_error_axis("error")
        if whole
        else error_axis("error", _limit(_ERROR_MAXIMA, values), _limit(_ERROR_MINIMA, values))
    )
    layers = goal_line("error", y, goal)
    if "high_error" in frame:
        band = alt.Chart(frame[frame["part"] == VALIDATION])
        layers.append(
            band.mark_area(opacity=0.2, color=run_colour(run), clip=True).encode(
                x=x, y=alt.Y("high_error:Q", scale=y["scale"], title=None), y2="low_error:Q"
            )
        )
    tips = [
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("part:N", title="images"),
        alt.Tooltip("accuracy:Q", title="accuracy, %", format=".2f"),
    ]
    if behind is not None:
        layers += _curves(behind, y, x, QUIET, tips, epochs)
    return layer_chart([*layers, *_curves(frame, y, x, run_colour(run), tips, epochs)])


def loss_chart(
    frame: pd.DataFrame,
    epochs: int,
    run: str = "",
    batches: pd.DataFrame | None = None,
    behind: pd.DataFrame | None = None,
    whole: bool = False,
    smoothing: float = SMOOTHING,
) -> alt.LayerChart:
    """Mean loss by epoch, with the loss of batches and its moving average.

    Args:
        frame: columns epoch (from 1), part (TRAIN or VALIDATION) and loss (mean nll per
            image, nats).
        epochs: planned length of the run.
        run: name of the run, which determines the colour.
        batches: columns epoch (a fraction: 0.5 is in the middle of the first) and loss; more than
            400 are drawn as a band between the minimum and the maximum of neighbours.
        behind: like frame, for another run, drawn in grey.
        whole: whether a linear axis shows all of learning, from the loss of guessing down to 0,
            instead of a logarithmic one.
        smoothing: share of the batches that the moving average spans, 0 to 1.
    """
    frame, batches, behind = (
        part if part is None else part.assign(loss=part["loss"].clip(lower=_LOSS_MINIMA[-1]))
        for part in (frame, batches, behind)
    )
    behind = None if behind is None else behind[behind["epoch"] <= epochs]
    values = _values_in_range([frame, behind], "loss", epochs)
    low, high = _limit(_LOSS_MINIMA, values), _limit(_LOSS_MAXIMA, values)
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    ticks = [tick for tick in _LOSS_TICKS if low <= tick <= high]
    if whole:
        top = max(_WHOLE_LOSS, min(_LOSS_MAXIMA[-1], max(values, default=0.0)))
        scale, ticks = (
            alt.Scale(domain=[0, top], nice=False),
            [tick for tick in _WHOLE_LOSS_TICKS if tick <= top],
        )
    y = alt.Y(
        "loss:Q",
        title=None,
        scale=scale,
        axis=alt.Axis(values=ticks, labelExpr="format(datum.value, '~')", **AXIS),
    )
    x = epoch_axis(epochs)
    tips = [
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("part:N", title="images"),
        alt.Tooltip("loss:Q", format=".4f"),
    ]
    layers = []
    if batches is not None and len(batches):
        layers += _batch_curves(batches[["epoch", "loss"]], y, x, run_colour(run), smoothing)
    if behind is not None:
        layers += _curves(behind, y, x, QUIET, tips, epochs)
    return layer_chart([*layers, *_curves(frame, y, x, run_colour(run), tips, epochs)])


def learning_rate_chart(
    planned: pd.DataFrame, epochs: int, run: str = "", actual: pd.DataFrame | None = None
) -> alt.LayerChart:
    """The learning rate over the run: planned in grey, used in the run's colour.

    Args:
        planned: columns epoch (a fraction, from 0) and lr.
        epochs: planned length of the run.
        run: name of the run, which determines the colour.
        actual: columns epoch and lr; None for a preview, where the planned rates have the colour.
    """
    rates = [*planned["lr"], *(actual["lr"] if actual is not None else ())]
    top = max([rate for rate in rates if math.isfinite(rate)] or [0.0]) or 1.0
    y = alt.Y(
        "lr:Q",
        title=None,
        scale=alt.Scale(domain=[0, top * 1.05], nice=False),
        axis=alt.Axis(tickCount=4, format="~g", **AXIS),
    )
    x = epoch_axis(epochs)
    tips = [
        alt.Tooltip("epoch:Q", format=".3~f"),
        alt.Tooltip("lr:Q", title="learning rate", format=".4~g"),
    ]
    preview = actual is None
    line = alt.Chart(planned).mark_line(
        strokeWidth=2 if preview else 1.5,
        color=run_colour(run) if preview else QUIET,
        strokeDash=[1, 0] if preview else [3, 3],
    )
    layers = [line.encode(x=x, y=y, tooltip=tips)]
    if actual is not None:
        used = alt.Chart(_without_plateaus(actual[["epoch", "lr"]]))
        layers.append(
            used.mark_line(strokeWidth=2, color=run_colour(run)).encode(x=x, y=y, tooltip=tips)
        )
    return layer_chart(layers)


def planned_rates(config: RunConfig, steps: int) -> pd.DataFrame:
    """Return the planned learning rates as `learning_rate_chart` takes them.

    Args:
        config: the run's config.
        steps: steps per epoch.

    Returns:
        Columns epoch (from 0) and lr.
    """
    total = config.epochs * steps
    # Both sides of an epoch's end, where a schedule may jump, and an even sample of the rest.
    points = {round(share * (total - 1) / _MAX_POINTS) for share in range(_MAX_POINTS + 1)}
    points |= {
        min(total - 1, max(0, epoch * steps - offset))
        for epoch in range(config.epochs + 1)
        for offset in (0, 1)
    }
    return pd.DataFrame(
        [(step / steps, schedules.rate(config, step, steps)) for step in sorted(points)],
        columns=["epoch", "lr"],
    )


def smooth(batches: pd.DataFrame, share: float = SMOOTHING) -> pd.DataFrame:
    """Return the centred moving average of the loss of batches, which does not lag behind.

    Args:
        batches: rows in order, with the column loss.
        share: of the rows that the average spans; 0: no average.
    """
    window = max(1, round(len(batches) * share)) | 1
    return batches.assign(loss=batches["loss"].rolling(window, center=True, min_periods=1).mean())


def downsample(frame: pd.DataFrame, limit: int = _MAX_POINTS) -> pd.DataFrame:
    """Return at most `limit` rows: means of neighbours where there are more."""
    return frame if len(frame) <= limit else frame.groupby(_groups(len(frame), limit)).mean()


def _groups(rows: int, groups: int) -> pd.Index:
    return pd.RangeIndex(rows) * groups // rows


def _batch_curves(
    batches: pd.DataFrame, y: alt.Y, x: alt.X, colour: str, smoothing: float
) -> list[alt.Chart]:
    """The loss of batches as a line, or as a band if there are many, and its moving average."""
    if len(batches) <= _MAX_POINTS:
        line = alt.Chart(batches).mark_line(strokeWidth=1, opacity=0.3, color=colour, clip=True)
        raw = line.encode(x=x, y=y)
    else:
        groups = batches.groupby(_groups(len(batches), _MAX_POINTS))
        loss = groups["loss"]
        band = pd.DataFrame(
            {"epoch": groups["epoch"].mean(), "minimum": loss.min(), "maximum": loss.max()}
        )
        raw = (
            alt.Chart(band)
            .mark_area(opacity=0.22, color=colour, clip=True)
            .encode(x=x, y=alt.Y("maximum:Q", scale=y["scale"], title=None), y2="minimum:Q")
        )
    average = alt.Chart(smooth(downsample(batches), smoothing))
    average = average.mark_line(strokeWidth=1, opacity=0.8, color=colour, clip=True)
    return [raw, average.encode(x=x, y=y)]


def _without_plateaus(rates: pd.DataFrame) -> pd.DataFrame:
    """Only the points where the rate changes, and of a long slope an even sample and the peak."""
    rate = rates["lr"]
    points = rates[(rate != rate.shift()) | (rate != rate.shift(-1))]
    if len(points) <= 2 * _MAX_POINTS:
        return points
    peak = int(points["lr"].argmax())
    kept = {*range(0, len(points), len(points) // _MAX_POINTS), peak, len(points) - 1}
    return points.iloc[sorted(kept)]


def _values_in_range(frames: Sequence[pd.DataFrame | None], field: str, epochs: int) -> list[float]:
    """The values that the axis must cover.

    Training in the first epoch, which starts from random weights, and the first twentieth of a long
    run are left out; they would take the space of all others.
    """
    values: list[float] = []
    for frame in frames:
        if frame is not None:
            first = frame["part"].map({TRAIN: 1, VALIDATION: 0})
            first = first.clip(lower=epochs // 20 if epochs > _MAX_MARKED else 0)
            values += [v for v in frame.loc[frame["epoch"] > first, field] if math.isfinite(v)]
    return values


def _limit(limits: Sequence[float], values: Sequence[float]) -> float:
    """The first limit that all values respect, else the last."""
    sign = 1 if limits[-1] > limits[0] else -1
    return next(
        (limit for limit in limits if all(sign * value <= sign * limit for value in values)),
        limits[-1],
    )


def _with_errors(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with error rates, within the widest axis."""
    columns = {"accuracy": "error", "low": "high_error", "high": "low_error"}
    return frame.assign(
        **{
            error: (100 - frame[name]).clip(_ERROR_MINIMA[-1], _ERROR_MAXIMA[-1])
            for name, error in columns.items()
            if name in frame
        }
    )


def _curves(
    frame: pd.DataFrame,
    y: alt.Y,
    x: alt.X,
    colour: str,
    tips: Sequence[alt.Tooltip],
    epochs: int,
) -> Iterator[alt.Chart]:
    """Validation as a solid line, training as a thin dashed one, each with points for tooltips.

    The points of a long run would touch, so they are invisible there.
    """
    many = epochs > _MAX_MARKED
    field, limits = y["shorthand"].split(":")[0], sorted(y["scale"]["domain"])
    for part, width, opacity in ((TRAIN, 1.5, 0.7), (VALIDATION, 2.25, 1.0)):
        rows = frame[frame["part"] == part]
        line = alt.Chart(rows).mark_line(
            strokeWidth=0.7 * width if many else width,
            opacity=opacity,
            color=colour,
            clip=True,
            strokeDash=[4, 2] if part == TRAIN else [1, 0],
        )
        yield line.encode(x=x, y=y)
        # Points outside are left out: clipping would halve those at the end of the axis.
        points = alt.Chart(rows[rows[field].between(*limits)]).mark_point(
            filled=True,
            size=60 if len(rows) < 2 or many else 28,
            color=colour,
            opacity=0 if many and len(rows) > 1 else opacity,
        )
        yield points.encode(x=x, y=y, tooltip=list(tips))
