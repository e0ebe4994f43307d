"""A run's curves of accuracy, loss and learning rate, with its baseline's in grey behind them."""

from __future__ import annotations

import pandas as pd

from core.charts import training as charts
from core.experiments.statistics import wilson_interval
from core.runs.run import Run
from pages.ui.components.chart import draw_chart
from pages.ui.terms import explain
from pages.ui.words import plural


def draw_accuracy(run: Run, baseline: Run | None) -> None:
    """Draw training and validation accuracy by epoch."""
    mine, theirs = accuracy_by_epoch(run), None if baseline is None else accuracy_by_epoch(baseline)
    draw_chart(
        charts.accuracy(mine, run.config.epochs, run.name, behind=theirs),
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
    mine, theirs = loss_by_epoch(run), None if baseline is None else loss_by_epoch(baseline)
    batches = _batches(run, "loss", "loss")
    draw_chart(
        charts.loss(mine, run.config.epochs, run.name, batches, theirs),
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
    plan, actual = planned_rates(run), _batches(run, "lr", "rate")
    draw_chart(
        charts.rate(plan, run.config.epochs, run.name, actual),
        "rate",
        title="Learning rate",
        subtitle="" if run.state == "finished" else "solid: so far, dashed: planned",
        help=explain("lr"),
        subject=run.name,
        filename=f"{run.name}-learning-rate",
        alt=_describe_rate(run, actual),
        make_table=lambda: pd.concat([plan.assign(part="planned"), actual.assign(part="used")]),
    )


def accuracy_by_epoch(run: Run) -> pd.DataFrame:
    """Accuracy by epoch with its 95 % confidence interval, in percent, for `charts.accuracy`.

    Returns:
        Columns epoch, part, accuracy, low, high.
    """
    rows = []
    for row in run.epochs:
        for part, correct, total in (
            (charts.TRAIN, row.train_correct, row.train_total),
            (charts.VALIDATION, row.val_correct, row.val_total),
        ):
            rows.append((row.epoch, part, 100 * correct / total, *wilson_interval(correct, total)))
    return pd.DataFrame(rows, columns=["epoch", "part", "accuracy", "low", "high"])


def loss_by_epoch(run: Run) -> pd.DataFrame:
    """Loss by epoch, for `charts.loss`: columns epoch, part, loss."""
    rows = [
        (row.epoch, part, value)
        for row in run.epochs
        for part, value in ((charts.TRAIN, row.train_loss), (charts.VALIDATION, row.val_loss))
    ]
    return pd.DataFrame(rows, columns=["epoch", "part", "loss"])


def planned_rates(run: Run) -> pd.DataFrame:
    """The learning rates that a run's schedule plans."""
    return charts.plan(run.config, run.steps_per_epoch)


def _batches(run: Run, field: str, name: str) -> pd.DataFrame:
    steps = run.steps_per_epoch
    rows = [
        (event["epoch"] - 1 + event["step"] / steps, event[field])
        for event in run.read_events()
        if event["kind"] == "batch"
    ]
    return pd.DataFrame(rows, columns=["epoch", name])


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
    now = f"{actual['rate'].iloc[-1]:.4g} now" if len(actual) else "not started"
    return (
        f"Learning rate of {run.name}: the {run.config.schedule} schedule over "
        f"{plural(run.config.epochs, 'epoch')}, {now}."
    )
