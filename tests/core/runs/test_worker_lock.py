"""A worker holds a lock for as long as it lives, so that no second one starts in its folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import RunError
from core.runs import control, creation, jobs, processes, run_queue, status, store, worker

HOLD = """
import sys
from pathlib import Path
from core.runs.jobs import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def misjudged(tiny):
    """A run whose worker lives, though its status names a process that does not."""
    run = creation.create_run(tiny, "a")
    path = run.folder / status.WORKER_LOCK
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(worker.__file__).parents[2],
    )
    assert holder.stdout.readline() == b"held\n"
    other = processes.ProcessId(os.getppid(), "another boot/1")
    status.write(run.folder, "running", "", other)
    yield run
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()


def test_a_worker_that_holds_its_lock_counts_as_alive(misjudged, digits, monkeypatch):
    monkeypatch.setattr(run_queue, "start_worker", lambda folder: pytest.fail("a second worker"))
    assert store.open_run("a").state == "running"
    for action in (control.resume, run_queue.submit):
        with pytest.raises(RunError, match="already training"):
            action("a")
    before = {path.name: path.read_bytes() for path in misjudged.folder.iterdir()}
    assert worker.train(misjudged.folder, digits) == "running"
    assert {path.name: path.read_bytes() for path in misjudged.folder.iterdir()} == before


def test_a_worker_that_dies_frees_its_lock(misjudged, digits):
    path = misjudged.folder / status.WORKER_LOCK
    assert jobs.is_locked(path)
    # The fixture's process is the only holder; a new lock is free once that is gone.
    path.unlink()
    assert not jobs.is_locked(path)
    assert store.open_run("a").state == "crashed"
    assert worker.train(misjudged.folder, digits) == "finished"
    assert not jobs.is_locked(path)


def test_a_stopped_run_can_be_resumed_at_once(tiny, digits, monkeypatch):
    """The lock is free when the status says that the run has stopped."""
    run = creation.create_run(tiny, "a")
    locked = []
    real = status.write

    def write(folder, state, *more):
        locked.append((state, jobs.is_locked(folder / status.WORKER_LOCK)))
        real(folder, state, *more)

    monkeypatch.setattr(status, "write", write)
    assert worker.train(run.folder, digits) == "finished"
    assert locked[-1] == ("finished", False)
    assert ("running", True) in locked
