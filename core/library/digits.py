"""Digits of one's own with their labels, kept as a test set in one JSON file beside the runs.

checkpoints/.digits/own.json holds {"format", "digits": [{"label", "kept", "pixels"}]}, pixels as the base64 of 784 grey
values. The same file is what is downloaded and taken in again. No torch at import; how networks fare on them is told by
`core.insight.predictions`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import LimitError, RunError
from core.runs import files, folders, status

FOLDER, NAME = ".digits", "own.json"
FORMAT = 1
MAX_DIGITS = 2_000
MAX_BYTES = 4_000_000  # of a file that is taken in; 2,000 digits take 2.4 MB
_PIXELS = 28 * 28

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SavedDigit:
    """A digit that somebody drew or photographed, and says what it is."""

    label: int
    saved: datetime
    pixels: bytes
    """784 grey values, row by row."""

    @property
    def key(self) -> str:
        """What tells it from all others: its pixels and its label."""
        return hashlib.sha256(bytes([self.label]) + self.pixels).hexdigest()[:16]


def to_arrays(digits: Sequence[SavedDigit]) -> tuple[Image, npt.NDArray[np.int64]]:
    """Digits as arrays: (N, 28, 28) uint8 and (N,) int64."""
    pixels = np.frombuffer(b"".join(digit.pixels for digit in digits), np.uint8).reshape(-1, 28, 28)
    return pixels, np.array([digit.label for digit in digits], np.int64)


def list_digits(folder: Path | None = None) -> list[SavedDigit]:
    """All that are kept, the latest last.

    Args:
        folder: the checkpoints folder; None: this machine's.

    Raises:
        RunError: the file is damaged; it is left as it is.
    """
    path = _path(folder)
    if path.is_symlink() or path.parent.is_symlink():
        raise RunError(f"{FOLDER}/{NAME} is a link, and links out of this folder are not followed.")
    return _digits(files.read_json(path), f"{FOLDER}/{NAME}") if path.exists() else []


def save_digit(image: Image, label: int, folder: Path | None = None) -> SavedDigit:
    """Keep a digit; one that is kept already, with this label, is not kept twice.

    Args:
        image: (28, 28) uint8, ink bright.
        label: 0 to 9.
        folder: the checkpoints folder; None: this machine's.

    Raises:
        RunError: it is no such image or label, it is blank, or it could not be written.
        LimitError: MOST are kept already.
    """
    if (
        not isinstance(image, np.ndarray)
        or image.shape != (28, 28)
        or image.dtype != np.uint8
        or not image.any()
    ):
        raise RunError("a digit to keep has 28x28 pixels, and ink on some of them.")
    if type(label) is not int or not 0 <= label <= 9:
        raise RunError(f"a digit is one from 0 to 9, not {str(label)[:20]}.")
    digit = SavedDigit(label, status.parse_time(status.current_time()), image.tobytes())
    _change(folder, lambda digits: _joined(digits, [digit]))
    return digit


def delete(key: str, folder: Path | None = None) -> None:
    """Forget one digit; nothing happens if another tab was faster.

    Raises:
        RunError: the file is damaged or could not be written.
    """
    _change(folder, lambda digits: [digit for digit in digits if digit.key != key])


def clear(folder: Path | None = None) -> None:
    """Forget all of them, also when their file is damaged.

    Raises:
        RunError: the file could not be written.
    """
    _change(folder, None)


def export_digits(folder: Path | None = None) -> bytes:
    """All of them as a file to take along.

    Raises:
        RunError: the file is damaged.
    """
    return json.dumps(_values(list_digits(folder)), indent=1).encode()


def import_digits(data: bytes, folder: Path | None = None) -> tuple[int, int]:
    """Add the digits of a file that `export` made; those that are kept already are left out.

    Args:
        data: the file; only JSON is read, and nothing in it is run.
        folder: the checkpoints folder; None: this machine's.

    Returns:
        How many the file holds, and how many of them are new.

    Raises:
        RunError: it is no such file; nothing is taken in then.
        LimitError: there would be more than MOST.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(
            f"the file has {len(data) / 1e6:.1f} MB; {MAX_DIGITS:,} digits take less than "
            f"{MAX_BYTES / 1e6:.0f} MB."
        )
    offered = _digits(files.parse_json(data, "the file"), "the file")
    before = after = 0

    def add(digits: list[SavedDigit]) -> list[SavedDigit]:
        nonlocal before, after
        joined = _joined(digits, offered)
        before, after = len(digits), len(joined)
        return joined

    _change(folder, add)
    return len(offered), after - before


def _path(folder: Path | None) -> Path:
    return (folder or folders.checkpoints_folder()) / FOLDER / NAME


def _change(
    folder: Path | None, how: Callable[[list[SavedDigit]], list[SavedDigit]] | None
) -> None:
    """Write the list anew under the lock, so that tabs don't lose each other's digits; None: begin with none."""
    folder = folder or folders.checkpoints_folder()
    with files.lock_folder(folder):
        digits = how(list_digits(folder)) if how else []
        path = _path(folder)
        try:
            if path.parent.is_symlink() or path.is_symlink():
                raise RunError(f"{FOLDER}/{NAME} is a link; it is not written to.")
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{FOLDER} is no folder that can be written to: {error.strerror}."
            ) from None
        files.remove_partial_files(path.parent)
        files.write_json(path, _values(digits))


def _joined(digits: Sequence[SavedDigit], more: Sequence[SavedDigit]) -> list[SavedDigit]:
    found = list(
        {digit.key: digit for digit in (*more, *digits)}.values()
    )  # of two alike the one that was there
    if len(found) > max(MAX_DIGITS, len(digits)):
        raise LimitError(
            f"{len(digits):,} digits are kept already, and at most {MAX_DIGITS:,} can be; delete some."
        )
    return sorted(found, key=lambda digit: (digit.saved, digit.key))


def _values(digits: Sequence[SavedDigit]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "digits": [
            {
                "label": digit.label,
                "kept": digit.saved.isoformat(timespec="milliseconds"),
                "pixels": base64.b64encode(digit.pixels).decode(),
            }
            for digit in digits
        ],
    }


def _digits(values: Any, name: str) -> list[SavedDigit]:
    if not isinstance(values, Mapping) or not isinstance(values.get("digits"), list):
        raise RunError(f"{name} holds no digits of this app.")
    if values.get("format") != FORMAT:
        raise RunError(
            f"{name} was written in format {str(values.get('format'))[:20]} by another version of the app; "
            f"this one reads format {FORMAT}."
        )
    if len(values["digits"]) > MAX_DIGITS:
        raise LimitError(
            f"{name} holds {len(values['digits']):,} digits; at most {MAX_DIGITS:,} can be kept."
        )
    return [_digit(value, number, name) for number, value in enumerate(values["digits"], 1)]


def _digit(value: Any, number: int, name: str) -> SavedDigit:
    try:
        label, pixels = value["label"], base64.b64decode(value["pixels"], validate=True)
        if (
            type(label) is not int
            or not 0 <= label <= 9
            or len(pixels) != _PIXELS
            or not any(pixels)
        ):
            raise ValueError
        return SavedDigit(label, status.parse_time(value.get("kept")), pixels)
    except (AttributeError, KeyError, TypeError, ValueError, RunError, binascii.Error):
        raise RunError(f"{name} is damaged: its digit {number} is none.") from None
