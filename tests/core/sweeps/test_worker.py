"""The worker of a sweep, with ordinary runs through the queue and as a process of its own."""

from __future__ import annotations

import pytest

from core.errors import UserError
from core.limits import Limits
from core.runs import creation, store
from core.sweeps import study
from core.sweeps import worker as sweep_worker
from core.sweeps.slots import OPEN
from core.sweeps.sweep import Sweep
from core.sweeps.training import Job, train_in_queue
from core.sweeps.winner import trial_config
from tests.core.sweeps.sweeping import made, work

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def trained_at_once(monkeypatch, digits):
    """Runs are trained by this process, on made-up digits, as soon as they are submitted."""
    from core.runs import processes, run_queue
    from core.runs.worker import train

    pending = []

    def start(place):
        pending.append(place)
        return processes.identity()

    opened = store.open_run

    def open_run(name, *given):
        while pending:
            train(pending.pop(), digits)
        return opened(name, *given)

    monkeypatch.setattr(run_queue, "start_worker", start)
    monkeypatch.setattr("core.sweeps.training.store.open_run", open_run)


def tiny(**more):
    sweep = made(epochs=2, **more)
    config = sweep.config.changed(
        architecture="linear-7850", batch_size=100, holdout=100, device="cpu", threads=1
    )
    return Sweep.from_dict({**sweep.to_dict(), "config": config.to_dict()})


def test_trials_are_ordinary_runs_with_a_hold_out(trained_at_once, folder):
    study.create(tiny(runs=2))
    state, _ = work(train=None)
    runs = [store.open_run(name) for name in ("made-001", "made-002")]
    assert [run.state for run in runs] == ["finished", "finished"]
    for run, trial in zip(runs, state.trials, strict=True):
        assert run.tags == ("made",)
        assert run.config == trial_config(state.sweep, trial).changed(kept_epochs=0)
        assert (trial.accuracy, trial.run) == (run.last.val_accuracy, run.name)
        assert run.last.val_total == 100
        assert trial.parameters == run.parameters


def test_another_run_keeps_its_name(trained_at_once, folder):
    sweep = tiny(runs=1)
    creation.create_run(sweep.config, "made-001")
    study.create(sweep)
    state, _ = work(train=None)
    assert state.trials[0].run == "made-001-2"
    assert store.open_run("made-001").state == "stopped"


def test_a_finished_run_is_not_trained_again(trained_at_once, folder):
    study.create(tiny(runs=1))
    first, _ = work(train=None)
    created = store.open_run("made-001").created
    job = Job(first.sweep, 1, "made-001", trial_config(first.sweep, first.trials[0]), folder)
    assert [result.epoch for result in train_in_queue(job, lambda: True)] == [1, 2]
    assert store.open_run("made-001").created == created


def test_a_machine_at_its_limits_leaves_the_slot_to_others(folder, monkeypatch):
    monkeypatch.setenv("INKLING_MAX_RUNS", "1")
    sweep = tiny(runs=1)
    creation.create_run(sweep.config, "other", limits=Limits(max_runs=5))
    study.create(sweep)
    with pytest.raises(UserError, match="INKLING_MAX_RUNS"):
        work(train=None)
    assert study.read("made").count(OPEN) == 1


def test_a_background_worker_reports_its_error(folder):
    sweep_worker.start("nothing")
    for _ in range(600):
        if not sweep_worker.is_working("nothing"):
            break
        sweep_worker.time.sleep(0.1)
    assert sweep_worker.last_error("nothing") == "there is no sweep 'nothing'."
    assert not sweep_worker.is_working("made")
    assert sweep_worker.last_error("made") == ""
