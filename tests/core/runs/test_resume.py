"""An interrupted run ends exactly as one that was never interrupted."""

import shutil

import pytest

from core.runs import (
    control,
    creation,
    store,
    worker,
)
from core.training import runtime, trainer
from tests.core.runs.interruptions import Killed, kill, request_at


@pytest.mark.parametrize(("action", "state"), [("stop", "stopped"), ("pause", "paused")])
@pytest.mark.parametrize("place", [(1, 1), (1, 6), (2, 4), (3, 5)])
def test_a_stopped_run_resumes_to_the_same_end(
    full, digits, monkeypatch, outcome, kinds, action, state, place
):
    whole, cut = creation.create_run(full, "whole"), creation.create_run(full, "cut")
    worker.train(whole.folder, digits)
    with monkeypatch.context() as patch:
        request_at(patch, action, *place)
        assert worker.train(cut.folder, digits) == state
    run = store.open_run("cut")
    assert run.state == state
    assert run.can_resume
    assert f"epoch {place[0]}" in run.message
    assert worker.train(cut.folder, digits) == "finished"
    assert outcome(store.open_run("cut")) == outcome(store.open_run("whole"))
    assert kinds(store.open_run("cut")).count("epoch") == 3
    assert kinds(store.open_run("cut")).count("resumed") == 1


def test_one_epoch_and_pause(tiny, digits, monkeypatch, outcome):
    whole, steps = creation.create_run(tiny, "whole"), creation.create_run(tiny, "steps")
    worker.train(whole.folder, digits)
    for done in (1, 2):
        request_at(monkeypatch, "pause-after-epoch", done, 2)
        assert worker.train(steps.folder, digits) == "paused"
        assert len(store.open_run("steps").epochs) == done
        assert not (steps.folder / "request.json").exists()
    assert worker.train(steps.folder, digits) == "finished", (
        "the last epoch ends the run, asked or not"
    )
    assert outcome(store.open_run("steps")) == outcome(store.open_run("whole"))


@pytest.mark.parametrize("how", ["before", "amidst", "after"])
def test_killed_at_any_write_it_ends_the_same(full, digits, monkeypatch, outcome, kinds, how):
    """Killed at each write of each file and resumed, compared with an uninterrupted run."""
    config = full.changed(epochs=2, batch_size=200, holdout=100)
    whole, cut = creation.create_run(config, "whole"), creation.create_run(config, "cut")
    worker.train(whole.folder, digits)
    pristine = cut.folder.with_name(".pristine")
    shutil.copytree(cut.folder, pristine)
    kills = 0
    while True:
        shutil.rmtree(cut.folder)
        shutil.copytree(pristine, cut.folder)
        with monkeypatch.context() as patch:
            kill(patch, kills + 1, how)
            try:
                worker.train(cut.folder, digits, save_every=0.0)
            except Killed:
                kills += 1
            else:
                break
        store.open_run("cut")  # whatever was cut short, the folder is no damaged one
        if store.open_run("cut").state != "finished":
            worker.train(cut.folder, digits)
        assert outcome(store.open_run("cut")) == outcome(store.open_run("whole")), (
            f"killed at write {kills}"
        )
        assert kinds(store.open_run("cut")).count("epoch") == 2
        assert not list(cut.folder.glob(".*.tmp"))
    assert kills > 20


def test_killed_repeatedly_it_ends_the_same(full, digits, monkeypatch, outcome, kinds):
    whole, cut = creation.create_run(full, "whole"), creation.create_run(full, "cut")
    worker.train(whole.folder, digits)
    for kills in range(1_000):
        with monkeypatch.context() as patch:
            kill(patch, kills + 1, ("before", "amidst", "after")[kills % 3])
            try:
                worker.train(cut.folder, digits, save_every=0.0)
            except Killed:
                continue
            break
    assert kills > 8
    assert outcome(store.open_run("cut")) == outcome(store.open_run("whole"))


def test_a_resumed_run_keeps_a_changed_learning_rate(tiny, digits, monkeypatch, outcome):
    """Changed at the same step, one killed later: both end alike, unlike an unchanged run."""
    monkeypatch.setattr("core.runs.recorder.EVENT_SECONDS", 0.0)
    config = tiny.changed(schedule="constant", lr=0.01)
    results = {}
    for name, is_killed in (("unchanged", False), ("changed", False), ("killed", True)):
        run = creation.create_run(config, name)
        real = worker.Recorder.record_batch

        def batch(self, result, name=name, is_killed=is_killed, real=real):
            real(self, result)
            if (result.epoch, result.step) == (2, 2) and name != "unchanged":
                control.scale_lr(name, 3.0)
                self.worker.lr_factor = 3.0
            if (result.epoch, result.step) == (3, 3) and is_killed:
                raise Killed

        made = worker.Worker.__init__

        def init(self, *arguments, made=made, **more):
            made(self, *arguments, **more)
            self.recorder.worker = self

        with monkeypatch.context() as patch:
            patch.setattr(worker.Worker, "__init__", init)
            patch.setattr(worker.Recorder, "record_batch", batch)
            patch.setattr(worker.Recorder, "should_save", lambda self: False)
            if is_killed:
                with pytest.raises(Killed):
                    worker.train(run.folder, digits)
            else:
                worker.train(run.folder, digits)
        if is_killed:
            worker.train(run.folder, digits)
        run = store.open_run(name)
        assert not (run.folder / "rate.json").exists()
        results[name] = outcome(run)
        changes = [event for event in run.read_events() if event["kind"] == "rate"]
        assert [(event["epoch"], event["step"], event["factor"]) for event in changes] == (
            [] if name == "unchanged" else [(2, 2, 3.0)]
        )
        rates = {
            event["lr"]
            for event in run.read_events()
            if event["kind"] == "batch" and event["epoch"] == 3
        }
        assert rates == {0.01 if name == "unchanged" else 0.03}
    assert results["killed"] == results["changed"]
    assert results["changed"]["last"] != results["unchanged"]["last"]


def test_a_resumed_run_keeps_its_runtime(tiny, digits, monkeypatch):
    run = creation.create_run(tiny.changed(threads=0, precision="auto"), "kept")
    request_at(monkeypatch, "stop", 1, 3)
    worker.train(run.folder, digits)
    before = store.open_run("kept").runtime
    monkeypatch.setattr(
        runtime,
        "resolve_runtime",
        lambda *arguments: before.changed(threads=7, precision="bf16"),
    )
    used = []
    real = trainer.Training._step
    monkeypatch.setattr(
        trainer.Training,
        "_step",
        lambda self, *more: used.append(self.runtime) or real(self, *more),
    )
    assert worker.train(run.folder, digits) == "finished"
    assert set(map(id, used)) == {id(used[0])}
    assert used[0] == before
    assert store.open_run("kept").runtime == before
