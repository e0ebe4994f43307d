"""Names of runs: which are allowed, and which are free. Must not import torch."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from core.errors import RunError
from core.runs.folders import checkpoints_folder, list_taken_names

# Latin letters that Unicode does not decompose into a letter and an accent.
_LATIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "đ": "d"}
    | {"Đ": "D", "ł": "l", "Ł": "L", "ı": "i", "ð": "d", "þ": "th"}
)
_MARKS = set(" -_.,'’()&+")  # in a title, besides letters and digits
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
# Windows reserves these for devices.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def check_name(name: str) -> str:
    """Return the name if a run may have it.

    Raises:
        RunError: the name could lead out of the folder, or some system cannot store it.
    """
    if not isinstance(name, str) or not _is_name(name):
        raise RunError(
            f"{str(name)[:60]!r} cannot be a run's name; use up to 60 letters, digits, dots, "
            "dashes and underscores, beginning with a letter or digit."
        )
    return name


def find_free_name(wanted: str, folder: Path | None = None) -> str:
    """Return a name that no run has: the wanted one made valid, with a number added if taken.

    Accents are removed; letters of other scripts than Latin are left out.
    """
    taken = {name.lower() for name in list_taken_names(folder or checkpoints_folder())}
    base = _to_name(wanted) or "run"
    number, name = 1, base
    while name.lower() in taken:
        number += 1
        name = f"{base}-{number}"
    return check_name(name)


def _to_name(text: str) -> str:
    """Return the valid name that is most like a text; "" where no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", text.translate(_LATIN))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:54].rstrip(".")
    return "" if _RESERVED.fullmatch(base) else base


def name_and_title(
    text: str, prefix: str = "", folder: Path | None = None, *, current: str | None = None
) -> tuple[str, str | None]:
    """Return the name and the title of a run that somebody calls by a text.

    Args:
        text: a name, or letters and digits of any script, spaces, and marks as in names of people.
        prefix: begins the name; empty: none.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        current: name of the run that is renamed, which it keeps where no letter of the text can be
            in a name; None: the run is new.

    Returns:
        The text itself and None, where it is a valid name; else a free name like it, and the text.

    Raises:
        RunError: the text holds other characters.
    """
    text = " ".join(text.split())
    if prefix or not _NAME.fullmatch(text):
        if not text or not all(map(_can_be_in_title, text)):
            check_name(text)
        if current is not None and _to_name(text) in ("", current):
            return current, text
        return find_free_name(f"{prefix}-{text}" if prefix else text, folder), text
    return check_name(text), None


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and not text.endswith(".") and not _RESERVED.fullmatch(text)


def _can_be_in_title(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character in _MARKS


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
