"""Processes of our own: starting one that outlives its starter, and telling a live one from a dead one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

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
            psutil.STATUS_ZOMBIE,
            psutil.STATUS_DEAD,
        )
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True  # it is there, but belongs to someone else


def start(run_folder: Path) -> tuple[int, float]:
    """Start a worker for a run; as `launch`."""
    return launch("core.runs.worker", run_folder, log=run_folder / "log.txt", mode="ab")


def launch(
    module: str, *arguments: str | Path, log: Path, mode: Literal["ab", "wb"] = "wb"
) -> tuple[int, float]:
    """Start `python -m MODULE ARGUMENTS` in a session of its own, so that it outlives this process and its terminal.

    Args:
        module: of this project.
        arguments: of its command line.
        log: the file for what it prints.
        mode: whether to write behind what stands there, or anew.

    Returns:
        Pid and start time.

    Raises:
        OSError: the system starts no more processes, or the log cannot be written.
    """
    with open(log, mode) as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Whoever starts a process must take note of its end, or it stays in the process table as a zombie.
    threading.Thread(target=process.wait, name=f"reaper-{process.pid}", daemon=True).start()
    return identity(process.pid)
