"""Processes are recognised by what no clock can move."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from core.runs import processes


def str_of(value: object) -> str:
    """A short test id."""
    return (
        repr(value)[:12]
        if not isinstance(value, int)
        else f"{type(value).__name__} of {value.bit_length()} bits"
    )


def test_this_process_is_alive_and_another_start_is_another_process():
    pid, started = processes.identity()
    assert pid == os.getpid()
    assert processes.is_alive(pid, started)
    assert not processes.is_alive(pid, started + "1"), "the pid was given to another process since"


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_clock_that_is_set_makes_no_process_another(monkeypatch, seconds):
    pid, started = processes.identity()
    boot_time, create_time = psutil.boot_time, psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time() + seconds)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: create_time(self) + seconds)
    assert processes.is_alive(pid, started)


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_clock_that_is_set_makes_no_process_another_without_proc(monkeypatch, tmp_path, seconds):
    # Stands for macOS and Windows, where psutil moves start times along with the boot time.
    monkeypatch.setattr(processes, "_BOOT_ID", tmp_path / "missing")
    test_a_clock_that_is_set_makes_no_process_another(monkeypatch, seconds)
    pid, started = processes.identity()
    assert processes.is_alive(pid, f"{float(started) + 0.3:.2f}")
    assert not processes.is_alive(pid, f"{float(started) - 60:.2f}")


def test_a_zombie_is_dead():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        pid, started = processes.identity(process.pid)
        until = time.monotonic() + 10
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
            time.sleep(0.01)
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert not processes.is_alive(pid, started)
    finally:
        process.wait()
    assert not processes.is_alive(pid, started)


@pytest.mark.parametrize("pid", [None, "1", -1, 0, True, 2**60, 10**400], ids=str_of)
def test_a_pid_that_is_not_one_names_no_process(pid):
    assert not processes.is_alive(pid, "")


@pytest.mark.parametrize("started", [None, 1.5, 10**400, "9" * 400, "nan", ""], ids=str_of)
def test_a_start_that_is_not_one_names_no_process(started):
    assert not processes.is_alive(os.getpid(), started)
