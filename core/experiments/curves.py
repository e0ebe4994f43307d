"""A run's results by epoch and by batch as data frames, in the form the charts expect."""

from __future__ import annotations

import pandas as pd

from core.charts.training import TRAIN, VALIDATION
from core.experiments.statistics import wilson_interval
from core.runs.run import Run


def epoch_frame(run: Run) -> pd.DataFrame:
    """Return a run's accuracy and loss by epoch.

    Returns:
        Columns epoch (from 1), part (TRAIN or VALIDATION), accuracy and its 95 % confidence
        interval low and high (percent), loss (mean nll per image, nats).
    """
    rows = []
    for row in run.epochs:
        for part, correct, total, loss in (
            (TRAIN, row.train_correct, row.train_total, row.train_loss),
            (VALIDATION, row.val_correct, row.val_total, row.val_loss),
        ):
            interval = wilson_interval(correct, total)
            rows.append((row.epoch, part, 100 * correct / total, *interval, loss))
    return pd.DataFrame(rows, columns=["epoch", "part", "accuracy", "low", "high", "loss"])


def batch_frame(run: Run) -> pd.DataFrame:
    """Return a run's loss and learning rate by batch.

    Returns:
        Columns epoch (a fraction, from 0), loss and lr (learning rate).
    """
    steps = run.steps_per_epoch
    rows = [
        (event["epoch"] - 1 + event["step"] / steps, event["loss"], event["lr"])
        for event in run.read_events()
        if event["kind"] == "batch"
    ]
    return pd.DataFrame(rows, columns=["epoch", "loss", "lr"])
