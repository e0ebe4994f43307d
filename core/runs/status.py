"""A run's status (status.json), and requests to its worker (request.json, rate.json).

While a worker lives, only it writes the status; others write requests. Before and after that, the
holder of the checkpoints folder's lock writes it. Must not import torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import RunError
from core.runs import files, jobs
from core.runs.processes import ProcessId
from core.runs.run_schema import clean_text

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
# Windows has local times only from 1970 to 3000; others overflow at the ends of the calendar.
EARLIEST, LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
LOG = "log.txt"
WORKER_LOCK = ".worker.lock"  # held by a worker for as long as it lives


@dataclass(frozen=True, slots=True)
class Status:
    """A run's state, where a dead process counts as a crash."""

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
    """Read the status of a run's folder.

    Raises:
        RunError: status.json is missing or damaged.
    """
    value = files.read_json(folder / "status.json")
    if (
        not isinstance(value, Mapping)
        or value.get("state") not in STATES
        or not isinstance(value.get("message"), str)
    ):
        raise RunError("status.json is damaged: it has no valid state.")
    state, message, pid, started = (
        value["state"],
        clean_text(value["message"]),
        value.get("pid"),
        value.get("pid_started"),
    )
    if state in LIVE_STATES:
        if not jobs.is_alive(value) and not jobs.is_locked(folder / WORKER_LOCK):
            state, message = "crashed", _describe_crash(folder)
        elif (request := read_request(folder)) is not None:
            state, message = {
                "pause": ("pausing", message),
                "stop": (state, "stopping"),
                "pause-after-epoch": (state, "will pause at the end of the epoch"),
            }[request]
    return Status(state, message, parse_time(value.get("updated")), pid, started)


def write(folder: Path, state: str, message: str = "", process: ProcessId | None = None) -> None:
    """Write the status of a run.

    Args:
        folder: the run's folder.
        state: one of STATES.
        message: why it is in this state.
        process: the process that trains it, if any.
    """
    pid, started = process or (None, None)
    files.write_json(
        folder / "status.json",
        {
            "state": state,
            "message": clean_text(message),
            "pid": pid,
            "pid_started": started,
            "updated": current_time(),
        },
    )


def write_request(folder: Path, action: str, **more: Any) -> None:
    """Request one of ACTIONS from the worker; a later request replaces an earlier one."""
    files.write_json(folder / "request.json", {"action": action, **more})


def read_request(folder: Path) -> str | None:
    """Return the pending request to the worker, if any."""
    action = _read_value(folder / "request.json", "action")
    return action if action in ACTIONS else None


def clear_request(folder: Path) -> None:
    """Withdraw the pending request."""
    files.remove_file(folder / "request.json")


def write_lr_factor(folder: Path, factor: float) -> None:
    """Request that the learning rate of the schedule be multiplied by a factor from now on."""
    files.write_json(folder / "rate.json", {"factor": factor})


def read_lr_factor(folder: Path) -> float | None:
    """Return the requested factor of the learning rate, if it is not applied yet."""
    factor = _read_value(folder / "rate.json", "factor")
    return (
        factor if isinstance(factor, float) and MIN_LR_FACTOR <= factor <= MAX_LR_FACTOR else None
    )


def clear_lr_factor(folder: Path) -> None:
    """Remove the requested factor, once it is applied and saved."""
    files.remove_file(folder / "rate.json")


def read_log_tail(folder: Path, lines: int = 20) -> str:
    """Return the last lines that a run's worker printed."""
    return jobs.last_lines(folder / LOG, lines)


def current_time() -> str:
    """Return the current time as ISO 8601 text in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def parse_time(text: Any) -> datetime:
    """Parse an ISO 8601 time; without a time zone, it is in UTC.

    Raises:
        RunError: the text is not a time, or not one that every system can show in its time zone.
    """
    try:
        value = datetime.fromisoformat(text)
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        if not EARLIEST <= value < LATEST:
            raise ValueError
        return value
    except (TypeError, ValueError, OverflowError):
        raise RunError(f"{str(text)[:40]!r} is not a time.") from None


def _read_value(path: Path, name: str) -> Any:
    """Return one value of a request's file; None where it is missing or damaged."""
    if not path.exists():
        return None
    try:
        value = files.read_json(path)
    except RunError:
        return None
    return value.get(name) if isinstance(value, Mapping) else None


def _describe_crash(folder: Path) -> str:
    """Return why a worker ended without a final status, as far as its log tells."""
    line = clean_text(read_log_tail(folder, 1), 300)
    if not line and shutil.disk_usage(folder).free < files.RESERVE_BYTES:
        line = str(files.disk_full_error(folder / LOG))  # too full even for a line of the log
    if line:
        return f"its process ended unexpectedly; the last line of its log: {line}"
    return "its process ended unexpectedly and logged nothing (killed, or the machine went down)."
