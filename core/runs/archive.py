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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.config import NO_DIGITS, RunConfig
from core.errors import LimitError, RunError
from core.limits import Limits
from core.regular_files import read_regular_file
from core.runs import digit_file, epoch_weights, events, files, safe_zip, status, weights
from core.runs.disk_limits import check_limits
from core.runs.folders import checkpoints_folder, new_folder
from core.runs.run import FORMAT, Run, read_run, read_run_json
from core.runs.run_names import check_name, check_name_is_free, find_free_name
from core.runs.run_schema import WHICH_WEIGHTS, check_epochs, check_owner
from core.runs.store import open_run
from core.schema import shown
from core.training.plan import plan

TEXTS = ("run.json", "status.json", "epochs.json", events.NAME, digit_file.RUN_FILE)
TENSORS = tuple(f"{which}{weights.SUFFIX}" for which in WHICH_WEIGHTS)
OLD_TENSORS = tuple(f"{which}{weights.OLD_SUFFIX}" for which in WHICH_WEIGHTS)
MAX_ENTRIES = 1_000
MAX_EVENTS = 50_000  # a run of hours has some thousands
# Unpacked; JSON takes up to 30 times as much memory as text.
MAX_TEXT_BYTES = {
    "run.json": 300_000,
    "status.json": 20_000,
    "epochs.json": 3_000_000,
    events.NAME: 8_000_000,
    digit_file.RUN_FILE: digit_file.MAX_BYTES,
}
_FINAL_STATES = ("finished", "stopped", "diverged", "failed")


