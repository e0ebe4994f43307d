"""The user's own architectures: layer rows under a name, one JSON file each.

checkpoints/.architectures/NAME.json holds {"format", "name", "created", "owner", "rows"}. Runs hold
their rows themselves, so saved architectures can be changed and deleted freely. Must not import
torch at module level.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.aliases import current_value
from core.errors import LimitError, RunError, UserError
from core.models.architectures import ARCHITECTURES
from core.models.row_text import without_defaults
from core.models.rows import Row
from core.models.shapes import count_parameters, trace
from core.runs import files, folders, run_names, status
from core.runs.run_schema import check_owner

FOLDER = ".architectures"
FORMAT, ENDING = 1, ".json"
MAX_SAVED = 500


@dataclass(frozen=True, slots=True)
class SavedArchitecture:
    """A saved architecture; its rows are checked and complete."""

    name: str
    rows: tuple[Row, ...]
    parameters: int
    created: datetime
    owner: str | None = None
    """The signed-in person who saved it; None: nobody was signed in."""


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file in the folder that is not a valid architecture, and why."""

    name: str
    path: Path
    reason: str
    owner: str | None = None


def save(
    name: str,
    rows: Sequence[Row],
    *,
    replace: bool = False,
    owner: str | None = None,
    folder: Path | None = None,
) -> SavedArchitecture:
    """Save an architecture.

    Args:
        name: valid as a run's name, and not that of a shipped architecture.
        rows: its layer rows.
        replace: whether to replace one of the same name.
        owner: the signed-in person who saves it; None: nobody is signed in.
        folder: the checkpoints folder; None: `checkpoints_folder()`.

    Raises:
        RunError: the name or owner is invalid, the name is taken, or the disk is full.
        ArchitectureError: the rows are not a valid network.
        LimitError: there are already MAX_SAVED.
    """
    folder = folder or folders.checkpoints_folder()
    _check(name)
    check_owner(owner)
    layers = trace(tuple(rows))
    with files.lock_folder(folder):
        place = folder / FOLDER
        try:
            place.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{FOLDER} cannot be written to: {error.strerror}.") from None
        taken = {path.stem.lower(): path for path in _paths(place) if path.suffix == ENDING}
        path = taken.get(name.lower(), place / f"{name}{ENDING}")
        if name.lower() in taken and not replace:
            raise RunError(
                f"there is already an architecture {path.stem!r}; choose another name, or "
                "replace it."
            )
        if name.lower() not in taken and len(taken) >= MAX_SAVED:
            raise LimitError(f"there are already {MAX_SAVED} architectures; delete some.")
        files.remove_partial_files(place)
        files.write_json(
            path,
            {
                "format": FORMAT,
                "name": path.stem,
                "created": status.current_time(),
                "owner": owner,
                "rows": [without_defaults(layer.row) for layer in layers],
            },
        )
    return _read(path)


def list_saved(folder: Path | None = None) -> list[SavedArchitecture | DamagedFile]:
    """List the saved architectures, newest first, then the damaged files."""
    own: list[SavedArchitecture] = []
    damaged: list[DamagedFile] = []
    for path in _paths((folder or folders.checkpoints_folder()) / FOLDER):
        try:
            own.append(_read(path))
        except RunError as error:
            if path.exists() or path.is_symlink():  # else it was deleted meanwhile
                damaged.append(DamagedFile(path.name, path, str(error)))
    own.sort(key=lambda item: (item.created, item.name), reverse=True)
    return [*own, *damaged]


def delete(name: str, folder: Path | None = None) -> None:
    """Delete a saved architecture; runs that were trained with it are not affected.

    Args:
        name: name of the architecture, or of a damaged file.
        folder: the checkpoints folder; None: `checkpoints_folder()`.

    Raises:
        RunError: there is none of that name.
    """
    folder = folder or folders.checkpoints_folder()
    with files.lock_folder(folder):
        for path in _paths(folder / FOLDER):
            if name in (path.stem, path.name):
                try:
                    files.remove_file(path)
                except OSError as error:
                    raise RunError(f"{path.name} cannot be deleted: {error.strerror}.") from None
                return
    raise RunError(f"there is no saved architecture {name[:60]!r}.")


def _paths(place: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(path for path in place.iterdir() if not path.name.startswith("."))
    return []


def _read(path: Path) -> SavedArchitecture:
    if path.is_symlink():
        raise RunError("it is a symbolic link, which is not followed.")
    if path.suffix != ENDING:
        raise RunError("it is not a JSON file.")
    values = files.read_json(path)
    if not isinstance(values, Mapping) or not {"format", "rows"} <= set(values):
        raise RunError("it is not an architecture of this app.")
    if values["format"] != FORMAT:
        raise RunError(
            f"it was written in format {str(values['format'])[:20]} by another version of the "
            f"app; this one reads format {FORMAT}."
        )
    try:
        _check(path.stem)
        layers = trace(values["rows"])
    except UserError as error:
        raise RunError(f"it is not a valid network: {error}") from None
    return SavedArchitecture(
        path.stem,
        tuple(layer.row for layer in layers),
        count_parameters(layers),
        status.parse_time(values.get("created")),
        check_owner(values.get("owner")),
    )


def _check(name: Any) -> None:
    try:
        run_names.check_name(name)
    except RunError as error:
        raise RunError(str(error).replace("a run's name", "an architecture's name")) from None
    if current_value("architecture", name.lower()) in ARCHITECTURES:
        raise RunError(f"{name!r} is the name of a shipped architecture; choose another one.")
