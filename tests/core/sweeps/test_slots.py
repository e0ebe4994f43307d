"""Slots whose worker stops, dies or fails, and duplicate attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.errors import RunError
from core.sweeps import slots, study
from core.sweeps.slots import DONE, MAX_ATTEMPTS, OPEN, WAITING, Attempt
from core.sweeps.training import Interrupted, TrainingFailed
from tests.core.sweeps.sweeping import epochs, made, row, work

pytestmark = pytest.mark.usefixtures("quick")


def test_a_stopped_sweep_continues_where_it_was():
    study.create(made(runs=3))
    stopped = []

    def train(job, should_continue):
        yield row(1, 500)
        if not stopped:
            stopped.append(job)
            study.stop("made")
            assert not should_continue()
            raise Interrupted
        yield row(2, 900)

    state, _ = work(train=train)
    assert state.stopped
    assert state.count(DONE) == 0
    began = []

    def continued(job, should_continue):
        began.append(job)
        return train(job, should_continue)

    state, _ = work(train=continued)
    assert not state.stopped
    assert [job.slot for job in began].count(stopped[0].slot) == 1
    assert stopped[0] in began  # the very same config, under the same run's name
    assert state.count(DONE) == 3


def test_ctrl_c_leaves_the_slot_to_others():
    study.create(made(runs=2))

    def interrupted(job, should_continue):
        yield row(1, 500)
        raise KeyboardInterrupt

    for _ in range(MAX_ATTEMPTS + 1):  # a stopped worker has not died
        with pytest.raises(KeyboardInterrupt):
            work(train=interrupted)
    state, _ = work()
    assert state.count(DONE) == 2


def test_a_failed_run_does_not_stop_the_others():
    study.create(made(runs=3))

    def train(job, should_continue):
        if job.slot == 2:
            raise TrainingFailed("it diverged.")
        yield row(1, 900)

    state, lines = work(train=train)
    assert [trial.state for trial in state.trials] == ["done", "failed", "done"]
    assert state.trials[1].reason == "it diverged."
    assert "made-002: it diverged." in lines


def test_a_machine_on_which_every_run_fails_gives_up():
    study.create(made(runs=10))

    def train(job, should_continue):
        raise TrainingFailed("it failed: no data.")
        yield

    with pytest.raises(RunError, match="5 runs in a row"):
        work(train=train)
    assert study.read("made").count(WAITING) == 5


def test_the_slot_of_a_dead_worker_is_trained_again_a_few_times():
    study.create(made(runs=1))

    def die(job, should_continue):
        raise ZeroDivisionError  # stands for whatever ends a process
        yield

    sampled = []
    for _ in range(MAX_ATTEMPTS):
        assert study.read("made").count(OPEN, WAITING) == 1
        with pytest.raises(ZeroDivisionError):
            work(train=die)
        sampled.append(study.read("made").trials[0].params)
    assert sampled[0] == sampled[1] == sampled[2] != {}
    state, _ = work()
    assert state.trials[0].state == "failed"
    assert "died 3 times" in state.trials[0].reason


def test_a_worker_that_was_taken_for_dead_does_not_lose_the_run():
    """As after a clock that is set, or a machine that was suspended."""
    from optuna.trial import TrialState

    study.create(made(runs=2))
    opened, _ = study.load("made")
    started = []

    def train(job, should_continue):
        started.append(job.name)
        if len(started) == 1:
            opened.tell(0, state=TrialState.FAIL)
        yield row(1, 900)
        yield row(2, 950)

    state, _ = work(train=train)
    assert state.count(DONE) == 2
    assert sorted(started) == ["made-001", "made-001", "made-002"]


def test_of_two_attempts_at_a_slot_only_the_first_is_trained():
    study.create(made(runs=2))
    opened, _ = study.load("made")
    for slot in (1, 2, 1):
        opened.enqueue_trial({}, user_attrs={"slot": slot})
    trained = []

    def train(job, should_continue):
        trained.append(job.slot)
        return epochs(job, should_continue)

    state, _ = work(train=train)
    assert sorted(trained) == [1, 2]
    assert state.count(DONE) == 2
    attempts = study.read_attempts(opened)
    needed = [not slots.is_duplicate(attempts, 2, each.number, each.slot) for each in attempts]
    assert needed == [True, True, False, False, False]
    assert slots.is_duplicate(attempts, 2, 5, None)


def test_no_run_is_started_after_the_minutes_are_used_up(monkeypatch):
    study.create(made(runs=5, minutes=10.0))
    minutes = iter([0.0, 4.0, 11.0])
    monkeypatch.setattr("core.sweeps.state.worked_minutes", lambda attempts: next(minutes))
    state, lines = work()
    assert len(lines) == 2
    assert state.is_out_of_time
    assert state.is_over


def test_minutes_count_once_where_runs_overlap():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    attempts = [
        Attempt(
            0,
            "COMPLETE",
            1,
            began=start + timedelta(minutes=first),
            ended=start + timedelta(minutes=last),
        )
        for first, last in [(0, 10), (5, 12), (20, 30), (22, 25)]
    ]
    assert slots.worked_minutes([*attempts, Attempt(1, "WAITING", 1)]) == 22
