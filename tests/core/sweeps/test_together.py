"""Several slots of a sweep at the same time, as on a GPU; here the CPU trains the stacks."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from optuna.trial import Trial

from core.errors import LimitError, RunError
from core.runs import processes, run_queue, status, store, worker
from core.runs.group_session import Session
from core.runs.group_worker import GroupWorker
from core.sweeps import study, training
from core.sweeps import worker as sweep_worker
from core.sweeps.slots import DONE, FAILED, MAX_ATTEMPTS, OPEN, PRUNED
from core.sweeps.sweep import Sweep
from core.sweeps.training import Interrupted, TrainingFailed, count_together
from tests.core.sweeps.sweeping import made, row, work

pytestmark = pytest.mark.usefixtures("quick")
RATES = {"max_lr": {"low": 0.01, "high": 0.1}, "weight_decay": {"choices": [0.0, 0.001]}}


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    """A machine that seems to have a GPU, and is polled without waiting."""
    monkeypatch.setattr(run_queue, "has_gpu", lambda: True)
    monkeypatch.setattr(training, "POLL_SECONDS", 0.005)
    monkeypatch.setenv("INKLING_RUNNING", "1")


@pytest.fixture
def four(monkeypatch):
    """A sweep of four slots, which a worker takes together."""
    study.create(made(vary=RATES, runs=4))


def together(job, should_continue):
    """Two epochs, after each of which the other runs have theirs."""
    for epoch in (1, 2):
        yield row(epoch, 800 + job.slot + epoch)
        yield None
        if not should_continue():
            raise Interrupted


@pytest.mark.parametrize(
    ("more", "environment", "count"),
    [
        ({}, {}, 32),
        ({}, {"INKLING_STACKED": "4"}, 4),
        ({}, {"INKLING_MAX_QUEUE": "5"}, 5),
        ({"sampler": "qmc"}, {}, 32),
        ({"sampler": "tpe"}, {}, training.MAX_LEARNING),
        ({"pruner": "median"}, {}, training.MAX_LEARNING),
        ({"aim": "accuracy-parameters"}, {}, 32),
        ({"aim": "accuracy-seconds"}, {}, 1),  # the time of a run that shares the GPU says little
        ({"vary": {**RATES, "ema_decay": {"choices": [0.0, 0.9]}}}, {}, 1),
        ({"vary": {"rows.1.channels": {"low": 2, "high": 8}}}, {}, 1),
    ],
)
def test_runs_that_differ_in_numbers_train_together(more, environment, count, folder, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sweep = made(**{"vary": RATES, **more})
    assert count_together(sweep, folder) == count
    on_cpu = {**sweep.to_dict(), "config": sweep.config.changed(device="cpu").to_dict()}
    assert count_together(Sweep.from_dict(on_cpu), folder) == 1
    monkeypatch.setattr(run_queue, "has_gpu", lambda: False)
    assert count_together(sweep, folder) == 1


def test_each_run_reports_to_its_own_trial(four):
    began = []

    def train(job, should_continue):
        began.append(job.config.max_lr)
        yield None
        assert len(began) == 4
        yield from together(job, should_continue)

    state, lines = work(train=train)
    assert [trial.epochs for trial in state.trials] == [
        (80 + (slot + 1) / 10, 80 + (slot + 2) / 10) for slot in (1, 2, 3, 4)
    ]
    assert len(set(began)) == len(lines) == state.count(DONE) == 4


def test_samples_of_a_batch_differ_where_the_sampler_learns():
    study.create(made(vary={"max_lr": {"low": 0.01, "high": 0.1}}, sampler="tpe", runs=26))
    batches: list[list[float]] = []

    def train(job, should_continue):
        if not batches or len(batches[-1]) == training.MAX_LEARNING:
            batches.append([])
        batches[-1].append(job.config.max_lr)
        yield None
        yield row(1, round(1_000 * (0.99 - abs(job.config.max_lr - 0.05))))

    state, _ = work(train=train)
    assert state.count(DONE) == 26
    assert [len(batch) for batch in batches] == [8, 8, 8, 2]
    assert all(len(set(batch)) == len(batch) for batch in batches)


def test_how_one_run_ends_does_not_disturb_the_others(four, monkeypatch):
    monkeypatch.setattr(Trial, "should_prune", lambda trial: trial.user_attrs["run"] == "made-002")

    def train(job, should_continue):
        if job.slot == 1:
            raise TrainingFailed("it diverged.")
        if job.slot == 3 and not refused:
            refused.append(job)
            raise LimitError("the disk is full.")
        yield from together(job, should_continue)

    refused: list[object] = []
    with pytest.raises(LimitError, match="the disk is full"):
        work(train=train)
    state = study.read("made")
    assert [trial.state for trial in state.trials] == [FAILED, PRUNED, OPEN, DONE]
    assert [len(trial.epochs) for trial in state.trials] == [0, 1, 0, 2]
    state, _ = work(train=train)
    assert [trial.state for trial in state.trials] == [FAILED, PRUNED, DONE, DONE]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_batch_goes_on_with_the_same_values(four, error, monkeypatch):
    sampled: list[set[float]] = []

    def train(job, should_continue):
        sampled[-1].add(job.config.max_lr)
        yield None
        yield row(1, 500)
        if job.slot == 2:
            raise error
        yield None
        yield row(2, 900)

    for _ in range(MAX_ATTEMPTS):
        sampled.append(set())
        with pytest.raises(error):
            work(train=train)
    state, _ = work(train=together)
    if error is KeyboardInterrupt:  # nobody is dead
        assert sampled[0] == sampled[1] == sampled[2]
        assert state.count(DONE) == len(sampled[0]) == 4
    else:
        assert [trial.state for trial in state.trials] == [DONE, FAILED, DONE, DONE]
        assert "died 3 times" in state.trials[1].reason


def test_an_error_of_the_storage_counts_against_one_trial_only(four, monkeypatch):
    report = Trial.report

    def refuse(trial, value, step):
        if trial.user_attrs["run"] == "made-002" and step == 2:
            raise OSError("no space left")
        report(trial, value, step)

    monkeypatch.setattr(Trial, "report", refuse)
    with pytest.raises(RunError, match="no space left"):
        work(train=together)
    opened, _ = study.load("made")
    outcomes = [attempt.outcome for attempt in study.read_attempts(opened)[:4]]
    assert outcomes == ["interrupted", None, "interrupted", "interrupted"]


def test_a_worker_that_was_taken_for_dead_keeps_the_other_runs(four):
    from optuna.trial import TrialState

    opened, _ = study.load("made")
    started = []

    def train(job, should_continue):
        started.append(job.slot)
        yield None
        if started == [1, 2, 3, 4]:
            opened.tell(2, state=TrialState.FAIL)
            started.append(0)
        yield from together(job, should_continue)

    state, _ = work(train=train)
    assert state.count(DONE) == 4
    assert started == [1, 2, 3, 4, 0, 3]


def test_each_trial_shows_signs_of_life(four, monkeypatch):
    from optuna.storages import RDBStorage

    signs: dict[int, int] = {}
    record = RDBStorage.record_heartbeat

    def count(storage, trial_id):
        record(storage, trial_id)
        signs[trial_id] = signs.get(trial_id, 0) + 1

    monkeypatch.setattr(RDBStorage, "record_heartbeat", count)
    monkeypatch.setattr(RDBStorage, "get_heartbeat_interval", lambda storage: 0.01)

    def train(job, should_continue):
        yield None
        until = time.monotonic() + 10
        while len(signs) < 4 or min(signs.values()) < 3:
            assert time.monotonic() < until
            time.sleep(0.01)
        yield row(1, 900)

    state, _ = work(train=train)
    assert state.count(DONE) == 4
    assert not [each for each in threading.enumerate() if each.name == "heartbeat"]


@pytest.fixture
def stacks(monkeypatch, digits):
    """Runs train in threads of this process on made-up digits; the sizes of their stacks."""
    sizes: list[int] = []
    threads: list[threading.Thread] = []

    def start(work):
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
        return processes.identity()

    def start_group(places):
        sizes.append(len(places))
        return start(GroupWorker(places, digits).run)

    def start_one(place):
        sizes.append(1)
        return start(worker.Worker(place, digits).run)

    monkeypatch.setattr(run_queue, "start_group_worker", start_group)
    monkeypatch.setattr(run_queue, "start_worker", start_one)
    yield sizes
    for thread in threads:
        thread.join(30)


def tiny(**more):
    sweep = made(vary=RATES, runs=4, epochs=3, **more)
    config = sweep.config.changed(
        architecture="linear-7850", batch_size=100, holdout=100, threads=1
    )
    return Sweep.from_dict({**sweep.to_dict(), "config": config.to_dict()})


def hold_after_the_first_epoch(monkeypatch, *names):
    """Let a stack wait after its first epoch until these runs of it are asked to stop."""
    obey = Session._obey

    def wait_and_obey(session):
        if session.stack.epoch == 1 and session.stack.step == 0:
            until = time.monotonic() + 20
            parent = session.workers[0].folder.parent
            while time.monotonic() < until and any(
                status.read_request(parent / name) != "stop" for name in names
            ):
                time.sleep(0.005)
        obey(session)

    monkeypatch.setattr(Session, "_obey", wait_and_obey)


def test_one_run_of_a_stack_is_pruned(stacks, monkeypatch):
    monkeypatch.setattr(Trial, "should_prune", lambda trial: trial.user_attrs["run"] == "made-002")
    hold_after_the_first_epoch(monkeypatch, "made-002")
    study.create(tiny(pruner="median"))
    state, _ = work(train=None)
    assert stacks == [4]
    assert [trial.state for trial in state.trials] == [DONE, PRUNED, DONE, DONE]
    for trial in state.trials:
        run = store.open_run(trial.run)
        assert run.tags == ("made",)
        assert not run.is_tested
        assert [round(each.val_accuracy, 6) for each in run.epochs] == [
            round(value, 6) for value in trial.epochs
        ]
        assert run.config.max_lr == trial.params["max_lr"]
    assert store.open_run("made-002").state == "stopped"
    assert len(store.open_run("made-002").epochs) == 1


@pytest.mark.parametrize("by", ["the sweep", "Ctrl-C"])
def test_a_stopped_stack_goes_on(by, stacks, monkeypatch):
    hold_after_the_first_epoch(monkeypatch, *(f"made-00{slot}" for slot in (1, 2, 3, 4)))
    study.create(tiny())
    report = Trial.report

    def report_and_stop(trial, value, step):
        report(trial, value, step)
        if by == "Ctrl-C":
            raise KeyboardInterrupt
        study.stop("made")

    with monkeypatch.context() as patch:
        patch.setattr(Trial, "report", report_and_stop)
        with pytest.raises(KeyboardInterrupt) if by == "Ctrl-C" else contextlib.nullcontext():
            work(train=None)
    assert stacks == [4]
    runs = [store.open_run(f"made-00{slot}") for slot in (1, 2, 3, 4)]
    assert {run.state for run in runs} == {"stopped"}
    assert {len(run.epochs) for run in runs} == {1}
    state, _ = work(train=None)
    assert state.count(DONE) == 4
    assert [trial.run for trial in state.trials] == [run.name for run in runs]
    assert all(len(trial.epochs) == 3 for trial in state.trials)


def test_what_the_queue_cannot_hold_is_left_to_others(stacks, folder, monkeypatch):
    monkeypatch.setattr(sweep_worker, "count_together", lambda sweep, folder: 4)
    monkeypatch.setenv("INKLING_MAX_RUNS", "3")
    study.create(tiny())
    with pytest.raises(LimitError, match="INKLING_MAX_RUNS"):
        work(train=None)
    assert study.read("made").count(DONE) == 3
    assert stacks == [3]
