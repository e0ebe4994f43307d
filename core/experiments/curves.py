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


def step_size_frame(run: Run) -> pd.DataFrame:
    """Return how large the last step of each epoch was in each row of the network.

    Returns:
        Columns epoch (from 1), row (number, from 1), gradient and update (their norms relative to
        the norm of the row's weights). Empty where the run has not recorded them.
    """
    rows = [
        (event["epoch"], *figures)
        for event in run.read_events()
        if event["kind"] == "update"
        # Of lists of different lengths, which only a foreign file has, the rest is left out.
        for figures in zip(event["rows"], event["gradients"], event["updates"], strict=False)
    ]
    frame = pd.DataFrame(rows, columns=["epoch", "row", "gradient", "update"])
    # A resumed run may have recorded an epoch twice.
    return frame.drop_duplicates(["epoch", "row"], keep="last", ignore_index=True)
