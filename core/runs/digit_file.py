"""Files of the user's own labelled digits: the named sets, and the copy in a run's folder.

checkpoints/.digits/NAME.json is a set, RUN/digits.json the digits that a run learns from besides
MNIST. Both hold {"format", "digits": [{"label", "kept", "pixels", "writer", "owner"}]}: the time of
saving in "kept", 784 grey values as base64 in "pixels", whose handwriting it is, if that was said,
and in a set, where somebody was signed in, who saved it. In a run, "drawing" may hold the pixels
and the label of the drawing that prompted it, and "learned_before" the keys of those digits that
the runs it started from trained on already.

Must not import torch at module level. Sets are changed in `core.library.digits`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import NO_DIGITS, RunConfig
from core.data.labelled_images import LabelledImages
from core.errors import LimitError, RunError, listed
from core.runs import files, folders, status
from core.runs.run_names import check_name
from core.runs.run_schema import check_owner
from core.schema import Field, raising

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

FOLDER, SUFFIX = ".digits", ".json"
RUN_FILE = "digits.json"
FORMAT = 1
MAX_DIGITS = 2_000  # of a set
MAX_BYTES = 4_000_000  # of a file; 2,000 digits take 2.4 MB
_PIXELS = 28 * 28
_WRITER = Field("writer", str, min_length=1, max_length=40, nullable=True)
_LEARNED = Field(
    "learned_before", list, max_length=MAX_DIGITS, items=Field("key", str, max_length=16)
)


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


@dataclass(frozen=True, slots=True)
class Drawing:
    """The drawing that prompted a run."""

    pixels: bytes
    """784 grey values, row by row."""
    label: int | None = None
    """None: it was not labelled."""


@dataclass(frozen=True, slots=True)
class RunDigits:
    """The own digits in a run's folder."""

    digits: tuple[SavedDigit, ...]
    drawing: Drawing | None = None
    learned_before: frozenset[str] = frozenset()
    """Keys of those digits that the runs before it, whose weights it starts from, trained on."""


