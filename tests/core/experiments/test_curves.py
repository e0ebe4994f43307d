"""A run's curves as data frames."""

from __future__ import annotations

from core.charts.training import VALIDATION
from core.experiments.curves import batch_frame, epoch_frame, step_size_frame
from core.experiments.statistics import wilson_interval
from core.runs import events, files
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


def test_sizes_of_steps_are_those_recorded_and_of_repeated_epochs_the_last(folder):
    run = made_run(folder, "mine", done=2)
    assert step_size_frame(run).empty
    path = run.folder / events.NAME
    for epoch, size in ((1, 0.1), (2, 0.3), (2, 0.2)):
        sizes = {"rows": [1, 3], "gradients": [size, 1.0], "updates": [size / 10, 0.01]}
        files.append_bytes(path, events.format_event("update", epoch, 20, **sizes))
    damaged = {"rows": [1], "gradients": ["x"], "updates": [0.1]}
    files.append_bytes(path, events.format_event("update", 3, 20, **damaged))
    frame = step_size_frame(run)
    assert frame.to_dict("list") == {
        "epoch": [1, 1, 2, 2],
        "row": [1, 3, 1, 3],
        "gradient": [0.1, 1.0, 0.2, 1.0],
        "update": [0.01, 0.01, 0.02, 0.01],
    }
