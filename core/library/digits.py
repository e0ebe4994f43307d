"""The user's own labelled digits: a small test set in one JSON file.

checkpoints/.digits/own.json holds {"format", "digits": [{"label", "kept", "pixels", "writer",
"owner"}]}: the time of saving in "kept", 784 grey values as base64 in "pixels", whose handwriting
it is, if that was said, and where somebody was signed in, who saved it. Exports and imports have
the same format, without the owner.
Must not import torch at module level; `core.insight.predictions` evaluates networks on these
digits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import LimitError, RunError
from core.runs import files, folders, status
from core.runs.run_schema import check_owner
from core.schema import Field, raising

FOLDER, NAME = ".digits", "own.json"
FORMAT = 1
MAX_DIGITS = 2_000
MAX_BYTES = 4_000_000  # of an imported file; 2,000 digits take 2.4 MB
_PIXELS = 28 * 28
_WRITER = Field("writer", str, min_length=1, max_length=40, nullable=True)

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SavedDigit:
    """A digit that the user drew or photographed, with its label."""

    label: int
    saved: datetime
    pixels: bytes
    """784 grey values, row by row."""
    owner: str | None = None
    """The signed-in person who saved it; None: nobody was signed in."""
    writer: str | None = None
    """Whose handwriting it is; None: unknown."""

    @property
    def key(self) -> str:
        """A hash of pixels and label, which identifies the digit."""
        return hashlib.sha256(bytes([self.label]) + self.pixels).hexdigest()[:16]


def to_arrays(digits: Sequence[SavedDigit]) -> tuple[Image, npt.NDArray[np.int64]]:
    """Return digits as arrays: images (N, 28, 28) uint8 and labels (N,) int64."""
    pixels = np.frombuffer(b"".join(digit.pixels for digit in digits), np.uint8).reshape(-1, 28, 28)
    return pixels, np.array([digit.label for digit in digits], np.int64)


def list_digits(folder: Path | None = None) -> list[SavedDigit]:
    """List the saved digits, the latest last.

    Args:
        folder: the checkpoints folder; None: `checkpoints_folder()`.

    Raises:
        RunError: the file is damaged; it is left as it is.
    """
    path = _path(folder)
    if path.is_symlink() or path.parent.is_symlink():
        raise RunError(f"{FOLDER}/{NAME} is a symbolic link, which is not followed.")
    return _parse_digits(files.read_json(path), f"{FOLDER}/{NAME}") if path.exists() else []


def save_digit(
    image: Image,
    label: int,
    folder: Path | None = None,
    *,
    owner: str | None = None,
    writer: str | None = None,
) -> SavedDigit:
    """Save a digit, unless the same one is saved with this label already.

    Args:
        image: (28, 28) uint8, bright ink on black.
        label: 0 to 9.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        owner: the signed-in person who saves it; None: nobody is signed in.
        writer: whose handwriting it is; None: unknown.

    Raises:
        RunError: the image, label or writer is not valid, or the file cannot be written.
        LimitError: there are already MAX_DIGITS digits.
    """
    if (
        not isinstance(image, np.ndarray)
        or image.shape != (28, 28)
        or image.dtype != np.uint8
        or not image.any()
    ):
        raise RunError("a digit needs 28x28 pixels, not all of them black.")
    if type(label) is not int or not 0 <= label <= 9:
        raise RunError(f"a label is a digit from 0 to 9, not {str(label)[:20]}.")
    now = status.parse_time(status.current_time())
    digit = SavedDigit(label, now, image.tobytes(), check_owner(owner), _check_writer(writer))
    _update(folder, lambda digits: _merge(digits, [digit]))
    return digit


def delete(key: str, folder: Path | None = None) -> None:
    """Delete a digit; nothing happens where it is gone already.

    Raises:
        RunError: the file is damaged or could not be written.
    """
    _update(folder, lambda digits: [digit for digit in digits if digit.key != key])


def clear(folder: Path | None = None, *, owner: str | None = None) -> None:
    """Delete the digits of one owner, or all digits, also when their file is damaged.

    Args:
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        owner: whose digits; None: all.

    Raises:
        RunError: the file could not be written, or with an owner, is damaged.
    """
    if owner is None:
        _update(folder, None)
    else:
        _update(folder, lambda digits: [digit for digit in digits if digit.owner != owner])


def export_digits(folder: Path | None = None) -> bytes:
    """Return all digits as a JSON file for download, without their owners.

    Raises:
        RunError: the file is damaged.
    """
    digits = [replace(digit, owner=None) for digit in list_digits(folder)]
    return json.dumps(_to_json(digits), indent=1).encode()


def import_digits(
    data: bytes, folder: Path | None = None, *, owner: str | None = None
) -> tuple[int, int]:
    """Add the digits of a file that `export_digits` made, except those that are saved already.

    Args:
        data: the file.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        owner: who owns the new digits, whatever the file says; None: nobody is signed in.

    Returns:
        The number of digits in the file, and how many of them are new.

    Raises:
        RunError: it is not such a file; nothing is imported then.
        LimitError: there would be more than MAX_DIGITS digits.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(
            f"the file has {len(data) / 1e6:.1f} MB; {MAX_DIGITS:,} digits take less than "
            f"{MAX_BYTES / 1e6:.0f} MB."
        )
    check_owner(owner)
    parsed = _parse_digits(files.parse_json(data, "the file"), "the file")
    offered = [replace(digit, owner=owner) for digit in parsed]
    before = after = 0

    def add(digits: list[SavedDigit]) -> list[SavedDigit]:
        nonlocal before, after
        joined = _merge(digits, offered)
        before, after = len(digits), len(joined)
        return joined

    _update(folder, add)
    return len(offered), after - before


