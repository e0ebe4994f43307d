"""Real processes on the real MNIST: killed, stopped, paused, queued."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.config import RunConfig
from core.data import dataset
from core.runs import control, creation, files, processes, run_queue, status, store

pytestmark = [pytest.mark.mnist, pytest.mark.timeout(600)]

ROOT = Path(store.__file__).parents[2]
# A step of some 30 ms; augmented in the background where `augmentation` says so.
SMALL = RunConfig(
    layers=(
        {"kind": "space_to_depth", "block": 4},
        {"kind": "conv", "channels": 8, "kernel": 3, "norm": "batch", "bias": False},
        {"kind": "dropout", "p": 0.1},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ),
    batch_size=1_500,
    epochs=2,
    max_lr=0.1,
    ema_decay=0.9,
    device="cpu",
    precision="fp32",
    threads=1,
)


@pytest.fixture(autouse=True)
def real_disk(monkeypatch, mnist):
    """Real processes write to a real disk; the data is there before the first of them starts."""
    monkeypatch.setenv("INKLING_DATA", str(dataset.data_folder()))


def _until(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


def _finish(name):
    run = control.wait_until_idle(name, seconds=300)
    assert run.state == "finished", f"{run.state}: {run.message}\n{run.read_log_tail()}"
    return run


def _pid(name):
    return status.read(store.open_run(name).folder).pid


def _batches(name):
    return [event for event in store.open_run(name).read_events() if event["kind"] == "batch"]


def test_killed_at_random_moments_it_ends_bit_for_bit_the_same(outcome, kinds):
    # Long enough to be killed three times on its way.
    config = SMALL.changed(augmentation="final", holdout=30_000, epochs=6)
    creation.create_run(config, "whole")
    creation.create_run(config, "cut")
    run_queue.submit("whole")
    whole = _finish("whole")
    chance = random.Random(3)
    kills = 0
    for _ in range(3):
        control.resume("cut")
        # Some moments fall into the start, some into training.
        wait = chance.uniform(0.1, 1.5)
        if chance.random() < 0.75:
            seen = len(_batches("cut"))
            _until(
                lambda seen=seen: (
                    len(_batches("cut")) > seen + 1 or not store.open_run("cut").is_live
                )
            )
            wait /= 3
        time.sleep(wait)
        pid = _pid("cut")
        if pid is None:
            break
        children = psutil.Process(pid).children(recursive=True)
        os.kill(pid, signal.SIGKILL)
        _until(lambda: store.open_run("cut").state == "crashed", 5)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive, "processes that augment die with the one that trains"
        kills += 1
        assert store.open_run("cut").can_resume
    assert kills >= 2
    if store.open_run("cut").state != "finished":
        control.resume("cut")
    cut = _finish("cut")
    assert outcome(cut) == outcome(whole)
    assert kinds(cut).count("epoch") == 6


@pytest.mark.parametrize("how", ["pause", "SIGTERM", "at the start"])
def test_a_stop_ends_the_process_within_seconds(how):
    creation.create_run(SMALL.changed(augmentation="final", epochs=50), "a")
    run_queue.submit("a")
    if how != "at the start":
        _until(lambda: len(_batches("a")) > 2)
    pid = _pid("a")
    began = time.monotonic()
    if how == "SIGTERM":
        os.kill(pid, signal.SIGTERM)
    else:
        (control.pause if how == "pause" else control.stop)("a")
    _until(lambda: not psutil.pid_exists(pid), 20)
    took = time.monotonic() - began
    run = store.open_run("a")
    assert run.state == ("paused" if how == "pause" else "stopped"), run.message
    assert run.can_resume
    # It takes 1.5 seconds; on a shared machine, a process that starts may have to wait.
    assert took < (10.0 if how == "at the start" else 4.0)


def test_a_run_outlives_the_process_that_started_it():
    creation.create_run(SMALL.changed(epochs=1), "a")
    shell = subprocess.run(
        [
            sys.executable,
            "-c",
            "from core.runs import run_queue; print(run_queue.submit('a').state)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shell.stdout.strip() == "running"
    _finish("a")


def test_the_next_run_starts_when_one_ends():
    for name in ("a", "b", "c"):
        creation.create_run(SMALL.changed(epochs=1), name)
        run_queue.submit(name)
    assert run_queue.list_waiting() == ["b", "c"]
    run_queue.move("c", 0)
    _finish("b")
    ends = {name: store.open_run(name).read_events()[-1]["time"] for name in ("a", "b", "c")}
    assert ends["a"] < ends["c"] < ends["b"]


def test_one_epoch_and_pause_by_real_processes(outcome):
    for name in ("whole", "steps"):
        creation.create_run(SMALL.changed(epochs=2), name)
    run_queue.submit("whole")
    whole = _finish("whole")
    control.step("steps")
    run = control.wait_until_idle("steps", seconds=120)
    assert (run.state, len(run.epochs)) == ("paused", 1)
    control.resume("steps")
    assert outcome(_finish("steps")) == outcome(whole)


def test_a_changed_rate_reaches_the_worker():
    creation.create_run(SMALL.changed(schedule="constant", lr=0.01, epochs=50), "a")
    run_queue.submit("a")
    _until(lambda: len(_batches("a")) > 2)
    control.scale_lr("a", 0.5)
    _until(lambda: _batches("a")[-1]["lr"] == 0.005)
    assert [
        event["factor"] for event in store.open_run("a").read_events() if event["kind"] == "rate"
    ] == [0.5]
    _until(lambda: not (store.open_run("a").folder / "rate.json").exists(), 5)
    control.stop("a")
    assert control.wait_until_idle("a").state == "stopped"


@pytest.mark.parametrize("free", [0, 56, 80])
def test_a_full_disk_is_named_by_a_real_process(tmp_path, monkeypatch, free):
    """A file system that is full but for so many kB, where this machine lets us have one."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True
    ).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        monkeypatch.setenv("INKLING_CHECKPOINTS", str(small))
        run = creation.create_run(SMALL.changed(epochs=1), "a")
        with files.lock_folder(small):
            status.write(run.folder, "queued")
        room = os.statvfs(small)
        (small / ".ballast").write_bytes(bytes(room.f_bavail * room.f_bsize - free * 1024))
        try:
            run_queue.start_waiting()
        except files.DiskFullError:
            assert free == 0
        run = control.wait_until_idle("a", seconds=120) if free else store.open_run("a")
        if free:
            assert run.state in ("failed", "crashed"), run.read_log_tail()
            assert "the disk is full" in run.message
        (small / ".ballast").unlink()
        control.resume("a") if free else run_queue.start_waiting()
        _finish("a")
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_a_zombie_does_not_count_as_training():
    run = creation.create_run(SMALL, "a")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    status.write(run.folder, "running", "", processes.identity(child.pid))
    assert store.open_run("a").is_live
    child.kill()
    _until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, 5)
    assert store.open_run("a").state == "crashed"
    child.wait()
    assert files.read_json(run.folder / "status.json")["state"] == "running", (
        "noticed without being written"
    )
