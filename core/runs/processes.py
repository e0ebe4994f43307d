"""Identify processes by pid and start, since a pid alone may be reused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[2]
# Where the start is not counted in ticks, the system may correct it a little.
START_TOLERANCE = 1.5  # seconds
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT_TIME = psutil.boot_time()


class ProcessId(NamedTuple):
    """A process of this machine; the names of the fields are those of our JSON files."""

    pid: int
    pid_started: str
    """Start of the process, independent of the clock; "" for a process that is gone."""


def identity(pid: int | None = None) -> ProcessId:
    """Identify a process, by default this one."""
    pid = os.getpid() if pid is None else pid
    try:
        return ProcessId(pid, _start_of(psutil.Process(pid)))
    except psutil.Error:
        return ProcessId(pid, "")


def is_alive(pid: object, pid_started: object) -> bool:
    """Whether the process of that pid and start still runs; a zombie does not."""
    if type(pid) is not int or not 0 < pid < 2**31 or not isinstance(pid_started, str):
        return False
    try:
        process = psutil.Process(pid)
        ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return not ended and _is_same_start(_start_of(process), pid_started)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True  # it exists, but belongs to another user


def _start_of(process: psutil.Process) -> str:
    """The start of a process, as a value that stays the same when the clock is set.

    On Linux the boot's id and the clock ticks from boot to start; elsewhere seconds since 1970 by
    the clock at that time: psutil moves them along with the boot time, which is undone here.
    """
    if not _BOOT_ID.exists():
        return f"{process.create_time() - (psutil.boot_time() - _BOOT_TIME):.2f}"
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise psutil.NoSuchProcess(process.pid) from None
    # Field 22 of proc_pid_stat(5); the command's name before it may hold spaces and brackets.
    return f"{_BOOT_ID.read_text(encoding='ascii').strip()}/{stat.rpartition(')')[2].split()[19]}"


def _is_same_start(start: str, other: str) -> bool:
    if start == other:
        return True
    try:
        return abs(float(start) - float(other)) < START_TOLERANCE
    except ValueError:
        return False  # counted in ticks, which are exact