def _check_writer(writer: Any) -> str | None:
    with raising(RunError):
        checked: str | None = _WRITER.check(writer)
    return checked


def _path(folder: Path | None) -> Path:
    return (folder or folders.checkpoints_folder()) / FOLDER / NAME


def _update(
    folder: Path | None, change: Callable[[list[SavedDigit]], list[SavedDigit]] | None
) -> None:
    """Rewrite the file, under the lock, so that tabs don't lose each other's digits.

    Args:
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        change: returns the new list from the current one; None: the new list is empty.
    """
    folder = folder or folders.checkpoints_folder()
    with files.lock_folder(folder):
        digits = change(list_digits(folder)) if change else []
        path = _path(folder)
        try:
            if path.parent.is_symlink() or path.is_symlink():
                raise RunError(f"{FOLDER}/{NAME} is a symbolic link; it is not written to.")
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{FOLDER} cannot be written to: {error.strerror}.") from None
        files.remove_partial_files(path.parent)
        files.write_json(path, _to_json(digits))


def _merge(digits: Sequence[SavedDigit], more: Sequence[SavedDigit]) -> list[SavedDigit]:
    # Of two equal digits, the one that was there already stays.
    unique = {digit.key: digit for digit in (*more, *digits)}.values()
    if len(unique) > max(MAX_DIGITS, len(digits)):
        raise LimitError(
            f"there are already {len(digits):,} digits, of at most {MAX_DIGITS:,}; delete some."
        )
    return sorted(unique, key=lambda digit: (digit.saved, digit.key))


def _to_json(digits: Sequence[SavedDigit]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "digits": [
            {
                "label": digit.label,
                "kept": digit.saved.isoformat(timespec="milliseconds"),
                "pixels": base64.b64encode(digit.pixels).decode(),
            }
            | ({"owner": digit.owner} if digit.owner is not None else {})
            | ({"writer": digit.writer} if digit.writer is not None else {})
            for digit in digits
        ],
    }


def _parse_digits(values: Any, name: str) -> list[SavedDigit]:
    if not isinstance(values, Mapping) or not isinstance(values.get("digits"), list):
        raise RunError(f"{name} is not a file of digits of this app.")
    if values.get("format") != FORMAT:
        raise RunError(
            f"{name} was written in format {str(values.get('format'))[:20]} by another version "
            f"of the app; this one reads format {FORMAT}."
        )
    if len(values["digits"]) > MAX_DIGITS:
        raise LimitError(
            f"{name} holds {len(values['digits']):,} digits, of at most {MAX_DIGITS:,}."
        )
    return [_parse_digit(value, number, name) for number, value in enumerate(values["digits"], 1)]


def _parse_digit(value: Any, number: int, name: str) -> SavedDigit:
    try:
        label, pixels = value["label"], base64.b64decode(value["pixels"], validate=True)
        if (
            type(label) is not int
            or not 0 <= label <= 9
            or len(pixels) != _PIXELS
            or not any(pixels)
        ):
            raise ValueError
        owner = check_owner(value.get("owner"))
        writer = _check_writer(value.get("writer"))
        return SavedDigit(label, status.parse_time(value.get("kept")), pixels, owner, writer)
    except (AttributeError, KeyError, TypeError, ValueError, RunError, binascii.Error):
        raise RunError(f"{name} is damaged: its digit {number} is not valid.") from None
