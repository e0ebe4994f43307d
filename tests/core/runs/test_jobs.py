"""Background jobs: apart from their terminal, known by pid and start, and heard when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from core.errors import RunError, UserError
from core.runs import jobs, processes, run_queue


def wait_until(condition) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_runs_worker_is_reaped_and_has_a_session_of_its_own(tmp_path):
    pid, started = run_queue.start_worker(tmp_path)  # an empty folder, so it ends at once
    assert started
    assert os.getsid(pid) == pid
    wait_until(lambda: not psutil.pid_exists(pid))
    assert "run.json" in (tmp_path / "log.txt").read_text()


def test_a_job_survives_the_terminal_it_was_started_from(tmp_path):
    script = (
        "import pathlib, signal, sys, time; from core.runs import jobs\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # also where nohup runs the tests
        "log = pathlib.Path(sys.argv[1])\n"
        "process = jobs.start('http.server', '0', '--bind', '127.0.0.1', log=log)\n"
        "print(*process, flush=True); time.sleep(60)"
    )
    shell = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")],
        cwd=processes.ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    pid, started = shell.stdout.readline().split()
    try:
        os.killpg(shell.pid, signal.SIGHUP)  # as a terminal does when it is closed
        assert shell.wait(30) == -signal.SIGHUP
        time.sleep(0.2)
        assert processes.is_alive(int(pid), started)
    finally:
        shell.stdout.close()
        os.kill(int(pid), signal.SIGKILL)


def test_on_windows_a_job_has_a_console_of_its_own(tmp_path, monkeypatch):
    options = {}

    class Popen:
        pid = os.getpid()

        def __init__(self, command, **given):
            options.update(given)

        def wait(self):
            return 0

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x8000000, raising=False)
    monkeypatch.setattr(subprocess, "Popen", Popen)
    jobs.start("core.runs.worker", log=tmp_path / "log")
    assert options["creationflags"] == 0x8000200
    assert "start_new_session" not in options


def test_a_process_that_cannot_be_started_is_an_error_in_words(tmp_path, monkeypatch):
    with pytest.raises(RunError, match="No such file"):
        jobs.start("core.runs.worker", log=tmp_path / "missing" / "log")

    def popen(*given, **options):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(RunError, match="Resource temporarily unavailable"):
        jobs.start("core.runs.worker", log=tmp_path / "log")


def test_a_job_is_alive_until_its_process_ends(tmp_path, monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(jobs, "start", lambda *given, log: processes.identity(child.pid))
    job = jobs.Job(tmp_path / "jobs", "a.b")
    assert not job.was_started
    assert not job.is_alive
    try:
        job.start("core.sweeps.worker")
        assert job.was_started
        assert job.is_alive
    finally:
        child.kill()
        child.wait()
    assert not job.is_alive
    job.remove()
    assert not job.was_started


@pytest.mark.parametrize("record", [None, [], {}, {"pid": 1}, {"pid": "1", "pid_started": 1}])
def test_a_record_that_names_no_process_is_dead(record):
    assert not jobs.is_alive(record)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", ""),
        ("made-001: 99 %\n", ""),
        ("made-001: 99 %\nError: no data.\n", "no data."),
        ("Traceback\n  ...\nModuleNotFoundError: No module\n", "ModuleNotFoundError: No module"),
        ("numba.core.errors.TypingError: failed", "numba.core.errors.TypingError: failed"),
        ("Error: " + "x" * 1_000, "x" * 300),
    ],
)
def test_the_last_error_is_the_logs_last_line(tmp_path, text, error):
    log = tmp_path / "log"
    log.write_text(text)
    assert jobs.last_error(log) == error[:300]
    assert jobs.last_error(tmp_path / "missing") == ""


def test_of_a_long_log_only_the_end_is_read(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"\xff" * 1_000_000 + b"\nlast")
    assert jobs.last_lines(log, 1) == "last"
    assert len(jobs.last_lines(log, 9)) <= jobs.LOG_BYTES


@pytest.mark.parametrize(
    ("error", "status", "last"),
    [
        (UserError("no data."), 1, "Error: no data."),
        (ValueError("a\nb"), 1, "Error: ValueError: a b"),
        (KeyboardInterrupt(), 130, ""),
        (None, 0, ""),
    ],
)
def test_an_error_becomes_the_last_line_of_the_log(capsys, error, status, last):
    def work() -> None:
        if error is not None:
            raise error

    assert jobs.run(work) == status
    assert (capsys.readouterr().out.splitlines() or [""])[-1] == last


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_interrupts_like_ctrl_c(number):
    def work() -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    before = signal.signal(number, signal.SIG_DFL)  # nohup may have it ignored
    try:
        assert jobs.run(work) == 130
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with jobs.interrupt_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_lock_has_one_holder_and_is_free_when_that_dies(tmp_path):
    script = (
        "import sys, time, pathlib; from core.runs import jobs\n"
        "with jobs.hold_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    path = tmp_path / ".lock"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], cwd=processes.ROOT, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="another process"), jobs.hold_lock(path):
            pass
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    with jobs.hold_lock(path):
        pass
