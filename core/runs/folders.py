"""The checkpoints folder: where it is, what lies in it, and how a run's folder is added. No torch.

Files of a run's folder are described in README.md, beside this module.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "checkpoints"


def checkpoints_folder() -> Path:
    """Return the folder of all runs: $INKLING_CHECKPOINTS, or checkpoints/ of the project."""
    return Path(os.environ.get("INKLING_CHECKPOINTS") or SHIPPED).resolve()


def list_entries(folder: Path) -> list[Path]:
    """Return everything in a checkpoints folder whose name does not begin with a dot, sorted."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def new_folder(folder: Path, name: str) -> Iterator[Path]:
    """Yield a hidden folder to fill; it gets its name when the block ends without an error.

    The caller holds the lock of the checkpoints folder.

    Args:
        folder: the checkpoints folder.
        name: a free name, already checked.
    """
    # Folders left by a process that was killed: under the lock nobody else can be filling one.
    for abandoned in folder.glob(".new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    staged = folder / f".new-{name}"
    staged.mkdir()
    try:
        yield staged
        staged.rename(folder / name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
