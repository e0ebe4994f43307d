"""Processes that train: starting one that outlives its starter, and telling a live one from a dead one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
# A start time is told in hundredths of a second, counted from a moment that the system's clock may correct a little.
START_TOLERANCE = 1.5


def identity(pid: int | None = None) -> tuple[int, float]:
    """Pid and start time (seconds since 1970) of a process, by default this one; start 0 when it is gone already."""
    try:
        process = psutil.Process(pid)
        return process.pid, process.create_time()
    except psutil.Error:
        return pid or os.getpid(), 0.0


def alive(pid: object, started: object) -> bool:
    """Whether the process of that pid and start time still runs; a zombie does not."""
    if type(pid) is not int or not isinstance(started, int | float) or pid < 1:
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < START_TOLERANCE and process.status() not in (
            psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True  # it is there, but belongs to someone else


def start(run_folder: Path) -> tuple[int, float]:
    """Start a worker for a run, in a session of its own, so that it outlives this process and its terminal.

    Returns:
        Pid and start time.

    Raises:
        OSError: the system starts no more processes.
    """
    with open(run_folder / "log.txt", "ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "core.runs.worker", str(run_folder)], cwd=ROOT,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                   start_new_session=True)
    # Whoever starts a process must take note of its end, or it stays in the process table as a zombie.
    threading.Thread(target=process.wait, name=f"reaper-{process.pid}", daemon=True).start()
    return identity(process.pid)
