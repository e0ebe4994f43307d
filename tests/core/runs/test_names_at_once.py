"""People who start runs at the same moment get a name each; a sweep's runs are never tested."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.data.dataset import Mnist
from core.errors import RunError
from core.experiments import repeats
from core.runs import creation, store, worker
from core.runs.group_runtime import computes_in, hold_group
from core.sweeps import training
from core.sweeps.training import Job


def at_once(count: int, act: Callable[[], object]) -> list[object]:
    """Do something in several threads that begin together."""
    barrier = threading.Barrier(count)

    def wait_and_act() -> object:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(wait_and_act) for _ in range(count)]]


def test_four_people_who_start_without_a_name_get_four_names(tiny):
    runs = at_once(4, lambda: creation.create_run(tiny, "my-final", number_if_taken=True))
    names = sorted(run.name for run in runs)
    assert names == ["my-final", "my-final-2", "my-final-3", "my-final-4"]
    assert {run.name for run in store.list_runs()} == set(names)


def test_a_name_that_somebody_chose_is_never_changed(tiny):
    creation.create_run(tiny, "mine")
    with pytest.raises(RunError, match="already a run 'mine'"):
        creation.create_run(tiny, "mine")


def test_groups_that_are_made_at_once_do_not_mix(tiny):
    groups = at_once(3, lambda: repeats.create(tiny, "rep", 2, number_if_taken=True))
    assert sorted(group.name for group in groups) == ["rep", "rep-2", "rep-3"]
    for group in repeats.list_groups():
        assert [run.config.seed for run in group.runs] == [1, 2]


def test_seeds_that_are_added_at_once_are_different(tiny):
    repeats.create(tiny, "rep", 2)
    at_once(3, lambda: repeats.extend("rep", 2))
    seeds = [run.config.seed for run in repeats.open_group("rep").runs]
    assert seeds == list(range(1, 9))


def test_runs_of_a_group_that_start_at_once_take_one_format(tiny, digits, monkeypatch):
    # Each benchmark finds another format to be fastest.
    from core.training import runtime

    milliseconds = iter([(1.0, 9.0), (9.0, 1.0), (1.0, 9.0)])
    names = "fp32 contiguous", "bf16 channels_last"
    monkeypatch.setattr(
        runtime,
        "format_times",
        lambda *rest: dict(zip(names, next(milliseconds), strict=True)),
    )
    monkeypatch.setenv("INKLING_RUNNING", "3")
    group = repeats.create(tiny.changed(precision="auto"), "rep", 3)
    folders = iter([run.folder for run in group.runs])
    at_once(3, lambda: worker.train(next(folders), digits))
    runs = repeats.open_group("rep").runs
    assert {run.state for run in runs} == {"finished"}
    assert len({(run.runtime.precision, run.runtime.layout) for run in runs}) == 1
    assert "all compute on cpu in" in repeats.open_group("rep").shared


def test_a_group_says_where_its_runs_compute_differently(tiny, digits):
    group = repeats.create(tiny, "rep", 2)
    assert "none has started yet" in group.shared
    for run in group.runs:
        worker.train(run.folder, digits)
    other = repeats.open_group("rep").runs[1]
    changed = other.runtime.changed(precision="bf16", layout="channels_last")
    store.update_run_json(other.folder, runtime=changed.to_dict())
    text = repeats.open_group("rep").shared
    assert "rep-s2 on cpu in bf16" in text
    assert "differ only" not in text


def test_a_run_stacks_only_in_the_format_of_its_group(tiny, digits):
    group = repeats.create(tiny.changed(precision="bf16"), "rep", 2)
    first, second = group.runs
    assert computes_in(second, "fp32")
    worker.train(first.folder, digits)
    assert not computes_in(second, "fp32")
    assert computes_in(second, "bf16")
    with hold_group(store.open_run("rep-s1")):
        pass  # it has its runtime, and waits for nobody


def test_a_run_that_is_not_tested_never_sees_the_test_images(tiny, digits):
    run = creation.create_run(tiny.changed(holdout=100), "trial", is_tested=False)
    assert worker.train(run.folder, Mnist(digits.train, None)) == "finished"
    done = store.open_run("trial")
    assert done.test is None
    assert not done.is_tested
    assert len(done.epochs) == 3


def test_the_runs_of_a_sweep_are_not_tested(tiny, monkeypatch, checkpoints):
    class Sweep:
        name, recipe, owner = "search", None, None

    monkeypatch.setattr(training.run_queue, "submit", lambda *rest: None)
    epochs = training.train_in_queue(
        Job(Sweep(), 0, "search-000", tiny.changed(holdout=100), checkpoints), lambda: False
    )
    with pytest.raises(Exception, match="stopped by hand"):
        list(epochs)
    assert not store.open_run("search-000").is_tested