def export_run(run: Run) -> bytes:
    """Return a run as a zip file: config, epoch table, events, weights and own digits, no owner.

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
    values = files.parse_json(contents["run.json"], "run.json")
    if isinstance(values, dict) and values.pop("owner", None) is not None:
        contents["run.json"] = json.dumps(values, indent=1, allow_nan=False).encode()
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
    data: bytes,
    name: str | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
    owner: str | None = None,
) -> Run:
    """Create a run from an uploaded zip file.

    Nothing in it is executed, and nothing is written outside the new run's folder.

    Args:
        data: the zip file.
        name: name of the new run; None: its own name, with a number added if that is taken.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        limits: limits of this machine; None: from the environment.
        owner: who owns the new run, whatever the file says; None: nobody is signed in.

    Raises:
        RunError: it is not a run of this app, or damaged; the message says how.
        LimitError: it is larger than the limits allow.
    """
    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    check_owner(owner)
    own_name, contents = _unpack(data, limits)
    run = read_run_json(_parse(contents, "run.json"), limits)
    rows = check_epochs(_parse(contents, "epochs.json"))
    if not rows:
        run["runtime"] = None  # it will be started here, with what this machine decides
    ending = _parse(contents, "status.json")
    state = ending.get("state") if isinstance(ending, Mapping) else None
    history = events.parse(contents.get(events.NAME, b""))[:MAX_EVENTS]
    tensors = [*TENSORS, *_list_epoch_files(contents, len(rows))] if rows else []
    _check_weights(run["config"], tensors, contents)
    own = None
    if run["config"].digits != NO_DIGITS:
        own = digit_file.parse_run_digits(_parse(contents, digit_file.RUN_FILE))
    with files.lock_folder(folder):
        check_limits(folder, limits)
        name = name or find_free_name(own_name, folder)
        check_name_is_free(folder, check_name(name))
        with new_folder(folder, name) as place:
            files.write_json(place / "run.json", {**_to_json(run), "owner": owner})
            files.write_json(place / "epochs.json", [row.to_dict() for row in rows])
            lines = b"".join(json.dumps(event).encode() + b"\n" for event in history)
            files.write_bytes(place / events.NAME, lines)
            if own is not None:
                digit_file.write_run_digits(place, own)
            final = state if state in _FINAL_STATES and rows else "stopped"
            status.write(place, final, "imported from a file")
            for file in tensors:
                (place / file).parent.mkdir(exist_ok=True)
                files.write_bytes(place / file, contents[file])
            read_run(place)
    return open_run(name, folder)


def _list_epoch_files(contents: Mapping[str, bytes], epochs: int) -> list[str]:
    """Return the weights of kept epochs in an upload, without those beyond its epoch table."""
    names = map(epoch_weights.file_name, range(epochs + 1))
    return [name for name in names if name in contents]


def _check_weights(
    config: RunConfig, tensors: Iterable[str], contents: Mapping[str, bytes]
) -> None:
    """Refuse weights that do not fit the network, or that are not finite."""
    from core.models.network import build, load_weights

    rows = plan(config).rows
    expected, model = weights.expected_tensors(rows), build(rows, config)
    for file in tensors:
        if file not in contents:
            raise RunError(f"{file} is missing.")
        load_weights(model, weights.parse_tensors(contents[file], expected, file))


def _unpack(data: bytes, limits: Limits) -> tuple[str, dict[str, bytes]]:
    """Return the name of the run's folder in a zip file, and the run's files by name.

    Zip files made by other programs are read too: their extra files are ignored.
    """
    _check_size(len(data), limits)
    budget = limits.max_upload_mb * 1_000_000
    contents: dict[str, bytes] = {}
    parents = set()
    with safe_zip.open_zip(data, "the zip", MAX_ENTRIES) as archive:
        for entry in archive.infolist():
            path = entry.filename.replace("\\", "/")
            parent, _, file = path.rpartition("/")
            folders = path.split("/")[:-1]
            if path.startswith("/") or ".." in folders or ":" in path:
                raise RunError(f"{shown(entry.filename)} does not belong in a run's zip.")
            if file in OLD_TENSORS:
                raise RunError(
                    f"its weights have the old format ({file}), which is not imported; if you "
                    "trust the file, unpack it into the checkpoints folder and run "
                    "python -m core convert there."
                )
            if epoch_weights.parse_name(file) is not None and folders[-1:] == [
                epoch_weights.FOLDER
            ]:
                parent, file = "/".join(folders[:-1]), f"{epoch_weights.FOLDER}/{file}"
            elif file not in TEXTS + TENSORS:
                continue
            if "__MACOSX" in folders:
                continue
            if (
                file in contents
                or stat.S_ISLNK(entry.external_attr >> 16)
                or entry.flag_bits & 1  # encrypted
                or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            ):
                raise RunError(f"{shown(entry.filename)} does not belong in a run's zip.")
            parents.add(parent)
            # The size in the header may be wrong, so no more than the limit is ever unpacked.
            limit = min(budget, MAX_TEXT_BYTES.get(file, budget))
            with archive.open(entry) as part:
                contents[file] = part.read(limit + 1)
            if len(contents[file]) > limit:
                raise LimitError(
                    f"{file} is too large: unpacked, it may have {limit / 1e6:.2g} MB "
                    "(INKLING_MAX_UPLOAD_MB limits all files together)."
                )
            budget -= len(contents[file])
    if len(parents) != 1:
        raise RunError("the zip does not hold exactly one run.")
    return parents.pop().rpartition("/")[2] or "run", contents


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


def _to_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked values of an uploaded run.json as JSON values."""
    runtime = values["runtime"]
    return {
        **values,
        "format": FORMAT,
        "created": values["created"].isoformat(timespec="milliseconds"),
        "config": values["config"].to_dict(),
        "group": None,  # its other repeats are not here
        "runtime": runtime.to_dict() if runtime else None,
    }


def _read_times(folder: Path) -> dict[str, int]:
    kept = map(epoch_weights.file_name, epoch_weights.list_files(folder))
    return {
        name: (folder / name).stat().st_mtime_ns
        for name in (*TEXTS, *TENSORS, *kept)
        if (folder / name).exists()
    }
