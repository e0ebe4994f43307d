import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import LimitError, RunError
from core.limits import Limits
from core.runs import (
    capacity,
    creation,
    files,
    folders,
    processes,
    run_queue,
    status,
    store,
    worker,
)
from core.training import trainer


@pytest.fixture
def started(monkeypatch):
    """Names of the runs for which a process was started: one that sleeps instead of training."""
    names, sleepers = [], []

    def start(folder: Path):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        names.append(folder.name)
        sleepers.append(process)
        return processes.identity(process.pid)

    monkeypatch.setattr(run_queue, "start_worker", start)
    yield names
    for process in sleepers:
        process.kill()
        process.wait()


def _kill(name):
    pid = files.read_json(folders.checkpoints_folder() / name / "status.json")["pid"]
    os.kill(pid, 9)
    while processes.is_alive(*processes.identity(pid)):
        time.sleep(0.01)


def _make(config, *names):
    for name in names:
        creation.create_run(config, name)


def test_more_runs_than_slots_wait_in_order(tiny, started):
    _make(tiny, "a", "b", "c", "d")
    states = [run_queue.submit(name).state for name in ("b", "a", "d", "c")]
    assert states == ["running", "queued", "queued", "queued"]
    assert run_queue.list_waiting() == ["a", "d", "c"]
    assert started == ["b"]
    assert run_queue.start_waiting() == []
    _kill("b")
    assert store.open_run("b").state == "crashed"
    assert run_queue.start_waiting() == ["a"]
    assert (started, run_queue.list_waiting()) == (["b", "a"], ["d", "c"])


def test_the_setting_limits_how_many_train(tiny, started, monkeypatch):
    monkeypatch.setenv("INKLING_RUNNING", "2")
    _make(tiny, "a", "b", "c")
    assert [run_queue.submit(name).state for name in "abc"] == ["running", "running", "queued"]
    monkeypatch.setenv("INKLING_RUNNING", "3")
    assert run_queue.start_waiting() == ["c"]


def test_the_order_can_be_changed_and_entries_removed(tiny, started):
    _make(tiny, "a", "b", "c", "d", "e")
    for name in "abcde":
        run_queue.submit(name)
    assert run_queue.move("d", 0) == ["d", "b", "c", "e"]
    assert run_queue.move("b", 99) == ["d", "c", "e", "b"]
    assert run_queue.move("e", -5) == ["e", "d", "c", "b"]
    dropped = run_queue.remove("d")
    assert (dropped.state, dropped.can_resume) == ("stopped", True)
    assert run_queue.list_waiting() == ["e", "c", "b"]
    for call in (
        lambda: run_queue.remove("d"),
        lambda: run_queue.move("a", 0),
        lambda: run_queue.remove("../x"),
    ):
        with pytest.raises(RunError, match="not waiting"):
            call()
    _kill("a")
    run_queue.start_waiting()
    assert started == ["a", "e"]


def test_a_lost_or_damaged_order_loses_no_run(tiny, started, checkpoints):
    _make(tiny, "a", "c", "b")
    for name in "acb":
        run_queue.submit(name)
        time.sleep(0.002)
    for data in (None, b"", b"{", b'{"x": 1}', b'[1, ["c"], "gone", "../x", "a"]'):
        if data is None:
            (checkpoints / run_queue.ORDER_FILE).unlink()
        else:
            (checkpoints / run_queue.ORDER_FILE).write_bytes(data)
        assert run_queue.list_waiting() == ["c", "b"], "by the time they came"
    assert run_queue.move("b", 0) == ["b", "c"]


def test_submitting_twice_is_refused_or_keeps_one_entry(tiny, started):
    _make(tiny, "a", "b")
    run_queue.submit("a")
    with pytest.raises(RunError, match="already training"):
        run_queue.submit("a")
    run_queue.submit("b")
    with pytest.raises(RunError, match="already waiting"):
        run_queue.submit("b")
    assert run_queue.list_waiting() == ["b"]


