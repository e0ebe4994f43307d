"""The worker: what it writes while it trains, and how it stops."""

import os
import signal
import threading

import pytest

from core.models.architectures import ARCHITECTURES
from core.runs import (
    control,
    creation,
    events,
    loading,
    store,
    worker,
)
from core.training import schedules, trainer
from core.training.results import BatchResult
from tests.core.runs.interruptions import Killed, request_at


def test_a_run_from_start_to_end(tiny, digits, kinds, checkpoints):
    run = creation.create_run(tiny, "one")
    assert (run.state, run.message, run.epochs) == ("stopped", "not started yet", ())
    assert worker.train(run.folder, digits) == "finished"
    run = store.open_run("one")
    assert (run.state, run.is_live, run.can_resume) == ("finished", False, False)
    assert [row.epoch for row in run.epochs] == [1, 2, 3]
    assert run.epochs[-1].train_loss < run.epochs[0].train_loss
    assert kinds(run) == ["started", "epoch", "epoch", "epoch", "finished"]
    steps = [event for event in run.read_events() if event["kind"] == "update"]
    assert [event["epoch"] for event in steps] == [1, 2, 3]
    assert all(len(event["rows"]) == len(event["updates"]) > 0 for event in steps)
    assert all(0 < size < 1 for event in steps for size in event["updates"])
    batches = [event for event in run.read_events() if event["kind"] == "batch"]
    assert [
        (event["epoch"], event["step"], event["steps"])
        for event in batches
        if event["step"] in (1, 6)
    ] == [(epoch, step, 6) for epoch in (1, 2, 3) for step in (1, 6)]
    assert run.runtime.steps_per_epoch == 6
    assert run.runtime.device == "cpu"
    assert sorted(os.listdir(run.folder)) == [
        ".worker.lock",
        "best.safetensors",
        "epochs",
        "epochs.json",
        "events.jsonl",
        "last.safetensors",
        "run.json",
        "status.json",
    ], "the state to resume from is gone, and nothing else is left"
    loss, correct = trainer.evaluate(
        loading.load_model(run),
        digits.test.images,
        digits.test.labels,
        trainer.choose_device("cpu"),
    )
    assert (loss, correct) == (run.last.val_loss, run.last.val_correct)


def test_the_best_weights_are_those_of_the_best_row(full, digits):
    run = creation.create_run(
        full.changed(epochs=6, max_lr=1.5), "wild"
    )  # a rate that makes some epochs worse
    worker.train(run.folder, digits)
    run = store.open_run("wild")
    assert run.best.val_correct == max(row.val_correct for row in run.epochs)
    model = loading.load_model(run, "best")
    assert trainer.evaluate(
        model, digits.test.images, digits.test.labels, trainer.choose_device("cpu")
    )[1] == (run.best.val_correct)


