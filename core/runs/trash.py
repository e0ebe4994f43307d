"""Deleted runs: they stay in the trash, checkpoints/.bin, until it is emptied.

Must not import torch.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.errors import RunError
from core.limits import Limits
from core.runs import files, status
from core.runs.disk_limits import check_limits, measure_bytes
from core.runs.folders import checkpoints_folder, list_entries, readable_name
from core.runs.run import Run
from core.runs.run_names import check_name, check_name_is_free
from core.runs.store import open_run, read_owner

FOLDER = ".bin"


@dataclass(frozen=True, slots=True)
class TrashedRun:
    """A deleted run."""

    key: str
    """Its name in the trash, for `restore` and `empty`."""
    name: str
    deleted: datetime
    bytes: int
    owner: str | None = None
    """Who made it, if anybody was signed in."""


def delete(name: str, folder: Path | None = None) -> TrashedRun:
    """Move a run, or anything else in the checkpoints folder, to the trash.

    Raises:
        RunError: there is no such run, or it is training.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        # Compared with what is there: no path is ever built from the name.
        path = next((entry for entry in list_entries(folder) if readable_name(entry) == name), None)
        if path is None:
            raise RunError(f"there is no run {str(name)[:60]!r}.")
        if path.is_dir() and not path.is_symlink():
            _check_not_training(path)
        key = f"{readable_name(path)}~{time.time_ns() // 1_000_000}"
        (folder / FOLDER).mkdir(exist_ok=True)
        files.move(path, folder / FOLDER / key)
    return _describe(folder / FOLDER / key)


def list_trash(folder: Path | None = None) -> list[TrashedRun]:
    """List the trash, last deleted first."""
    place = (folder or checkpoints_folder()) / FOLDER
    if not place.is_dir():
        return []
    return sorted(
        (_describe(path) for path in place.iterdir() if "~" in path.name),
        key=lambda item: (item.deleted, item.key),
        reverse=True,
    )


def find_latest(name: str, folder: Path | None = None) -> TrashedRun:
    """Find the run deleted last under a name, or the one with a key.

    Raises:
        RunError: there is none.
    """
    for item in list_trash(folder):
        if name in (item.name, item.key):
            return item
    raise RunError(f"{str(name)[:60]!r} is not in the bin.")


def restore(
    key: str, to: str | None = None, folder: Path | None = None, limits: Limits | None = None
) -> Run:
    """Restore a run from the trash.

    Args:
        key: `TrashedRun.key`.
        to: another name; None: its own.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        limits: limits of this machine; None: from the environment.

    Raises:
        RunError: it is not in the trash, its name is taken, or it is damaged (yet restored).
        LimitError: there is no room for another run.
    """
    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    with files.lock_folder(folder):
        path = _find_path(key, folder)
        name = check_name(to or _describe(path).name)
        check_limits(folder, limits)
        check_name_is_free(folder, name)
        files.move(path, folder / name)
    return open_run(name, folder)


def empty(key: str | None = None, folder: Path | None = None) -> int:
    """Remove one deleted run for good, or all of them.

    Args:
        key: `TrashedRun.key`; None: all.
        folder: the checkpoints folder; None: `checkpoints_folder()`.

    Returns:
        Number of bytes freed.

    Raises:
        RunError: it is not in the trash, or the system refused to remove it.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        paths = (
            [_find_path(key, folder)]
            if key is not None
            else [folder / FOLDER / item.key for item in list_trash(folder)]
        )
        freed = sum(_describe(path).bytes for path in paths)
        for path in paths:
            try:
                if path.is_symlink() or path.is_file():
                    files.remove_file(path)
                else:
                    shutil.rmtree(path)
            except OSError as error:
                raise RunError(
                    f"{_describe(path).name} could not be removed: {error.strerror}."
                ) from error
    return freed


def _check_not_training(path: Path) -> None:
    try:
        now = status.read(path)
    except RunError:
        return  # damaged, so no worker trains it
    if now.is_live:
        raise RunError(f"{path.name} is training; stop it before deleting it.")
    if now.state == "queued":  # it must not start by itself once it is restored
        status.write(path, "stopped", "removed from the queue")


def _find_path(key: str, folder: Path) -> Path:
    for item in list_trash(folder):
        if item.key == key:
            return folder / FOLDER / key
    raise RunError(f"{str(key)[:60]!r} is not in the bin.")


def _describe(path: Path) -> TrashedRun:
    name, _, stamp = path.name.rpartition("~")
    seconds = int(stamp) / 1_000 if stamp.isascii() and stamp.isdigit() and len(stamp) < 14 else 0
    size = (
        measure_bytes(path) if path.is_dir() and not path.is_symlink() else os.lstat(path).st_size
    )
    deleted = datetime.fromtimestamp(seconds, UTC)
    return TrashedRun(path.name, name, deleted, size, read_owner(path))
