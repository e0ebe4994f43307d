"""Opening, listing, renaming and annotating runs. Must not import torch at module level."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from core.errors import RunError, UserError, listed
from core.runs import files
from core.runs.folders import checkpoints_folder, list_entries, readable_name
from core.runs.run import DamagedRun, Run, check_notes_and_tags, read_run
from core.runs.run_names import check_name, check_name_is_free, name_and_title
from core.runs.run_schema import check_owner
from core.runs.weights import OldWeightsError


def open_run(name: str, folder: Path | None = None) -> Run:
    """Open a run by name.

    Raises:
        RunError: there is no such run, its folder is damaged, or its weights have the old format.
    """
    folder = folder or checkpoints_folder()
    try:
        path = folder / check_name(name)
    except RunError as error:
        runs = [run.name for run in list_runs(folder) if isinstance(run, Run) and run.title == name]
        if not runs:
            raise
        raise RunError(f"{name!r} is a title; use the name of its run: {listed(runs)}.") from error
    # Where case is ignored, a path exists under names that the run does not have.
    if not path.exists() or name not in os.listdir(folder):
        raise RunError(f"there is no run {name!r}.")
    try:
        return read_run(path)
    except OldWeightsError as error:
        raise OldWeightsError(f"run {name!r} cannot be opened: {error}") from None
    except Exception as error:
        raise RunError(f"run {name!r} is damaged: {_describe(error)}") from None


def list_runs(folder: Path | None = None) -> list[Run | DamagedRun]:
    """List all runs, newest first, then the damaged ones."""
    runs: list[Run] = []
    damaged: list[DamagedRun] = []
    for path in list_entries(folder or checkpoints_folder()):
        try:
            check_name(path.name)
            runs.append(read_run(path))
        except Exception as error:  # whatever is wrong with one run must not hide the others
            if path.exists() or path.is_symlink():  # else it was deleted meanwhile
                reason, owner = _describe(error), read_owner(path)
                damaged.append(DamagedRun(readable_name(path), path, reason, owner=owner))
    runs.sort(key=lambda run: (run.created, run.name), reverse=True)
    return [*runs, *damaged]


def read_owner(run_folder: Path) -> str | None:
    """Return who owns a run's folder, also where the rest of it is damaged; None: nobody."""
    if run_folder.is_symlink() or not run_folder.is_dir():
        return None
    try:
        values = files.read_json(run_folder / "run.json")
        return check_owner(values["owner"]) if isinstance(values, dict) else None
    except (RunError, KeyError):
        return None


def find_owner(name: str, folder: Path | None = None) -> str | None:
    """Return who owns the run, damaged or not, that has this name now; None: nobody.

    Raises:
        RunError: there is no such run.
    """
    # Compared with what is there: no path is ever built from the name.
    for entry in list_entries(folder or checkpoints_folder()):
        if readable_name(entry) == name:
            return read_owner(entry)
    raise RunError(f"there is no run {str(name)[:60]!r}.")


def rename(name: str, to: str, folder: Path | None = None) -> Run:
    """Rename a run; runs forked from it keep naming it as their parent.

    Args:
        name: its name.
        to: the new name, or a title in any script, whose run gets a name like it.
        folder: the checkpoints folder; None: `checkpoints_folder()`.

    Raises:
        RunError: the run is training or queued, or the new name is invalid or taken.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        run = open_run(name, folder)
        if run.is_live or run.state == "queued":
            raise RunError(f"{name} is {run.state}; stop it before renaming it.")
        to, title = name_and_title(to, folder=folder, current=name)
        if title is None:
            check_name_is_free(folder, to)
        if to != name:
            files.move(run.folder, folder / to)
        if title != run.title:
            update_run_json(folder / to, title=title)
        for child in list_runs(folder):
            if isinstance(child, Run) and child.parent is not None and child.parent["name"] == name:
                update_run_json(child.folder, parent={**child.parent, "name": to})
    return open_run(to, folder)


def annotate(
    name: str,
    *,
    notes: str | None = None,
    tags: tuple[str, ...] | None = None,
    folder: Path | None = None,
) -> Run:
    """Change a run's notes, tags or both, also while it trains; None leaves them as they are.

    Raises:
        RunError: there is no such run, or the text is too long.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        run = open_run(name, folder)
        notes, tags = run.notes if notes is None else notes, run.tags if tags is None else tags
        check_notes_and_tags(notes, tags)
        update_run_json(run.folder, notes=notes, tags=list(tags))
    return open_run(name, folder)


def update_run_json(run_folder: Path, **values: Any) -> None:
    """Change values of run.json; the caller holds the lock, since pages and workers both do so."""
    path = run_folder / "run.json"
    files.write_json(path, {**files.read_json(path), **values})


def _describe(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, UserError)
        else f"it holds an unexpected value ({error!r:.80})"
    )
