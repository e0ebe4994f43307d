import os
import subprocess
import sys
import time

import psutil

from core.runs import processes


def test_this_process_is_alive_and_another_start_time_is_another_process():
    pid, started = processes.identity()
    assert pid == os.getpid()
    assert processes.alive(pid, started)
    assert not processes.alive(pid, started - 60), "the pid was given to another process since"


def test_a_zombie_is_dead():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        pid, started = processes.identity(process.pid)
        until = time.monotonic() + 10
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
            time.sleep(0.01)
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert not processes.alive(pid, started)
    finally:
        process.wait()
    assert not processes.alive(pid, started)


def test_what_is_no_process_is_dead():
    for pid, started in [
        (None, None),
        ("1", 0.0),
        (-1, 0.0),
        (0, 0.0),
        (True, 1.0),
        (2**60, 1.0),
        (os.getpid(), None),
    ]:
        assert not processes.alive(pid, started)


def test_a_worker_is_reaped_and_stands_in_a_session_of_its_own(tmp_path):
    pid, started = processes.start(tmp_path)  # an empty folder: it says so and ends
    assert started > 0
    assert os.getsid(pid) == pid
    until = time.monotonic() + 30
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid), "it stays as a zombie"
    assert "damaged: run.json is missing" in (tmp_path / "log.txt").read_text()
