"""Names of runs: which are allowed, and which are free. Must not import torch."""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import RunError
from core.runs.folders import checkpoints_folder, list_taken_names

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
# Windows reserves these for devices.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def check_name(name: str) -> str:
    """Return the name if a run may have it.

    Raises:
        RunError: the name could lead out of the folder, or some system cannot store it.
    """
    if (
        not isinstance(name, str)
        or not _NAME.fullmatch(name)
        or name.endswith(".")
        or _RESERVED.fullmatch(name)
    ):
        raise RunError(
            f"{str(name)[:60]!r} cannot be a run's name; use up to 60 letters, digits, dots, "
            "dashes and underscores, beginning with a letter or digit."
        )
    return name


def find_free_name(wanted: str, folder: Path | None = None) -> str:
    """Return a name that no run has: the wanted one made valid, with a number added if taken."""
    taken = {name.lower() for name in list_taken_names(folder or checkpoints_folder())}
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._")[:54].rstrip(".")
    if not base or _RESERVED.fullmatch(base):
        base = "run"
    number, name = 1, base
    while name.lower() in taken:
        number += 1
        name = f"{base}-{number}"
    return check_name(name)


def check_name_is_free(folder: Path, name: str) -> None:
    """Refuse a name that is taken; case is ignored, as many file systems do.

    Raises:
        RunError: a run has this name.
    """
    if name.lower() in {taken.lower() for taken in list_taken_names(folder)}:
        raise RunError(
            f"there is already a run {name!r}; choose another name, such as "
            f"{find_free_name(name, folder)!r}."
        )
