"""A run's curves of accuracy, loss and learning rate, with its baseline's in grey behind them."""

from __future__ import annotations

import time
from collections.abc import Hashable

import pandas as pd
import streamlit as st

from core.charts import training as charts
from core.experiments.curves import batch_frame, epoch_frame
from core.experiments.scores import describe_validation_images
from core.runs.run import Run
from pages.ui.components.chart import draw_chart
from pages.ui.frame import KEPT
from pages.ui.terms import explain
from pages.ui.words import plural

SMOOTHING, DEFAULT_SMOOTHING = (0.0, 1.0, 2.5, 5.0, 10.0, 20.0), 2.5  # percent of the batches
_SMOOTHING = "smoothing"  # key, and name in the link
REDRAW_SECONDS = 8.0  # between two drawings of a run's curves while it trains

WHOLE, CLOSE = AXES = ("all of learning", "near 100 %")


def draw_axes_control() -> bool:
    """Draw the choice of the axes; return whether they show all of learning."""
    chosen = st.segmented_control(
        "Axes",
        AXES,
        default=WHOLE,
        required=True,
        key="axes_range",
        label_visibility="collapsed",
        **KEPT,
    )
    return chosen != CLOSE


def draw_accuracy(run: Run, baseline: Run | None, whole: bool) -> None:
    """Draw training and validation accuracy by epoch.

    Args:
        run: the run.
        baseline: the run behind it; None: none.
        whole: whether the axis shows all of learning.
    """

    def mine() -> pd.DataFrame:
        return _accuracy(run)

    def theirs() -> pd.DataFrame | None:
        return None if baseline is None else _accuracy(baseline)

    draw_chart(
        lambda: charts.accuracy_chart(
            mine(), run.config.epochs, run.name, behind=theirs(), whole=whole
        ),
        "accuracy",
        title="Accuracy",
        subtitle=f"solid: {describe_validation_images(run)}, dashed: training{_legend(baseline)}",
        help=explain("validation"),
        alt=_describe_accuracy(run),
        subject=_owner(run, baseline),
        filename=f"{run.name}-accuracy",
        make_table=lambda: _with_baseline(run, mine(), baseline, theirs()),
        version=(_drawn(run), baseline and _version(baseline), whole),
    )


def draw_loss(run: Run, baseline: Run | None, whole: bool) -> None:
    """Draw training and validation loss by epoch, and the loss of single batches.

    Args:
        run, baseline, whole: as of `draw_accuracy`.
    """

    def mine() -> pd.DataFrame:
        return _loss(run)

    def theirs() -> pd.DataFrame | None:
        return None if baseline is None else _loss(baseline)

    smoothing = st.session_state.get(_SMOOTHING, DEFAULT_SMOOTHING)

    def batches() -> pd.DataFrame:
        return batch_frame(run)[["epoch", "loss"]]

    draw_chart(
        lambda: charts.loss_chart(
            mine(), run.config.epochs, run.name, batches(), theirs(), whole, smoothing / 100
        ),
        "loss",
        title="Loss",
        subtitle=f"thin: batches, with moving average{_legend(baseline)}",
        help=explain("loss"),
        alt=_describe_loss(run),
        subject=_owner(run, baseline),
        filename=f"{run.name}-loss",
        make_table=lambda: pd.concat(
            [
                _with_baseline(run, mine(), baseline, theirs()),
                batches().assign(run=run.name, part="batches"),
            ]
        ),
        version=(_drawn(run), baseline and _version(baseline), whole, smoothing),
    )
    st.select_slider(
        "Smoothing",
        SMOOTHING,
        DEFAULT_SMOOTHING,
        key=_SMOOTHING,
        format_func=lambda percent: f"{percent:g}",
        width=260,
        help="Percentage of the batches that the moving average of their loss spans.",
        **KEPT,
    )


def draw_learning_rate(run: Run) -> None:
    """Draw the planned and the actual learning rate."""

    def planned() -> pd.DataFrame:
        return charts.planned_rates(run.config, run.steps_per_epoch)

    def actual() -> pd.DataFrame:
        # A batch is recorded after its step; its rate was planned for the step's beginning.
        used = batch_frame(run)[["epoch", "lr"]]
        return used.assign(epoch=used["epoch"] - 1 / run.steps_per_epoch)

    draw_chart(
        lambda: charts.learning_rate_chart(planned(), run.config.epochs, run.name, actual()),
        "rate",
        title="Learning rate",
        subtitle="" if run.state == "finished" else "solid: so far, dashed: planned",
        help=explain("lr"),
        subject=run.name,
        filename=f"{run.name}-learning-rate",
        alt=_describe_rate(run),
        make_table=lambda: pd.concat(
            [planned().assign(part="planned"), actual().assign(part="used")]
        ),
        version=_drawn(run),
    )


def _version(run: Run) -> Hashable:
    """What a run's curves by epoch depend on; a run that was made anew has another one."""
    return (
        str(run.folder),
        str(run.created),
        len(run.epochs),
        run.last and run.last.seconds,
        run.steps_per_epoch,
    )


def _drawn(run: Run) -> Hashable:
    """What the drawn curves depend on; held for REDRAW_SECONDS while the run trains.

    Drawing takes processor time in the browser, which slows training on the same machine.
    """
    version = (_version(run), len(run.read_events()))
    if not run.is_live or len(run.epochs) < 2:
        return version
    which, now = (str(run.folder), str(run.created)), time.monotonic()
    held = st.session_state.get("train_curves")
    if held is None or held[0] != which or now - held[1] >= REDRAW_SECONDS:
        held = (which, now, version)
        st.session_state["train_curves"] = held
    return held[2]


def _accuracy(run: Run) -> pd.DataFrame:
    return epoch_frame(run).drop(columns="loss")


def _loss(run: Run) -> pd.DataFrame:
    return epoch_frame(run)[["epoch", "part", "loss"]]


def _with_baseline(
    run: Run, mine: pd.DataFrame, baseline: Run | None, theirs: pd.DataFrame | None
) -> pd.DataFrame:
    frames = [mine.assign(run=run.name)]
    if baseline is not None and theirs is not None:
        frames.append(theirs.assign(run=baseline.name))
    return pd.concat(frames)


def _legend(baseline: Run | None) -> str:
    return ", grey: baseline" if baseline else ""


def _owner(run: Run, baseline: Run | None) -> str:
    return f"{run.name} against {baseline.name}" if baseline else run.name


def _describe_accuracy(run: Run) -> str:
    if not run.last:
        return f"Accuracy of {run.name}: no epoch is finished yet."
    return (
        f"Accuracy of {run.name}: {run.last.val_accuracy:.2f} % on the "
        f"{describe_validation_images(run)} and "
        f"{run.last.train_accuracy:.2f} % on the training images after epoch {run.last.epoch}."
    )


def _describe_loss(run: Run) -> str:
    if not run.last:
        return f"Loss of {run.name}: no epoch is finished yet."
    return (
        f"Loss of {run.name}: {run.last.val_loss:.4f} on the {describe_validation_images(run)} and "
        f"{run.last.train_loss:.4f} on the training images after epoch {run.last.epoch}."
    )


def _describe_rate(run: Run) -> str:
    batches = (event for event in reversed(run.read_events()) if event["kind"] == "batch")
    last = next(batches, None)
    now = f"{last['lr']:.4g} now" if last else "not started"
    return (
        f"Learning rate of {run.name}: the {run.config.schedule} schedule over "
        f"{plural(run.config.epochs, 'epoch')}, {now}."
    )