def to_arrays(digits: Sequence[SavedDigit]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return digits as arrays: images (N, 28, 28) uint8 and labels (N,) int64."""
    import numpy as np

    pixels = np.frombuffer(b"".join(digit.pixels for digit in digits), np.uint8).reshape(-1, 28, 28)
    return pixels, np.array([digit.label for digit in digits], np.int64)


def check_set_name(name: str) -> str:
    """Return the name if a set of digits may have it.

    Raises:
        RunError: it could lead out of the folder, some system cannot store it, or it means that
            there is no set.
    """
    try:
        check_name(name)
    except RunError as error:
        raise RunError(str(error).replace("a run's name", "the name of a set of digits")) from None
    if name == NO_DIGITS:
        raise RunError(f"a set of digits cannot be called {NO_DIGITS!r}, which stands for no set.")
    return name


def set_path(name: str, folder: Path | None = None) -> Path:
    """Return where a set is stored, whether or not it exists.

    Raises:
        RunError: the name is not valid.
    """
    return (folder or folders.checkpoints_folder()) / FOLDER / f"{check_set_name(name)}{SUFFIX}"


def list_names(folder: Path | None = None) -> list[str]:
    """Return the names of all sets, sorted."""
    place = (folder or folders.checkpoints_folder()) / FOLDER
    try:
        names = [name.removesuffix(SUFFIX) for name in os.listdir(place) if name.endswith(SUFFIX)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(filter(_is_set_name, names))


def _is_set_name(name: str) -> bool:
    try:
        return bool(check_set_name(name))
    except RunError:
        return False


def read_set(name: str, folder: Path | None = None) -> list[SavedDigit]:
    """Read a set, the latest digit last; empty where there is none of that name.

    Raises:
        RunError: the name is not valid, or the file is damaged; it is left as it is.
    """
    path = set_path(name, folder)
    label = f"{FOLDER}/{path.name}"
    if path.is_symlink() or path.parent.is_symlink():
        raise RunError(f"{label} is a symbolic link, which is not followed.")
    return parse_digits(files.read_json(path), label) if path.exists() else []


def copy_set(name: str, folder: Path) -> RunDigits:
    """Return the digits of a set for a new run to learn from.

    Raises:
        RunError: there is no such set, it is damaged, or it is empty.
    """
    digits = read_set(name, folder)
    if not digits:
        names = list_names(folder)
        known = f"the sets are {listed(names, 'and')}" if names else "there are no sets yet"
        raise RunError(f"there are no own digits {name!r} to learn from; {known}.")
    return RunDigits(tuple(digits))


def write_run_digits(run_folder: Path, own: RunDigits) -> None:
    """Write the digits into a run's folder, without their owners."""
    values = to_json([replace(digit, owner=None) for digit in own.digits])
    if own.drawing is not None:
        pixels = base64.b64encode(own.drawing.pixels).decode()
        values["drawing"] = {"pixels": pixels, "label": own.drawing.label}
    if own.learned_before:
        values["learned_before"] = sorted(own.learned_before)
    files.write_json(run_folder / RUN_FILE, values)


def read_run_digits(run_folder: Path) -> RunDigits:
    """Read the digits in a run's folder.

    Raises:
        RunError: the file is missing or damaged.
    """
    path = run_folder / RUN_FILE
    if path.is_symlink():
        raise RunError(f"{RUN_FILE} is a symbolic link, which is not followed.")
    return parse_run_digits(files.read_json(path))


def own_digits_of(config: RunConfig, run_folder: Path | None) -> RunDigits | None:
    """Read the digits in a run's folder; None without a folder, or where the config names none.

    Raises:
        RunError: as `read_run_digits`.
    """
    if run_folder is None or config.digits == NO_DIGITS:
        return None
    return read_run_digits(run_folder)


def find_learned(config: RunConfig, own: RunDigits) -> frozenset[str]:
    """Return the keys of the digits that a run and the runs before it train on.

    Args:
        config: of the run.
        own: the digits in its folder.
    """
    import torch

    from core.data.own_digits import split_own

    learned, _ = split_own(config, torch.tensor([digit.label for digit in own.digits]))
    return own.learned_before | {own.digits[at].key for at in learned.tolist()}


def load_own(config: RunConfig, run_folder: Path) -> LabelledImages[Tensor] | None:
    """Return the digits in a run's folder as tensors; None where the config names none.

    Raises:
        RunError: the file is missing or damaged.
    """
    own = own_digits_of(config, run_folder)
    if own is None:
        return None
    images, labels = to_arrays(own.digits)
    own_digits: LabelledImages[np.ndarray] = LabelledImages(images.copy(), labels, "own digits")
    return own_digits.to_torch()


def parse_run_digits(values: Any) -> RunDigits:
    """Return the digits of a run from JSON values.

    Raises:
        RunError: the values are not valid.
    """
    digits = tuple(parse_digits(values, RUN_FILE))
    if not digits:
        raise RunError(f"{RUN_FILE} is damaged: it holds no digits.")
    with raising(lambda message: RunError(f"{RUN_FILE} is damaged: {message}")):
        keys = _LEARNED.check(values.get("learned_before", []))
    return RunDigits(
        digits,
        _parse_drawing(values.get("drawing")),
        frozenset(keys) & {digit.key for digit in digits},
    )


def _parse_drawing(value: Any) -> Drawing | None:
    if value is None:
        return None
    try:
        label = value.get("label")
        pixels = _parse_pixels(value["pixels"])
        return Drawing(pixels, None if label is None else _parse_label(label))
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        raise RunError(f"{RUN_FILE} is damaged: its drawing is not valid.") from None


def check_writer(writer: Any) -> str | None:
    """Return whose handwriting a digit is; None: unknown.

    Raises:
        RunError: it is not text, or too long, or cannot be shown.
    """
    with raising(RunError):
        checked: str | None = _WRITER.check(writer)
    return checked


def to_json(digits: Sequence[SavedDigit]) -> dict[str, Any]:
    """Return digits as JSON values."""
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


def parse_digits(values: Any, name: str) -> list[SavedDigit]:
    """Return digits from JSON values.

    Args:
        values: what the file holds.
        name: of the file, for error messages.

    Raises:
        RunError: the values are not valid.
        LimitError: there are more than MAX_DIGITS digits.
    """
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
        return SavedDigit(
            _parse_label(value["label"]),
            status.parse_time(value.get("kept")),
            _parse_pixels(value["pixels"]),
            check_owner(value.get("owner")),
            check_writer(value.get("writer")),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RunError, binascii.Error):
        raise RunError(f"{name} is damaged: its digit {number} is not valid.") from None


def _parse_label(label: Any) -> int:
    if type(label) is not int or not 0 <= label <= 9:
        raise ValueError
    return label


def _parse_pixels(text: Any) -> bytes:
    pixels = base64.b64decode(text, validate=True)
    if len(pixels) != _PIXELS or not any(pixels):
        raise ValueError
    return pixels