def test_a_full_queue_refuses_runs(tiny, started):
    _make(tiny, "a", "b", "c")
    run_queue.submit("a", limits=Limits(max_queue=1))
    run_queue.submit("b", limits=Limits(max_queue=1))
    with pytest.raises(LimitError, match="1 runs"):
        run_queue.submit("c", limits=Limits(max_queue=1))
    assert store.open_run("c").state == "stopped"


def test_a_run_above_the_limits_does_not_start(tiny, started):
    _make(tiny, "a")
    with pytest.raises(LimitError, match="limit of"):
        run_queue.submit("a", limits=Limits(max_epochs=2))
    with pytest.raises(LimitError, match="the runs use"):
        run_queue.submit("a", limits=Limits(max_disk_mb=0))
    assert started == []


def test_damaged_and_deleted_runs_do_not_block_the_queue(tiny, started, checkpoints):
    _make(tiny, "a", "b", "c", "d")
    for name in "abcd":
        run_queue.submit(name)
    (checkpoints / "b" / "run.json").write_text("{")
    (checkpoints / "c" / "status.json").write_text("{")
    _kill("a")
    run_queue.start_waiting()
    _kill("b")
    run_queue.start_waiting()
    assert started == ["a", "b", "d"], (
        "b's worker will say what is wrong with it, c's status has no valid state"
    )


def test_a_link_among_the_runs_neither_waits_nor_counts(tiny, started, checkpoints, tmp_path):
    _make(tiny, "a")
    run_queue.submit("a")
    (checkpoints / "a").rename(tmp_path / "a")
    (checkpoints / "link").symlink_to(tmp_path / "a")
    _make(tiny, "b")
    assert run_queue.submit("b").state == "running"


