"""The user's own labelled digits in named sets: saved, deleted, exported, imported.

How a set is stored is in `core.runs.digit_file`; how pictures become digits, in
`core.library.digit_pictures`. Must not import torch at module level; `core.library.teaching` trains
networks on these digits.
"""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import LimitError, RunError
from core.runs import digit_file, files, folders, status
from core.runs.digit_file import (
    FOLDER,
    MAX_BYTES,
    SUFFIX,
    SavedDigit,
    check_writer,
    list_names,
    parse_digits,
    read_set,
    set_path,
    to_json,
)
from core.runs.run_schema import check_owner
from core.wording import plural

Image = npt.NDArray[np.uint8]

DEFAULT = "own"  # the set that Draw saves to at first
NAME = f"{DEFAULT}{SUFFIX}"
MAX_SETS = 100
MAX_DIGITS = digit_file.MAX_DIGITS  # of a set
_UNSAFE = re.compile(r"[^\w .,'()+&-]+")  # in a file's name


@dataclass(frozen=True, slots=True)
class DigitSet:
    """What a list of sets shows of one."""

    name: str
    counts: tuple[int, ...]
    """(10,) digits with each label."""
    error: str = ""
    """Why it cannot be read; empty: it can."""

    @property
    def total(self) -> int:
        """Number of digits."""
        return sum(self.counts)


def list_sets(folder: Path | None = None) -> list[DigitSet]:
    """List the sets by name; damaged ones say why they cannot be read."""
    sets = []
    for name in list_names(folder):
        try:
            counts = Counter(digit.label for digit in read_set(name, folder))
        except (RunError, LimitError) as error:
            sets.append(DigitSet(name, (0,) * 10, str(error)))
        else:
            sets.append(DigitSet(name, tuple(counts[label] for label in range(10))))
    return sets


def list_digits(folder: Path | None = None, name: str = DEFAULT) -> list[SavedDigit]:
    """List the digits of a set, the latest last; empty where there is no such set.

    Args:
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        name: of the set.

    Raises:
        RunError: the file is damaged; it is left as it is.
    """
    return read_set(name, folder)


