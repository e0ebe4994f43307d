"""A run's events: one JSON line each, appended by the worker and polled by pages.

Every event has `kind`, `time` (seconds since 1970), `epoch` (from 1) and `step` (steps done in that
epoch). Kinds: started, resumed, batch (`steps` per epoch, `loss`: mean since the last batch event,
`lr`), epoch (`row`), update (as `StepSizes`), rate (`factor`), warning, paused, stopped, finished,
diverged, failed. Must not import torch.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.runs import files
from core.runs.run_schema import EVENT_FIELDS
from core.schema import SchemaError, check_object

NAME = "events.jsonl"
MAX_BYTES = 32_000_000
MAX_LINE = 32_000  # a message of 2,000 characters that JSON escapes has 24,000 bytes
Event = Mapping[str, Any]


def format_event(kind: str, epoch: int, step: int, **values: Any) -> bytes:
    """Return an event as a line of the file."""
    event = {"kind": kind, "time": round(time.time(), 3), "epoch": epoch, "step": step, **values}
    return json.dumps(event, allow_nan=False).encode() + b"\n"


def read(path: Path) -> list[Event]:
    """Read all events of a file, oldest first, without damaged lines and an unfinished last one.

    Only what was added since the last call in this process is read from the disk.
    """
    try:
        stat = path.stat()
    except OSError:
        return []
    with _lock:
        known = _read.pop(path, None)
        if known is None or known.inode != stat.st_ino or known.offset > stat.st_size:
            known = _Read(stat.st_ino, 0, [])
        _read[path] = known
        while len(_read) > _READ_MOST:
            del _read[next(iter(_read))]
        if stat.st_size > known.offset and known.offset < MAX_BYTES:
            with open(path, "rb") as file:
                file.seek(known.offset)
                added = file.read(MAX_BYTES - known.offset)
            whole = added[: added.rfind(b"\n") + 1]
            known.offset += len(whole)
            known.events.extend(parse(whole))
        return list(known.events)


def parse(data: bytes) -> list[Event]:
    """Return the events in some lines; lines that are not events are left out."""
    events = []
    for text in data.split(b"\n"):
        if not 2 <= len(text) <= MAX_LINE:
            continue
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            continue
        checked = _check(event)
        if checked is not None:
            events.append(checked)
    return events


def rewind(path: Path, epoch: int, step: int, rows: int) -> list[Event]:
    """Cut a file back to where a run resumes; damaged lines are removed too.

    Args:
        path: the events file; created if missing.
        epoch, step: where the run resumes; later events will happen again.
        rows: number of epochs in the table; later epoch events will happen again too.

    Returns:
        The events that are left.
    """
    data = path.read_bytes()[:MAX_BYTES] if path.exists() else b""
    kept = [
        event
        for event in parse(data[: data.rfind(b"\n") + 1])
        if (event["epoch"], event["step"]) <= (epoch, step)
        and (event["kind"] != "epoch" or event["epoch"] <= rows)
    ]
    # A new file, so that readers that were past this point notice.
    files.write_bytes(path, b"".join(json.dumps(event).encode() + b"\n" for event in kept))
    return kept


def _check(event: Any) -> Event | None:
    """Return an event with the values that its kind has; None for anything else."""
    kind = event.get("kind") if isinstance(event, Mapping) else None
    if not isinstance(kind, str) or kind not in EVENT_FIELDS:
        return None
    try:
        return check_object(event, EVENT_FIELDS[kind], drop_unknown=True)
    except SchemaError:
        return None


@dataclass
class _Read:
    inode: int
    offset: int
    events: list[Event]


_read: dict[Path, _Read] = {}
_READ_MOST = 16
_lock = threading.Lock()
