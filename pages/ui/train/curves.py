"""A run's curves of accuracy, loss and learning rate, with its baseline's in grey behind them."""

from __future__ import annotations

import pandas as pd

from core.charts import training as charts
from core.experiments.curves import batch_frame, epoch_frame
from core.runs.run import Run
from pages.ui.components.chart import draw_chart
from pages.ui.terms import explain
from pages.ui.words import plural


def draw_accuracy(run: Run, baseline: Run | None) -> None:
    """Draw training and validation accuracy by epoch."""
    mine, theirs = _accuracy(run), None if baseline is None else _accuracy(baseline)
    draw_chart(
        charts.accuracy_chart(mine, run.config.epochs, run.name, behind=theirs),
        "accuracy",
        title="Accuracy",
        subtitle=f"solid: validation, dashed: training{_legend(baseline)}",
        help=explain("validation"),
        alt=_describe_accuracy(run),
        subject=_owner(run, baseline),
        filename=f"{run.name}-accuracy",
        make_table=lambda: _with_baseline(run, mine, baseline, theirs),
    )


def draw_loss(run: Run, baseline: Run | None) -> None:
    """Draw training and validation loss by epoch, and the loss of single batches."""
    mine, theirs = _loss(run), None if baseline is None else _loss(baseline)
    batches = batch_frame(run)[["epoch", "loss"]]
    draw_chart(
        charts.loss_chart(mine, run.config.epochs, run.name, batches, theirs),
        "loss",
        title="Loss",
        subtitle=f"thin: batches, with moving average{_legend(baseline)}",
        help=explain("loss"),
        alt=_describe_loss(run),
        subject=_owner(run, baseline),
        filename=f"{run.name}-loss",
        make_table=lambda: pd.concat(
            [
                _with_baseline(run, mine, baseline, theirs),
                batches.assign(run=run.name, part="batches"),
            ]
        ),
    )


def draw_learning_rate(run: Run) -> None:
    """Draw the planned and the actual learning rate."""
    plan, actual = (
        charts.planned_rates(run.config, run.steps_per_epoch),
        batch_frame(run)[["epoch", "lr"]],
    )
    draw_chart(
        charts.learning_rate_chart(plan, run.config.epochs, run.name, actual),
        "rate",
        title="Learning rate",
        subtitle="" if run.state == "finished" else "solid: so far, dashed: planned",
        help=explain("lr"),
        subject=run.name,
        filename=f"{run.name}-learning-rate",
        alt=_describe_rate(run, actual),
        make_table=lambda: pd.concat([plan.assign(part="planned"), actual.assign(part="used")]),
    )


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
        f"Accuracy of {run.name}: {run.last.val_accuracy:.2f} % on the validation images and "
        f"{run.last.train_accuracy:.2f} % on the training images after epoch {run.last.epoch}."
    )


def _describe_loss(run: Run) -> str:
    if not run.last:
        return f"Loss of {run.name}: no epoch is finished yet."
    return (
        f"Loss of {run.name}: {run.last.val_loss:.4f} on the validation images and "
        f"{run.last.train_loss:.4f} on the training images after epoch {run.last.epoch}."
    )


def _describe_rate(run: Run, actual: pd.DataFrame) -> str:
    now = f"{actual['lr'].iloc[-1]:.4g} now" if len(actual) else "not started"
    return (
        f"Learning rate of {run.name}: the {run.config.schedule} schedule over "
        f"{plural(run.config.epochs, 'epoch')}, {now}."
    )