def make_digit(
    image: Image, label: int, *, owner: str | None = None, writer: str | None = None
) -> SavedDigit:
    """Make a digit, saved now.

    Args:
        image: (28, 28) uint8, bright ink on black.
        label: 0 to 9.
        owner: the signed-in person who saves it; None: nobody is signed in.
        writer: whose handwriting it is; None: unknown.

    Raises:
        RunError: the image, label or writer is not valid.
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
    return SavedDigit(label, now, image.tobytes(), check_owner(owner), check_writer(writer))


def save_digit(
    image: Image,
    label: int,
    folder: Path | None = None,
    *,
    owner: str | None = None,
    writer: str | None = None,
    name: str = DEFAULT,
) -> SavedDigit:
    """Save a digit, unless the same one is saved with this label already.

    Args:
        image, label, owner, writer: as of `make_digit`.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        name: of the set, which is created if there is none.

    Raises:
        RunError: the image, label, writer or name is not valid, or the file cannot be written.
        LimitError: there are already MAX_DIGITS digits.
    """
    digit = make_digit(image, label, owner=owner, writer=writer)
    add_digits([digit], folder, name=name)
    return digit


def add_digits(
    offered: Sequence[SavedDigit], folder: Path | None = None, *, name: str = DEFAULT
) -> int:
    """Add digits to a set, except those that are in it already; return how many are new.

    Args:
        offered: the digits.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        name: of the set, which is created if there is none.

    Raises:
        RunError: the name is not valid, or the file is damaged or cannot be written.
        LimitError: there would be too many digits or sets; nothing is added then.
    """
    before = after = 0

    def add(digits: list[SavedDigit]) -> list[SavedDigit]:
        nonlocal before, after
        joined = _merge(digits, offered)
        before, after = len(digits), len(joined)
        return joined

    _update(name, folder, add)
    return after - before


def delete(key: str, folder: Path | None = None, *, name: str = DEFAULT) -> None:
    """Delete a digit; nothing happens where it is gone already.

    Raises:
        RunError: the file is damaged or could not be written.
    """
    _update(name, folder, lambda digits: [digit for digit in digits if digit.key != key])


def clear(folder: Path | None = None, *, owner: str | None = None, name: str = DEFAULT) -> None:
    """Delete the digits of one owner from a set, or the whole set, also when it is damaged.

    Args:
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        owner: whose digits; None: all.
        name: of the set.

    Raises:
        RunError: the file could not be written, or with an owner, is damaged.
    """
    if owner is None:
        _update(name, folder, None)
    else:
        _update(name, folder, lambda digits: [digit for digit in digits if digit.owner != owner])


def export_digits(folder: Path | None = None, *, name: str = DEFAULT) -> bytes:
    """Return a set as a zip file of pictures in MNIST's form, without the digits' owners.

    A picture is named after the set, its label and its writer, such as `anna/7/7-anna-0001.png`.
    `core.library.digit_pictures` reads the file.

    Raises:
        RunError: the set is damaged, or has no digits.
    """
    from PIL import Image as pillow

    digits = read_set(name, folder)
    if not digits:
        raise RunError(f"there are no own digits {name!r} to export.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG files are compressed
        for number, digit in enumerate(digits, 1):
            picture = io.BytesIO()
            pillow.frombytes("L", (28, 28), digit.pixels).save(picture, "PNG")
            writer = _UNSAFE.sub("_", digit.writer or "").strip()
            parts = [str(digit.label), *([writer] if writer else []), f"{number:04}"]
            entry = zipfile.ZipInfo(f"{name}/{digit.label}/{'-'.join(parts)}.png")
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, picture.getvalue())
    return buffer.getvalue()


def parse_export(data: bytes) -> list[SavedDigit]:
    """Return the digits of a JSON file in the form of a set's own file, without their owners.

    Earlier versions exported sets in this form; copies of a set's file have it too.

    Raises:
        RunError: it is not such a file.
        LimitError: it is too large, or holds more than MAX_DIGITS digits.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(
            f"the file has {len(data) / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read, "
            f"and a set of {MAX_DIGITS:,} digits takes less."
        )
    parsed = parse_digits(files.parse_json(data, "the file"), "the file")
    return [replace(digit, owner=None) for digit in parsed]


def _update(
    name: str,
    folder: Path | None,
    change: Callable[[list[SavedDigit]], list[SavedDigit]] | None,
) -> None:
    """Rewrite a set's file, under the lock, so that tabs don't lose each other's digits.

    Args:
        name: of the set.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        change: returns the new list from the current one; None: the set is deleted.
    """
    folder = folder or folders.checkpoints_folder()
    path = set_path(name, folder)
    with files.lock_folder(folder):
        digits = change(read_set(name, folder)) if change else []
        if digits and not path.exists() and len(list_names(folder)) >= MAX_SETS:
            raise LimitError(
                f"there are already {MAX_SETS} sets of digits, and no more can be kept; delete one "
                "first, or add to one of them."
            )
        try:
            if path.parent.is_symlink() or path.is_symlink():
                raise RunError(f"{FOLDER}/{path.name} is a symbolic link; it is not written to.")
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{FOLDER} cannot be written to: {error.strerror}.") from None
        files.remove_partial_files(path.parent)
        if digits:
            files.write_json(path, to_json(digits))
        else:
            with contextlib.suppress(FileNotFoundError):
                files.remove_file(path)


def _merge(digits: Sequence[SavedDigit], more: Sequence[SavedDigit]) -> list[SavedDigit]:
    # Of two equal digits, the one that was there already stays.
    unique = {digit.key: digit for digit in (*more, *digits)}.values()
    if len(unique) > max(MAX_DIGITS, len(digits)):
        raise LimitError(
            f"the set has {plural(len(digits), 'digit')} and would have {len(unique):,}; at most "
            f"{MAX_DIGITS:,} are kept. Delete some first, or begin another set."
        )
    return sorted(unique, key=lambda digit: (digit.saved, digit.key))
