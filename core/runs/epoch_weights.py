"""Weights of a run after its epochs, and before the first one: which are kept, and where.

RUN/epochs/0007.safetensors holds the weights that row 7 of the epoch table was measured with,
0000.safetensors those before the first epoch. Must not import torch.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from core.errors import listed
from core.runs import files

FOLDER = "epochs"
MAX_BYTES = 16_000_000  # of all files of a run together
_NAME = re.compile(r"(\d{4})\.safetensors", re.ASCII)


def choose_epochs(epochs: int, limit: int, file_bytes: int) -> frozenset[int]:
    """Return the epochs whose weights a run keeps; 0 stands for those before the first one.

    They are 0 and k more, at equal distances up to rounding, of which the last is the run's last
    epoch. k is the limit, or less where the run has fewer epochs or the files would exceed
    `MAX_BYTES`. The epochs are known before the first one, so no file is ever removed, and a run
    that is interrupted keeps the same ones.

    Args:
        epochs: length of the run.
        limit: `kept_epochs` of its config; 0: none are kept.
        file_bytes: size of one file.

    Returns:
        Empty where the limit is 0 or two files are too large.
    """
    count = min(limit, epochs, MAX_BYTES // file_bytes - 1)
    if count < 1:
        return frozenset()
    return frozenset((2 * place * epochs + count) // (2 * count) for place in range(count + 1))


def file_name(epoch: int) -> str:
    """Return the name of an epoch's file below the run's folder, with "/" as in a zip file."""
    return f"{FOLDER}/{epoch:04}.safetensors"


def parse_name(name: str) -> int | None:
    """Return the epoch of a file in `FOLDER`; None for the name of another file."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def format_epochs(epochs: Sequence[int]) -> str:
    """Return ascending epochs, at least one, as words: `0 to 4, 7 and 9`."""
    parts: list[list[int]] = []
    for epoch in epochs:
        if parts and epoch == parts[-1][-1] + 1:
            parts[-1].append(epoch)
        else:
            parts.append([epoch])
    words = [
        f"{part[0]} to {part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts
    ]
    return listed(", ".join(words).split(", "), "and")


def list_files(run_folder: Path) -> list[int]:
    """Return the epochs whose weights have a file, ascending; links are left out."""
    try:
        with os.scandir(run_folder / FOLDER) as entries:
            found = [
                parse_name(entry.name) for entry in entries if entry.is_file(follow_symlinks=False)
            ]
    except OSError:  # there is no such folder
        return []
    return sorted(epoch for epoch in found if epoch is not None)


def write(run_folder: Path, epoch: int, data: bytes) -> None:
    """Write an epoch's file.

    Raises:
        DiskFullError, RunError: as `files.write_bytes`.
        OSError: the folder cannot be made.
    """
    path = run_folder / file_name(epoch)
    path.parent.mkdir(exist_ok=True)
    files.write_bytes(path, data)


def remove_later(run_folder: Path, epoch: int) -> None:
    """Remove what a killed worker left behind: partial files, and those of later epochs."""
    files.remove_partial_files(run_folder / FOLDER)
    for later in list_files(run_folder):
        if later > epoch:
            with contextlib.suppress(OSError):
                files.remove_file(run_folder / file_name(later))
