"""Runs as zip files: written for download, and taken back from an upload that nobody vouches for.

What resumes a run (state.pt) is not in the zip: an optimizer's memory is too easily made up to be worth the trust.
"""

from __future__ import annotations

import io
import json
import stat
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.errors import LimitError, RunError
from core.limits import Limits
from core.runs import events, files, loading, run_names, safe_zip, status, weights
from core.runs.disk_limits import check_limits
from core.runs.folders import checkpoints_folder, new_folder
from core.runs.run import (
    FORMAT,
    PARENT_FIELDS,
    Run,
    check_notes_and_tags,
    is_parent,
    parse_epochs,
    parse_runtime,
    parse_test,
    read_run,
)
from core.runs.run_names import check_name_is_free, find_free_name
from core.runs.store import open_run
from core.training.plan import plan

TEXTS = ("run.json", "status.json", "epochs.json", events.NAME)
TENSORS = ("last.pt", "best.pt")
_ENDINGS = ("finished", "stopped", "diverged", "failed")


def export_run(run: Run) -> bytes:
    """The run as a zip file: config, table, events and weights.

    Raises:
        RunError: its files cannot be read.
    """
    for _ in range(50):
        before = _times(run.folder)
        # A worker saves an epoch's weights first; of a run that nobody trains, the times tell only when it was copied.
        if not read_run(run.folder).is_live or before.get("last.pt", 0) <= before["epochs.json"]:
            contents = {name: (run.folder / name).read_bytes() for name in before}
            if _times(run.folder) == before:
                break
        time.sleep(0.02)
    else:
        raise RunError(f"{run.name} saves faster than it can be read; pause it first.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(f"{run.name}/{name}", data)
    return buffer.getvalue()


def read_zip(path: Path, limits: Limits | None = None) -> bytes:
    """A zip file from the disk, as `take_in` takes it; one that is too large is not read.

    Raises:
        LimitError: it is larger than what is taken in.
        RunError: it cannot be read.
    """
    try:
        _check_size(path.stat().st_size, limits or Limits.from_environment())
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"it cannot be read: {error.strerror}.") from None


def import_run(
    data: bytes, name: str | None = None, folder: Path | None = None, limits: Limits | None = None
) -> Run:
    """Make a run of an uploaded zip file; nothing in it is run, and nothing lands outside the new run's folder.

    Args:
        data: the zip file.
        name: what to call the run; None: its own name, with a number behind it if that is taken.
        folder: the checkpoints folder.
        limits: what the machine lends; None: from the environment.

    Raises:
        RunError: it is no run of this app, or damaged; the sentence says how.
        LimitError: it is larger than the machine lends.
    """
    from core.training import trainer  # noqa: F401 - torch takes seconds to load, which others should not wait for

    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    own, contents = _unpacked(data, limits)
    run = _run(_json(contents, "run.json"), limits)
    rows = parse_epochs(_json(contents, "epochs.json"))
    if not rows:
        run["runtime"] = None  # it will be started here, with what this machine decides
    ending = _json(contents, "status.json")
    state = ending.get("state") if isinstance(ending, Mapping) else None
    past = [_event(event) for event in events.parse(contents.get(events.NAME, b""))]
    shapes = weights.expected(plan(RunConfig.from_dict(run["config"])).rows)
    with files.lock_folder(folder):
        check_limits(folder, limits)
        name = name or find_free_name(own, folder)
        check_name_is_free(folder, run_names.check_name(name))
        with new_folder(folder, name) as place:
            files.write_json(place / "run.json", run)
            files.write_json(place / "epochs.json", [row.to_dict() for row in rows])
            files.write_bytes(
                place / events.NAME, b"".join(json.dumps(event).encode() + b"\n" for event in past)
            )
            status.write(
                place, state if state in _ENDINGS and rows else "stopped", "taken in from a file"
            )
            for which in TENSORS if rows else ():
                files.write_bytes(place / which, contents.get(which, b""))
                weights.check(place / which, shapes)
            made = read_run(place)
            for which in ("last", "best") if rows else ():
                loading.load_model(made, which)  # every value a number
    return open_run(name, folder)


def _unpacked(data: bytes, limits: Limits) -> tuple[str, dict[str, bytes]]:
    _check_size(len(data), limits)
    most = limits.max_upload_mb * 1_000_000
    contents: dict[str, bytes] = {}
    places = set()
    with safe_zip.opened(io.BytesIO(data), "the zip", 2 * len(TEXTS + TENSORS)) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith("/"):
                continue
            place, _, file = entry.filename.rpartition("/")
            if (
                file not in TEXTS + TENSORS
                or file in contents
                or "/" in place
                or "\\" in entry.filename
                or stat.S_ISLNK(entry.external_attr >> 16)
                or entry.flag_bits & 1
                or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            ):
                raise RunError(f"{entry.filename[:60]!r} does not belong into a run's zip.")
            places.add(place)
            # What it says of its size may be a lie, so no more than what is left is ever unpacked.
            with archive.open(entry) as part:
                contents[file] = part.read(most + 1)
            most -= len(contents[file])
            if most < 0:
                raise LimitError(
                    f"unpacked, the zip has more than the {limits.max_upload_mb} MB that are taken in "
                    "(INKLING_MAX_UPLOAD_MB)."
                )
    if len(places) != 1:
        raise RunError("the zip does not hold one run.")
    return places.pop() or "run", contents


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.max_upload_mb * 1_000_000:
        raise LimitError(
            f"the file has {size / 1e6:,.0f} MB; up to {limits.max_upload_mb} MB are taken in "
            "(INKLING_MAX_UPLOAD_MB)."
        )


def _json(contents: Mapping[str, bytes], name: str) -> Any:
    if name not in contents:
        raise RunError(f"{name} is missing.")
    return files.parse_json(contents[name], name)


def _run(values: Any, limits: Limits) -> dict[str, Any]:
    """run.json anew, from those of its values that are what they should be."""
    if not isinstance(values, Mapping) or "config" not in values:
        raise RunError("run.json is not a run of this app.")
    if values.get("format") != FORMAT:
        raise RunError(
            f"it was written in format {str(values.get('format'))[:20]} by another version of the app; this "
            f"one reads format {FORMAT}."
        )
    config = RunConfig.from_dict(values["config"])
    plan(config, limits)
    parent, recipe, notes = values.get("parent"), values.get("recipe"), values.get("notes")
    tags = values.get("tags")
    tags = tuple(tags) if isinstance(tags, list) else ()
    check_notes_and_tags(notes, tags)
    runtime = parse_runtime(values)
    parse_test(values.get("test"))
    return {
        "format": FORMAT,
        "created": status.parse_time(values.get("created")).isoformat(timespec="milliseconds"),
        "config": config.to_dict(),
        "recipe": recipe[:80] if isinstance(recipe, str) else None,
        "parent": {name: parent[name] for name in PARENT_FIELDS}
        if parent and is_parent(parent)
        else None,
        "notes": notes,
        "tags": list(tags),
        "runtime": runtime.to_dict() if runtime else None,
        "test": values.get("test"),
    }


def _event(event: events.Event) -> dict[str, Any]:
    known = {
        "kind": event["kind"][:40],
        **{name: event[name] for name in ("time", "epoch", "step")},
    }
    if event["kind"] == "batch":
        known |= {name: event[name] for name in ("steps", "loss", "lr")}
    if isinstance(event.get("message"), str):
        known["message"] = event["message"]
    return known


def _times(folder: Path) -> dict[str, int]:
    return {
        name: (folder / name).stat().st_mtime_ns
        for name in TEXTS + TENSORS
        if (folder / name).exists()
    }
