"""A run's curves as data frames."""

from __future__ import annotations

from core.charts.training import VALIDATION
from core.experiments.curves import batch_frame, epoch_frame
from core.experiments.statistics import wilson_interval
from tests.made import made_run


def test_epochs_have_their_figures_and_confidence_intervals(folder):
    run = made_run(folder, "mine", done=2)
    frame = epoch_frame(run)
    last = frame[frame["part"] == VALIDATION].iloc[-1]
    assert last["accuracy"] == run.last.val_accuracy
    assert (last["low"], last["high"]) == wilson_interval(run.last.val_correct, run.last.val_total)
    assert last["loss"] == run.last.val_loss
    assert len(frame) == 4


def test_batches_lie_within_their_epochs(folder):
    run = made_run(folder, "mine", done=2)
    frame = batch_frame(run)
    assert list(frame.columns) == ["epoch", "loss", "lr"]
    assert frame["epoch"].between(0, 2).all()
