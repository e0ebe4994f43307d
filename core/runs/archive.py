"""Runs as zip files: written for download, and imported from an upload that cannot be trusted.

Everything in an upload is checked before the lock of the checkpoints folder is taken. The state to
resume from (state.pt) is neither exported nor imported, since it is a torch file.
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
from core.regular_files import read_regular_file
from core.runs import events, files, safe_zip, status, weights
from core.runs.disk_limits import check_limits
from core.runs.folders import checkpoints_folder, new_folder
from core.runs.run import (
    FORMAT,
    PARENT_FIELDS,
    WHICH_WEIGHTS,
    Run,
    check_format,
    check_notes_and_tags,
    is_parent,
    parse_epochs,
    parse_runtime,
    parse_test,
    read_run,
)
from core.runs.run_names import check_name, check_name_is_free, find_free_name
from core.runs.store import open_run
from core.training.plan import plan

TEXTS = ("run.json", "status.json", "epochs.json", events.NAME)
TENSORS = tuple(f"{which}{weights.SUFFIX}" for which in WHICH_WEIGHTS)
OLD_TENSORS = tuple(f"{which}{weights.OLD_SUFFIX}" for which in WHICH_WEIGHTS)
_FINAL_STATES = ("finished", "stopped", "diverged", "failed")


def export_run(run: Run) -> bytes:
    """Return a run as a zip file: config, epoch table, events and weights.

    Raises:
        RunError: its files cannot be read.
    """
    for _ in range(50):
        before = _read_times(run.folder)
        # A worker saves the weights of an epoch before its row; of a run that is not training, the
        # times only tell when it was copied.
        saved = before.get(TENSORS[0], 0) <= before["epochs.json"]
        if saved or not read_run(run.folder).is_live:
            contents = {name: (run.folder / name).read_bytes() for name in before}
            if _read_times(run.folder) == before:
                break
        time.sleep(0.02)
    else:
        raise RunError(f"{run.name} changes faster than it can be read; pause it first.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(f"{run.name}/{name}", data)
    return buffer.getvalue()


def read_zip(path: Path, limits: Limits | None = None) -> bytes:
    """Read a zip file for `import_run`; one that is too large is not read.

    Raises:
        LimitError: it is larger than an upload may be.
        RunError: it cannot be read.
    """
    try:
        limits = limits or Limits.from_environment()
        _check_size(path.stat().st_size, limits)
        return read_regular_file(path, limits.max_upload_mb * 1_000_000)
    except OSError as error:
        raise RunError(f"it cannot be read: {error.strerror}.") from None


def import_run(
    data: bytes, name: str | None = None, folder: Path | None = None, limits: Limits | None = None
) -> Run:
    """Create a run from an uploaded zip file.

    Nothing in it is executed, and nothing is written outside the new run's folder.

    Args:
        data: the zip file.
        name: name of the new run; None: its own name, with a number added if that is taken.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        limits: limits of this machine; None: from the environment.

    Raises:
        RunError: it is not a run of this app, or damaged; the message says how.
        LimitError: it is larger than the limits allow.
    """
    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    own_name, contents = _unpack(data, limits)
    run = _rebuild_run(_parse(contents, "run.json"), limits)
    rows = parse_epochs(_parse(contents, "epochs.json"))
    if not rows:
        run["runtime"] = None  # it will be started here, with what this machine decides
    ending = _parse(contents, "status.json")
    state = ending.get("state") if isinstance(ending, Mapping) else None
    history = [_rebuild_event(event) for event in events.parse(contents.get(events.NAME, b""))]
    if rows:
        _check_weights(RunConfig.from_dict(run["config"]), contents)
    with files.lock_folder(folder):
        check_limits(folder, limits)
        name = name or find_free_name(own_name, folder)
        check_name_is_free(folder, check_name(name))
        with new_folder(folder, name) as place:
            files.write_json(place / "run.json", run)
            files.write_json(place / "epochs.json", [row.to_dict() for row in rows])
            lines = b"".join(json.dumps(event).encode() + b"\n" for event in history)
            files.write_bytes(place / events.NAME, lines)
            final = state if state in _FINAL_STATES and rows else "stopped"
            status.write(place, final, "imported from a file")
            for file in TENSORS if rows else ():
                files.write_bytes(place / file, contents[file])
            read_run(place)
    return open_run(name, folder)


def _check_weights(config: RunConfig, contents: Mapping[str, bytes]) -> None:
    """Refuse weights that do not fit the network, or that are not finite."""
    from core.models.network import build, load_weights

    rows = plan(config).rows
    expected, model = weights.expected_tensors(rows), build(rows, config)
    for file in TENSORS:
        if file not in contents:
            raise RunError(f"{file} is missing.")
        load_weights(model, weights.parse_tensors(contents[file], expected, file))


def _unpack(data: bytes, limits: Limits) -> tuple[str, dict[str, bytes]]:
    """Return the name of the folder in a zip file, and its files by name."""
    _check_size(len(data), limits)
    budget = limits.max_upload_mb * 1_000_000
    contents: dict[str, bytes] = {}
    parents = set()
    with safe_zip.open_zip(io.BytesIO(data), "the zip", 2 * len(TEXTS + TENSORS)) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith("/"):
                continue
            parent, _, file = entry.filename.rpartition("/")
            if file in OLD_TENSORS:
                raise RunError(
                    f"its weights have the old format ({file}), which is not imported; if you "
                    "trust the file, unpack it into the checkpoints folder and run "
                    "python -m core convert there."
                )
            if (
                file not in TEXTS + TENSORS
                or file in contents
                or "/" in parent
                or "\\" in entry.filename
                or stat.S_ISLNK(entry.external_attr >> 16)
                or entry.flag_bits & 1
                or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            ):
                raise RunError(f"{entry.filename[:60]!r} does not belong in a run's zip.")
            parents.add(parent)
            # The size in the header may be wrong, so no more than the budget is ever unpacked.
            with archive.open(entry) as part:
                contents[file] = part.read(budget + 1)
            budget -= len(contents[file])
            if budget < 0:
                raise LimitError(
                    f"unpacked, the zip is larger than {limits.max_upload_mb} MB "
                    "(INKLING_MAX_UPLOAD_MB)."
                )
    if len(parents) != 1:
        raise RunError("the zip does not hold exactly one run.")
    return parents.pop() or "run", contents


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.max_upload_mb * 1_000_000:
        raise LimitError(
            f"the file has {size / 1e6:,.0f} MB; at most {limits.max_upload_mb} MB are imported "
            "(INKLING_MAX_UPLOAD_MB)."
        )


def _parse(contents: Mapping[str, bytes], name: str) -> Any:
    if name not in contents:
        raise RunError(f"{name} is missing.")
    return files.parse_json(contents[name], name)


def _rebuild_run(values: Any, limits: Limits) -> dict[str, Any]:
    """Return a new run.json from those values of an uploaded one that are valid."""
    if not isinstance(values, Mapping) or "config" not in values:
        raise RunError("run.json does not describe a run of this app.")
    check_format(values.get("format"))
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
        "parent": (
            {name: parent[name] for name in PARENT_FIELDS}
            if parent is not None and is_parent(parent)
            else None
        ),
        "notes": notes,
        "tags": list(tags),
        "runtime": runtime.to_dict() if runtime else None,
        "test": values.get("test"),
    }


def _rebuild_event(event: events.Event) -> dict[str, Any]:
    known = {
        "kind": event["kind"][:40],
        **{name: event[name] for name in ("time", "epoch", "step")},
    }
    if event["kind"] == "batch":
        known |= {name: event[name] for name in ("steps", "loss", "lr")}
    if isinstance(event.get("message"), str):
        known["message"] = event["message"]
    return known


def _read_times(folder: Path) -> dict[str, int]:
    return {
        name: (folder / name).stat().st_mtime_ns
        for name in TEXTS + TENSORS
        if (folder / name).exists()
    }