def test_events_cover_each_step_once(tiny, digits, monkeypatch):
    run = creation.create_run(tiny, "cut")
    monkeypatch.setattr("core.runs.recorder.EVENT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(worker.Recorder, "should_save", lambda self: False)
        real = worker.Recorder.record_batch

        def batch(self, result):
            real(self, result)
            if (result.epoch, result.step) == (2, 4):
                raise Killed

        patch.setattr(worker.Recorder, "record_batch", batch)
        with pytest.raises(Killed):
            worker.train(run.folder, digits)
    with open(run.folder / events.NAME, "ab") as file:
        file.write(b'{"kind": "batch", "epo')
    worker.train(run.folder, digits)
    places = [
        (event["epoch"], event["step"]) for event in run.read_events() if event["kind"] == "batch"
    ]
    assert places == [(epoch, step) for epoch in (1, 2, 3) for step in range(1, 7)]


def test_the_events_of_a_short_run_have_its_first_highest_and_last_rate(tiny, digits, monkeypatch):
    monkeypatch.setattr("core.runs.recorder.EVENT_SECONDS", 1e9)
    config = tiny.changed(epochs=1, schedule="one-cycle", warmup=0.5, max_lr=0.1)
    run = creation.create_run(config, "peak")
    worker.train(run.folder, digits)
    rates = [event["lr"] for event in run.read_events() if event["kind"] == "batch"]
    steps = run.steps_per_epoch
    planned = [schedules.rate(config, step, steps) for step in range(steps)]
    assert rates == pytest.approx([planned[0], max(planned), planned[-1]])
    assert max(planned) > max(planned[0], planned[-1])


def test_a_stop_does_not_wait_for_a_long_step(tiny, digits, monkeypatch):
    """The step never ends here; the process is left all the same, with what was saved before."""
    run = creation.create_run(tiny, "slow")
    left, hung = threading.Event(), threading.Event()
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.2)

    monkeypatch.setattr(os, "_exit", lambda code: left.set())
    real = trainer.Training._step

    def step(self, *batch):
        if (self.epoch, self.step) == (1, 3):
            hung.set()
            left.wait(10)
            raise Killed
        return real(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Training, "_step", step)
        asker = threading.Thread(target=lambda: hung.wait(10) and control.stop("slow"))
        asker.start()
        with pytest.raises(Killed):
            worker.Worker(run.folder, digits, may_exit=True).run()
        asker.join()
    assert left.is_set()
    run = store.open_run("slow")
    assert (run.state, len(run.epochs), run.can_resume) == ("stopped", 1, True)
    assert worker.train(run.folder, digits) == "finished"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops(tiny, digits, monkeypatch, number):
    run = creation.create_run(tiny, "signalled")
    before = signal.getsignal(number)
    real = worker.Recorder.record_batch

    def batch(self, result):
        real(self, result)
        if (result.epoch, result.step) == (2, 2):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(worker.Recorder, "record_batch", batch)
    assert worker.train(run.folder, digits) == "stopped"
    assert signal.getsignal(number) is before
    assert store.open_run("signalled").can_resume


def test_a_run_with_a_holdout_is_scored_once_on_the_test_images(tiny, digits):
    run = creation.create_run(tiny.changed(holdout=100), "held")
    worker.train(run.folder, digits)
    run = store.open_run("held")
    assert run.runtime.validated_on == "hold-out"
    assert run.last.val_total == 100
    assert run.test.total == len(digits.test.labels)


def test_losses_are_summed_on_the_device(tiny, digits, monkeypatch):
    """Asking a device for a number at every step would make it wait."""
    reads = []
    real = worker.Recorder._append_batch_event
    monkeypatch.setattr(
        worker.Recorder,
        "_append_batch_event",
        lambda self: reads.append(self._step_count) or real(self),
    )
    run = creation.create_run(tiny.changed(batch_size=10), "often")
    worker.train(run.folder, digits)
    assert sum(reads) == 180
    assert len(reads) < 60


def test_batch_losses_in_events_are_means(tiny, digits, monkeypatch):
    losses = {}
    real = worker.Recorder.record_batch

    def batch(self, result: BatchResult):
        losses[result.epoch, result.step] = float(result.loss)
        real(self, result)

    monkeypatch.setattr(worker.Recorder, "record_batch", batch)
    run = creation.create_run(tiny, "mean")
    worker.train(run.folder, digits)
    past = [
        event for event in run.read_events() if event["kind"] == "batch" and event["epoch"] == 2
    ]
    first = 1
    for event in past:
        steps = range(first, event["step"] + 1)
        assert event["loss"] == pytest.approx(
            sum(losses[2, step] for step in steps) / len(steps), abs=2e-6
        )
        first = event["step"] + 1


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_trains_stops_and_resumes(name, tiny, digits, monkeypatch):
    run = creation.create_run(
        tiny.changed(layers=[], architecture=name, epochs=1, batch_size=200), "run"
    )
    request_at(monkeypatch, "stop", 1, 1)
    assert worker.train(run.folder, digits) == "stopped"
    assert worker.train(run.folder, digits) == "finished"
    loading.load_model(store.open_run("run"))
