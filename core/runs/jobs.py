"""Background jobs: a module of ours in a process of its own, with its output in a log file.

The runs' worker, the learning-rate range test and the sweeps' worker are started, watched and
asked for their last error here. Must not import torch at module level.
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from core.errors import RunError, UserError
from core.runs import files, processes
from core.runs.processes import ProcessId

LOG_BYTES = 4_000
_ERROR = re.compile(r"(?:[\w.]*\.)?\w*(?:Error|Exception): ")


def start(module: str, *arguments: str | Path, log: Path, append: bool = False) -> ProcessId:
    """Start `python -m MODULE ARGUMENTS` so that it outlives this process and its terminal.

    Args:
        module: name of a module of this project.
        arguments: command-line arguments.
        log: file for its output.
        append: whether to keep what the log holds already.

    Raises:
        RunError: the system starts no more processes, or the log cannot be written.
    """
    # Closing a terminal ends its session; closing a console, on Windows, ends what shares it.
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        apart = {"creationflags": flags}
    try:
        with open(log, "ab" if append else "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                cwd=processes.ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **apart,
            )
    except OSError as error:
        raise RunError(f"no process could be started: {error.strerror}.") from None
    # A process that nobody waits for stays in the process table as a zombie.
    threading.Thread(target=process.wait, name=f"reaper-{process.pid}", daemon=True).start()
    return processes.identity(process.pid)


def is_alive(record: object) -> bool:
    """Whether the process still runs that a JSON record names under `pid` and `pid_started`."""
    return isinstance(record, Mapping) and processes.is_alive(
        record.get("pid"), record.get("pid_started")
    )


def last_lines(log: Path, count: int = 20) -> str:
    """The last lines of a log, of at most 4,000 bytes; "" where there is no log."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - LOG_BYTES))
            text = file.read(LOG_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def last_error(log: Path) -> str:
    """The error message on the last line of a log, at most 300 characters; "" for none."""
    line = last_lines(log, 1).strip()
    return line.removeprefix("Error: ")[:300] if _ERROR.match(line) else ""


def run(work: Callable[[], object]) -> int:
    """Do the work of a background process; an error becomes the last line of its log.

    Returns:
        The exit status.
    """
    try:
        with interrupt_on_signals():
            work()
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        print(f"Error: {error}", flush=True)
        return 1
    except Exception as error:  # the log is all that whoever waits can read
        traceback.print_exc()
        print(f"Error: {type(error).__name__}: {' '.join(str(error).split())[:200]}", flush=True)
        return 1
    return 0


@contextlib.contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Handle SIGTERM, and SIGHUP of a terminal that is closed, like Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # What nohup has set stays.
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def hold_lock(path: Path, seconds: float = 0) -> Iterator[None]:
    """Hold a file's lock while this process works; the system frees it when the process dies.

    Args:
        path: the lock file, which stays.
        seconds: how long to wait for the lock.

    Raises:
        RunError: another process holds it, or it cannot be taken.
    """
    lock = filelock.FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunError(f"another process works on {path.parent.name} already.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be locked: {error.strerror}.") from None
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds a file's lock."""
    if not path.is_file():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder that cannot be written, where no worker can be either
        return False


@dataclass(frozen=True, slots=True)
class Job:
    """A background process known by two files: NAME.json with its pid, NAME.log with its output."""

    folder: Path
    name: str

    @property
    def log(self) -> Path:
        """The file with the output."""
        return self.folder / f"{self.name}.log"

    @property
    def record(self) -> Path:
        """The file with the pid."""
        return self.folder / f"{self.name}.json"

    @property
    def was_started(self) -> bool:
        """Whether the job was ever started."""
        return self.record.exists()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        try:
            return is_alive(files.read_json(self.record))
        except RunError:
            return False

    @property
    def last_error(self) -> str:
        """The error that ended the process; "" for none."""
        return last_error(self.log)

    def start(self, module: str, *arguments: str | Path) -> None:
        """Start the process and record its pid.

        Raises:
            RunError: as `jobs.start`.
        """
        self.folder.mkdir(exist_ok=True)
        process = start(module, *arguments, log=self.log)
        files.write_json(self.record, process._asdict())

    def remove(self) -> None:
        """Delete both files."""
        self.record.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
