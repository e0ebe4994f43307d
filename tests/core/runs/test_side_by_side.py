"""Runs of one thread train side by side, as many as there are cores and memory for."""

from __future__ import annotations

import pytest

from core.limits import Limits
from core.runs import capacity, creation, processes, run_queue, status, store
from core.runs.capacity import Need
from core.runs.group_runtime import resolve_group_runtime
from core.training import format_benchmarks, format_cache

CPUS = 4


@pytest.fixture
def started(monkeypatch):
    """Names of the runs that were started; this process stands for all of theirs."""
    names = []

    def start(folder):
        names.append(folder.name)
        return processes.identity()

    monkeypatch.delenv("INKLING_RUNNING")
    monkeypatch.setattr(capacity, "has_gpu", lambda: False)
    monkeypatch.setattr(capacity, "count_cpus", lambda: CPUS)
    monkeypatch.setattr(run_queue, "start_worker", start)
    return names


def make(config, *names, **more):
    for name in names:
        creation.create_run(config, name, **more)


def end(name):
    status.write(store.open_run(name).folder, "stopped")


def test_as_many_runs_of_one_thread_train_as_there_are_cores(tiny, started):
    names = [f"r{number}" for number in range(6)]
    make(tiny, *names)
    run_queue.submit_all(names)
    assert started == names[:4]
    end("r1")
    assert run_queue.start_waiting() == ["r4"]
    assert run_queue.list_waiting() == ["r5"]


def test_repeats_take_one_thread_each_and_a_single_run_all_cores(tiny, started):
    config = tiny.changed(threads=0)
    make(config, "single", "other")
    make(config, "s1", "s2", "s3", group="repeats")
    run_queue.submit_all(["single", "s1", "s2", "other", "s3"])
    assert started == ["single"]
    end("single")
    assert run_queue.start_waiting() == ["s1", "s2"], "the next one needs all cores, and is next"
    end("s1")
    assert run_queue.start_waiting() == []
    end("s2")
    assert run_queue.start_waiting() == ["other"]


def test_the_setting_overrides_the_number_of_cores(tiny, started, monkeypatch):
    make(tiny, "a", "b", "c")
    monkeypatch.setenv("INKLING_RUNNING", "2")
    run_queue.submit_all(["a", "b", "c"])
    assert started == ["a", "b"]


def test_runs_share_the_memory_that_one_run_may_use(tiny, started):
    make(tiny, "a", "b", "c")
    needed = capacity.need_of(store.open_run("a")).megabytes
    assert needed >= capacity.WORKER_MB
    run_queue.submit_all(["a", "b", "c"], limits=Limits(max_memory_mb=2 * needed))
    assert started == ["a", "b"]
    end("a")
    assert run_queue.start_waiting(limits=Limits(max_memory_mb=needed)) == []
    end("b")
    # the first one starts whatever the estimate says; the limit for a single step is another check
    assert run_queue.start_waiting(limits=Limits(max_memory_mb=needed)) == ["c"]


def test_a_run_that_trained_before_needs_the_threads_that_it_had(tiny, started, trained):
    run = trained("trained", tiny.changed(threads=3))
    assert capacity.need_of(run).threads == run.runtime.threads == 3


def test_an_augmented_run_needs_memory_for_another_process(tiny, started):
    make(tiny, "plain")
    make(tiny.changed(augmentation="gentle"), "augmented")
    plain, augmented = (
        capacity.need_of(store.open_run(name)).megabytes for name in ("plain", "augmented")
    )
    assert augmented - plain == capacity.AUGMENTER_MB


@pytest.mark.parametrize(
    ("run", "training", "fits"),
    [
        (Need(9, 99_999), [], True),
        (Need(2, 10), [Need(2, 10)], True),
        (Need(1, 10), [Need(2, 10), Need(2, 10)], False),
        (Need(1, 50), [Need(1, 51)], False),
    ],
)
def test_there_is_room_for_the_first_run_and_for_those_that_fit(run, training, fits, monkeypatch):
    monkeypatch.setattr(capacity, "count_cpus", lambda: 4)
    assert capacity.has_room(run, training, Limits(max_memory_mb=100)) is fits


def test_the_runs_of_a_group_share_precision_and_layout(tiny, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_CACHE", str(tmp_path / "cache"))
    times = {"fp32 contiguous": 9.0, "fp32 channels_last": 9.0, "fp32 compiled": 9.0}
    chosen = {"fp32 channels_last": 1.0, "bf16 contiguous": 8.0, "bf16 channels_last": 8.0}
    monkeypatch.setattr(format_benchmarks, "benchmark_formats", lambda *_: times | chosen)
    config = tiny.changed(precision="auto", threads=0)
    for seed in (1, 2):
        make(config.changed(seed=seed), f"s{seed}", group="repeats")
    make(config, "single")
    first = resolve_group_runtime(store.open_run("s1"), digits, None)
    assert (first.precision, first.layout, first.threads) == ("fp32", "channels_last", 1)
    store.update_run_json(store.open_run("s1").folder, runtime=first.to_dict())

    # now another format is faster on this machine
    format_cache.clear()
    monkeypatch.setattr(
        format_benchmarks, "benchmark_formats", lambda *_: times | chosen | {"bf16 contiguous": 0.1}
    )
    second = resolve_group_runtime(store.open_run("s2"), digits, None)
    assert (second.precision, second.layout, second.threads) == ("fp32", "channels_last", 1)
    assert second.benchmarked == first.benchmarked
    assert resolve_group_runtime(store.open_run("single"), digits, None) is None
    assert resolve_group_runtime(store.open_run("s1"), digits, None) == first
