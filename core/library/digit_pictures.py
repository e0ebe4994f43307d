"""Pictures of digits with labels, from a folder, a zip file or single files, in MNIST's form.

A picture's label is the name of the innermost folder that is called 0 to 9, or else the digit that
its file name begins with. A name such as `7-anna.png` or `7-anna-0012.png` also says whose
handwriting it is. Nothing in a file is executed, and nothing is written.
"""

from __future__ import annotations

import os
import re
import stat
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.drawing.pictures import MAX_FILE, open_picture, picture_to_ink
from core.drawing.preparation import SIDE, to_mnist
from core.errors import LimitError, RunError, UserError
from core.library.digits import MAX_DIGITS, Image, parse_export
from core.regular_files import read_regular_file
from core.runs import safe_zip
from core.runs.digit_file import check_writer, to_arrays
from core.schema import shown

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_ENTRIES = 10_000  # files in a zip or a folder
MAX_UNPACKED = 200_000_000  # bytes of all pictures of a zip
_LABELS = "0123456789"
_NAME = re.compile(r"([0-9])(?![0-9])(?:[-_ ]+(.*))?", re.DOTALL)
_NUMBER = re.compile(r"(^|[-_ ]+)\(?[0-9]+\)?$")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A picture that was read as a digit."""

    source: str
    """Name of its file."""
    image: Image
    """(28, 28) uint8, in MNIST's form."""
    label: int
    writer: str | None = None
    """Whose handwriting it is; None: unknown."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read as a digit."""

    source: str
    reason: str


@dataclass(slots=True)
class Reading:
    """The digits in some files, and what was left out."""

    digits: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def read_path(path: Path) -> Reading:
    """Read a folder or a zip file of pictures, a single picture, or a JSON file of digits.

    Files that are no pictures of digits are skipped, even a single one.

    Raises:
        UserError: it cannot be read, is a damaged zip or JSON file, or holds too much.
    """
    if path.is_dir():
        return _read_all(_walk(path))
    try:
        data = read_regular_file(path, MAX_UNPACKED)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from None
    return read_files([(path.name, data)])


def read_files(files: Iterable[tuple[str, bytes]], seconds: float | None = None) -> Reading:
    """Read pictures, zip files of pictures, and JSON files of digits.

    Files that are no pictures of digits are skipped, and so are digits beyond MAX_DIGITS.

    Args:
        files: name and contents of each.
        seconds: after which the remaining files are skipped; None: all are read.

    Raises:
        UserError: a zip or JSON file is damaged, holds too much, or has entries that do not belong
            in a zip file of pictures.
    """
    return _read_all(_unpack(files), seconds)


def parse_label(path: str) -> int | None:
    """Return the label that the path of a picture gives; None: it gives none.

    Args:
        path: with folders, separated by / or backslashes.
    """
    *folders, name = path.replace("\\", "/").split("/")
    for folder in reversed(folders):
        if len(folder) == 1 and folder in _LABELS:
            return int(folder)
    match = _NAME.match(name)
    return int(match[1]) if match else None


def parse_writer(path: str, label: int) -> str | None:
    """Return whose handwriting a picture is by its file name; None: the name does not say."""
    stem = path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    match = _NAME.fullmatch(stem)
    if match is None or int(match[1]) != label or not match[2]:
        return None
    writer = " ".join(_NUMBER.sub("", match[2].strip()).split())
    try:
        return check_writer(writer or None)
    except RunError:
        return None


def _read_all(
    contents: Iterator[tuple[str, bytes | Candidate | UserError]], seconds: float | None = None
) -> Reading:
    reading, began = Reading(), time.monotonic()
    for source, content in contents:
        if isinstance(content, UserError):
            reading.skipped.append(Skipped(source, str(content)))
        elif len(reading.digits) == MAX_DIGITS:
            reading.skipped.append(Skipped(source, f"a set has at most {MAX_DIGITS:,} digits."))
        elif isinstance(content, Candidate):
            reading.digits.append(content)
        elif seconds is not None and time.monotonic() - began > seconds:
            reason = f"reading took longer than {seconds:.0f} seconds; import it separately."
            reading.skipped.append(Skipped(source, reason))
        else:
            try:
                reading.digits.append(_read_labelled(source, content))
            except UserError as error:
                reading.skipped.append(Skipped(source, str(error)))
    return reading


