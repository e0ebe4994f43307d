"""Deleting runs: they go to a bin, checkpoints/.bin, until that is emptied. No torch."""

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
from core.runs.folders import checkpoints_folder, list_entries
from core.runs.run import Run
from core.runs.run_names import check_name, check_name_is_free
from core.runs.store import open_run

FOLDER = ".bin"


@dataclass(frozen=True, slots=True)
class TrashedRun:
    """A deleted run."""

    key: str
    """What `restore` and `empty` call it."""
    name: str
    deleted: datetime
    bytes: int


def delete(name: str, folder: Path | None = None) -> TrashedRun:
    """Put a run, or something damaged among the runs, into the bin.

    Raises:
        RunError: there is no such run, or it trains.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        # By comparison with what is there, never by building a path from what was asked.
        path = next((entry for entry in list_entries(folder) if entry.name == name), None)
        if path is None:
            raise RunError(f"there is no run {str(name)[:60]!r}.")
        if path.is_dir() and not path.is_symlink():
            _check_rests(path)
        key = f"{path.name}~{time.time_ns() // 1_000_000}"
        (folder / FOLDER).mkdir(exist_ok=True)
        path.rename(folder / FOLDER / key)
    return _binned(folder / FOLDER / key)


def list_trash(folder: Path | None = None) -> list[TrashedRun]:
    """What is in the bin, last deleted first."""
    place = (folder or checkpoints_folder()) / FOLDER
    if not place.is_dir():
        return []
    return sorted(
        (_binned(path) for path in place.iterdir() if "~" in path.name),
        key=lambda item: (item.deleted, item.key),
        reverse=True,
    )


def find_latest(name: str, folder: Path | None = None) -> TrashedRun:
    """The deleted run of that name, the last one if there are several; or that of a key.

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
    """Take a run out of the bin.

    Args:
        key: which, as `binned` tells it.
        to: another name; None: its own.
        folder: the checkpoints folder.
        limits: what the machine lends; None: from the environment.

    Raises:
        RunError: it is not in the bin, or its name is taken, or it is damaged (it is restored all the same).
        LimitError: no room for another run.
    """
    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    with files.lock_folder(folder):
        path = _find(key, folder)
        name = check_name(to or _binned(path).name)
        check_limits(folder, limits)
        check_name_is_free(folder, name)
        path.rename(folder / name)
    return open_run(name, folder)


def empty(key: str | None = None, folder: Path | None = None) -> int:
    """Remove for good one deleted run, or all of them.

    Returns:
        Bytes that are free again.

    Raises:
        RunError: it is not in the bin, or the system would not remove it.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        paths = (
            [_find(key, folder)]
            if key is not None
            else [folder / FOLDER / item.key for item in list_trash(folder)]
        )
        freed = sum(_binned(path).bytes for path in paths)
        for path in paths:
            try:
                if path.is_symlink() or path.is_file():
                    path.unlink()
                else:
                    shutil.rmtree(path)
            except OSError as error:
                raise RunError(
                    f"{_binned(path).name} could not be removed: {error.strerror}."
                ) from error
    return freed


def _check_rests(path: Path) -> None:
    try:
        now = status.read(path)
    except RunError:
        return  # damaged, so nothing trains it
    if now.is_live:
        raise RunError(f"{path.name} trains; stop it before you delete it.")
    if now.state == "queued":  # so that it does not start by itself when it is restored
        status.write(path, "stopped", "taken out of the queue")


def _find(key: str, folder: Path) -> Path:
    for item in list_trash(folder):
        if item.key == key:
            return folder / FOLDER / key
    raise RunError(f"{str(key)[:60]!r} is not in the bin.")


def _binned(path: Path) -> TrashedRun:
    name, _, stamp = path.name.rpartition("~")
    seconds = int(stamp) / 1_000 if stamp.isascii() and stamp.isdigit() and len(stamp) < 15 else 0
    size = (
        measure_bytes(path) if path.is_dir() and not path.is_symlink() else os.lstat(path).st_size
    )
    return TrashedRun(path.name, name, datetime.fromtimestamp(seconds, UTC), size)