def test_a_process_that_cannot_be_started_fails_the_run(tiny, monkeypatch):
    def start(*given, **options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", start)
    _make(tiny, "a")
    run = run_queue.submit("a")
    assert run.state == "failed"
    assert "Resource temporarily unavailable" in run.message
    assert run_queue.list_waiting() == []


def test_a_worker_started_by_hand_takes_a_slot_or_waits(tiny, started, digits):
    _make(tiny, "a", "b")
    run_queue.submit("a")
    assert worker.train(store.open_run("b").folder, digits) == "queued"
    assert run_queue.list_waiting() == ["b"]
    _kill("a")
    assert worker.train(store.open_run("b").folder, digits) == "finished"
    assert run_queue.list_waiting() == []


def test_two_workers_never_train_one_run(tiny, started, digits):
    _make(tiny, "a")
    run_queue.submit("a")
    assert worker.train(store.open_run("a").folder, digits) == "running"
    assert store.open_run("a").epochs == ()


def test_the_end_of_a_run_starts_the_next(tiny, started, digits, monkeypatch):
    _make(tiny, "a", "b")
    status.write(store.open_run("a").folder, "running", "starting", processes.identity())
    run_queue.submit("b")
    assert started == []
    worker.train(store.open_run("a").folder, digits)
    assert started == ["b"]


def test_a_process_killed_while_starting_a_worker_does_no_harm(tiny, started, digits, monkeypatch):
    """The process runs, but no file says so: another is started, and one of the two gives way."""
    _make(tiny, "a", "b")
    with monkeypatch.context() as patch:
        real = status.write

        def write(folder, state, *more):
            if state == "running":
                raise KeyboardInterrupt
            real(folder, state, *more)

        patch.setattr(status, "write", write)
        with pytest.raises(KeyboardInterrupt):
            run_queue.submit("a")
    assert run_queue.list_waiting() == ["a"]
    assert run_queue.submit("b").state == "queued"
    assert started == ["a", "a"]
    assert store.open_run("a").state == "running"
    assert not run_queue.claim(store.open_run("a").folder), (
        "the first process, when it comes to claim its run"
    )


SUBMIT = """
import sys, time
from core.runs import processes, run_queue
run_queue.start_worker = lambda folder: (
    print("started", folder.name), processes.identity(int(sys.argv[3])))[1]
time.sleep(max(0, float(sys.argv[2]) - time.time()))
run_queue.submit(sys.argv[1])
"""


def test_simultaneous_starts_never_share_the_last_slot(tiny):
    names = [f"r{number}" for number in range(6)]
    _make(tiny, *names)
    at = time.time() + 4
    root = Path(run_queue.__file__).parents[2]
    shells = [
        subprocess.Popen(
            [sys.executable, "-c", SUBMIT, name, str(at), str(os.getpid())],
            cwd=root,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in names
    ]
    outputs = [shell.communicate(timeout=60) for shell in shells]
    assert [errors for _, errors in outputs] == [""] * 6
    assert sum("started" in output for output, _ in outputs) == 1
    states = sorted(store.open_run(name).state for name in names)
    assert states == ["queued"] * 5 + ["running"]
    assert len(run_queue.list_waiting()) == 5


def test_a_gpu_has_more_slots(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == "/dev/nvidia0")
    assert capacity.count_slots() == 1
    monkeypatch.delenv("INKLING_RUNNING")
    assert capacity.count_slots() == capacity.GPU_SLOTS
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert capacity.count_slots() is None


@pytest.fixture
def started_groups(monkeypatch):
    """Names of the runs of each process that was started; this process stands for all of them."""
    groups = []

    def start(folders):
        groups.append([folder.name for folder in folders])
        return processes.identity()

    monkeypatch.setattr(run_queue, "start_worker", lambda folder: start([folder]))
    monkeypatch.setattr(run_queue, "start_group_worker", start)
    return groups


def test_alike_runs_start_in_one_process_on_a_gpu(tiny, started_groups, monkeypatch):
    monkeypatch.setattr(run_queue, "has_gpu", lambda: True)
    monkeypatch.setenv("INKLING_RUNNING", "2")
    config = tiny.changed(device="auto")
    _make(config, "a")
    _make(config.changed(batch_size=50), "b")
    for seed in (5, 6):
        _make(config.changed(seed=seed, max_lr=0.01), f"c{seed}")
    _make(config.changed(precision="bf16"), "d", "e")
    run_queue.submit_all(["a", "b", "c5", "c6", "d", "e"])
    assert started_groups == [["a", "c5", "c6"], ["b"]], "two slots, one of them for three runs"
    assert run_queue.list_waiting() == ["d", "e"]
    assert store.open_run("c5").state == "running"
    status.write(store.open_run("b").folder, "stopped")
    assert run_queue.start_waiting() == ["d"], "bf16 trains alone"


def test_runs_train_alone_without_a_gpu_or_where_a_setting_says_so(
    tiny, started_groups, monkeypatch
):
    monkeypatch.setenv("INKLING_RUNNING", "3")
    monkeypatch.setattr(run_queue, "has_gpu", lambda: False)
    _make(tiny.changed(device="auto"), "a", "b")
    run_queue.submit_all(["a", "b"])
    assert started_groups == [["a"], ["b"]]
    for name in "ab":
        status.write(store.open_run(name).folder, "stopped")
    monkeypatch.setattr(run_queue, "has_gpu", lambda: True)
    run_queue.submit_all(["a", "b"], limits=Limits(stacked=1, running=3))
    assert started_groups[2:] == [["a"], ["b"]]


def test_runs_left_at_different_steps_do_not_start_together(
    tiny, started_groups, monkeypatch, digits
):
    _make(tiny, "a", "b", "c")
    for name, count in (("a", 2), ("b", 2), ("c", 1)):
        folder = store.open_run(name).folder
        results = worker.Worker(folder, digits)
        results.recorder.save_every = 0
        training = trainer.Training(tiny, digits)
        results.recorder.restore(training, None)
        for result, _ in zip(training.run(), range(count), strict=False):
            results.recorder.record_batch(result)
        results.recorder.save_state(training)
        files.write_json(
            folder / "run.json",
            {
                **files.read_json(folder / "run.json"),
                "config": tiny.changed(device="auto").to_dict(),
                "runtime": training.runtime.changed(device="cuda").to_dict(),
            },
        )
    monkeypatch.setattr(run_queue, "has_gpu", lambda: True)
    monkeypatch.setenv("INKLING_RUNNING", "3")
    run_queue.submit_all(["c", "a", "b"])
    assert started_groups == [["c"], ["a", "b"]]
