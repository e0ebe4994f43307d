"""Places in the queue, and the time until a queued run starts."""

from __future__ import annotations

import pytest

from core.runs import events, processes, run_queue, status, store
from core.runs.run import Run
from core.runs.waiting import estimate_waiting
from tests.made import made_run


@pytest.fixture
def queued(folder):
    """A finished run whose epochs took 2 s, and two queued ones of 4 and 10 epochs."""
    made_run(folder, "before", done=3)
    for name, epochs in (("first", 4), ("second", 10)):
        made_run(folder, name, done=0, epochs=epochs, state="queued")
    run_queue.move("first", 0, folder)
    return folder


def waiting(folder):
    return estimate_waiting(
        [run for run in store.list_runs(folder) if isinstance(run, Run)], folder
    )


def test_the_next_run_starts_at_once_and_the_others_after_those_before_them(queued):
    places = waiting(queued)
    assert [(name, each.place, each.total) for name, each in places.items()] == [
        ("first", 1, 2),
        ("second", 2, 2),
    ]
    assert places["first"].seconds == 0
    assert places["second"].seconds == pytest.approx(4 * 2.0)


def test_a_run_that_trains_comes_first(queued):
    run = made_run(queued, "live", done=1, epochs=3)
    status.write(run.folder, "running", "", processes.identity())
    start, end = 1_000.0, 1_005.0
    lines = [
        f'{{"kind": "started", "time": {start}, "epoch": 1, "step": 0}}\n',
        f'{{"kind": "batch", "time": {end}, "epoch": 1, "step": 10, "steps": 10, "loss": 1.0, '
        '"lr": 0.1}\n',
    ]
    (run.folder / events.NAME).write_text("".join(lines))
    # 10 of 60 steps took 5 s, so 25 s are left.
    assert waiting(queued)["first"].seconds == pytest.approx(25)
    assert waiting(queued)["second"].seconds == pytest.approx(25 + 8)


def test_without_a_run_of_its_kind_the_time_is_unknown(queued):
    made_run(queued, "other", done=0, epochs=2, state="queued", architecture="initial")
    made_run(queued, "last", done=0, epochs=2, state="queued")
    places = waiting(queued)
    assert places["other"].seconds is not None, "the time of those before it is known"
    assert places["last"].seconds is None
    assert places["last"].place == 4


def test_without_a_queued_run_nothing_is_estimated(folder):
    made_run(folder, "one")
    assert waiting(folder) == {}