def _read_labelled(source: str, data: bytes) -> Candidate:
    """Return the digit in a picture, labelled by the picture's name.

    Raises:
        UserError: its name gives no label, or it is not a picture of a digit.
    """
    label = parse_label(source)
    if label is None:
        raise RunError(
            "its name gives no label; put it into a folder named 0 to 9, or let its name begin "
            "with the digit, such as 7-anna.png."
        )
    return Candidate(source, _to_image(data), label, parse_writer(source, label))


def read_picture(path: Path) -> Image:
    """Return the digit in a picture, whatever its name, in MNIST's form: (28, 28) uint8.

    Raises:
        UserError: it cannot be read, or is not a picture of a digit.
    """
    try:
        return _to_image(read_regular_file(path, MAX_FILE))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from None


def _to_image(data: bytes) -> Image:
    """Return the digit in a picture file.

    Raises:
        UserError: it is not a picture of a digit.
    """
    picture = open_picture(data)
    image = None
    if picture.mode == "L" and picture.size == (SIDE, SIDE):
        image = _as_it_is(np.asarray(picture))
    if image is None:
        image = to_mnist(picture_to_ink(picture))
    if not image.any():
        raise RunError("nothing in it stands out from the background.")
    return image


def _as_it_is(pixels: Image) -> Image | None:
    """Return a picture that has MNIST's form already, such as an exported digit; else None."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return pixels.copy() if np.median(border) == 0 and pixels.max() > 127 else None


def _walk(folder: Path) -> Iterator[tuple[str, bytes | UserError]]:
    """Yield the files below a folder in a fixed order; links and hidden files are left out.

    Raises:
        LimitError: there are more than MAX_ENTRIES files.
    """
    paths = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
        if len(paths) > MAX_ENTRIES:
            raise LimitError(
                f"{folder} holds more than {MAX_ENTRIES:,} files; import a part of it."
            )
    for path in paths:
        # With the folder's own name, which may be the label.
        source = Path(folder.resolve().name, path.relative_to(folder)).as_posix()
        if path.is_symlink():
            yield source, RunError("it is a symbolic link, which is not followed.")
        elif not path.name.lower().endswith(ENDINGS):
            yield source, _wrong_kind()
        else:
            try:
                yield source, read_regular_file(path, MAX_FILE)
            except OSError as error:
                yield source, RunError(f"it cannot be read: {error.strerror}.")


def _unpack(
    files: Iterable[tuple[str, bytes]],
) -> Iterator[tuple[str, bytes | Candidate | UserError]]:
    for name, data in files:
        if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            yield from _unzip(name, data)
        elif name.lower().endswith(".json"):
            digits = parse_export(data)
            for digit, image in zip(digits, to_arrays(digits)[0], strict=True):
                yield name, Candidate(name, image, digit.label, digit.writer)
        elif name.lower().endswith(ENDINGS):
            yield name, data
        else:
            yield name, _wrong_kind()


def _unzip(name: str, data: bytes) -> Iterator[tuple[str, bytes | UserError]]:
    """Yield the files of a zip, unpacked one at a time.

    Raises:
        UserError: it is damaged, holds too much, or an entry does not belong in a zip of pictures.
    """
    budget = MAX_UNPACKED
    with safe_zip.open_zip(data, name, MAX_ENTRIES) as archive:
        for entry in archive.infolist():
            source = entry.filename.replace("\\", "/")
            folders = source.split("/")[:-1]
            if (
                source.startswith("/")
                or ".." in folders
                or ":" in source
                or stat.S_ISLNK(entry.external_attr >> 16)
                or entry.flag_bits & 1  # encrypted
                or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            ):
                raise RunError(
                    f"{shown(entry.filename)} does not belong in a zip file of pictures."
                )
            base = source.rpartition("/")[2]
            if not base or base.startswith(".") or "__MACOSX" in folders:
                continue
            if not base.lower().endswith(ENDINGS):
                yield source, _wrong_kind()
                continue
            # The size in the header may be wrong, so no more than the limit is ever unpacked.
            limit = min(budget, MAX_FILE)
            with archive.open(entry) as part:
                content = part.read(limit + 1)
            if len(content) > limit:
                raise LimitError(
                    f"{name} is too large: unpacked, a picture may have {MAX_FILE / 1e6:.0f} MB "
                    f"and all of them {MAX_UNPACKED / 1e6:.0f} MB."
                )
            budget -= len(content)
            yield source, content


def _wrong_kind() -> UserError:
    return RunError("it is not a picture that is read; save it as PNG or JPEG.")
