"""status.json: who trains a run and how it ended, and what is asked of the worker (request.json).

While a worker lives, it alone writes the status; everyone else asks. Before and after, whoever holds the lock of
the checkpoints folder does.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import RunError
from core.runs import files, jobs
from core.runs.processes import ProcessId

STATES = (
    "queued",
    "running",
    "pausing",
    "paused",
    "finished",
    "stopped",
    "diverged",
    "failed",
    "crashed",
)
LIVE_STATES = ("running", "pausing")
RESUMABLE_STATES = ("paused", "stopped", "failed", "crashed")
ACTIONS = ("stop", "pause", "pause-after-epoch")
MIN_LR_FACTOR, MAX_LR_FACTOR = 0.001, 1_000.0  # of the learning rate
LOG = "log.txt"


@dataclass(frozen=True, slots=True)
class Status:
    """A run's state as it really is, dead processes noticed."""

    state: str
    message: str
    updated: datetime
    pid: int | None
    pid_started: str | None

    @property
    def is_live(self) -> bool:
        """Whether a process is training."""
        return self.state in LIVE_STATES


def read(folder: Path) -> Status:
    """The status of a run's folder.

    Raises:
        RunError: status.json is missing or damaged.
    """
    value = files.read_json(folder / "status.json")
    if (
        not isinstance(value, Mapping)
        or value.get("state") not in STATES
        or not isinstance(value.get("message"), str)
    ):
        raise RunError("status.json is damaged: it names no state.")
    state, message, pid, started = (
        value["state"],
        value["message"],
        value.get("pid"),
        value.get("pid_started"),
    )
    if state in LIVE_STATES:
        if not jobs.is_alive(value):
            state, message = "crashed", _last_words(folder)
        elif (asked := read_request(folder)) is not None:
            state, message = {
                "pause": ("pausing", message),
                "stop": (state, "stopping"),
                "pause-after-epoch": (state, "pauses at the end of the epoch"),
            }[asked]
    return Status(state, message, parse_time(value.get("updated")), pid, started)


def write(folder: Path, state: str, message: str = "", process: ProcessId | None = None) -> None:
    """Record a state; `process` is the one that trains."""
    pid, started = process or (None, None)
    files.write_json(
        folder / "status.json",
        {
            "state": state,
            "message": message[:2_000],
            "pid": pid,
            "pid_started": started,
            "updated": current_time(),
        },
    )


def write_request(folder: Path, action: str, **more: Any) -> None:
    """Ask the worker for one of ACTIONS; a later request takes the place of an earlier one."""
    files.write_json(folder / "request.json", {"action": action, **more})


def read_request(folder: Path) -> str | None:
    """What is asked of the worker at present, if anything."""
    action = _asked(folder / "request.json", "action")
    return action if action in ACTIONS else None


def clear_request(folder: Path) -> None:
    """Take back whatever is asked of the worker."""
    with contextlib.suppress(FileNotFoundError):
        (folder / "request.json").unlink()


def write_lr_factor(folder: Path, factor: float) -> None:
    """Ask the worker to multiply the schedule's learning rate by a factor from now on."""
    files.write_json(folder / "rate.json", {"factor": factor})


def read_lr_factor(folder: Path) -> float | None:
    """The factor asked for and not yet applied, if any."""
    factor = _asked(folder / "rate.json", "factor")
    return (
        factor if isinstance(factor, float) and MIN_LR_FACTOR <= factor <= MAX_LR_FACTOR else None
    )


def clear_lr_factor(folder: Path) -> None:
    """Take note that the factor is applied and saved."""
    with contextlib.suppress(FileNotFoundError):
        (folder / "rate.json").unlink()


def read_log_tail(folder: Path, lines: int = 20) -> str:
    """The last lines that a run's worker printed."""
    return jobs.last_lines(folder / LOG, lines)


def current_time() -> str:
    """The time as our files hold it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def parse_time(text: Any) -> datetime:
    """A time from one of our files.

    Raises:
        RunError: it is none.
    """
    try:
        value = datetime.fromisoformat(text)
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise RunError(f"{str(text)[:40]!r} is no time.") from None


def _asked(path: Path, name: str) -> Any:
    """The named value of a request's file; None where there is none that can be read."""
    if not path.exists():
        return None
    try:
        value = files.read_json(path)
    except RunError:
        return None
    return value.get(name) if isinstance(value, Mapping) else None


def _last_words(folder: Path) -> str:
    words = read_log_tail(folder, 1).strip()
    if not words and shutil.disk_usage(folder).free < files.RESERVE_BYTES:
        words = str(files.disk_full_error(folder / LOG))  # which is why it could not say so itself
    said = (
        f" its last words were: {words}"
        if words
        else " it said nothing (killed, or the machine went down)."
    )
    return f"its process ended without finishing;{said}"
