"""The checkpoints folder: where it is, what lies in it, and how a run's folder is added.

Files of a run's folder are described in README.md, beside this module. Must not import torch.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from core.errors import RunError
from core.runs import files

# A folder with none of these is not a run.
RUN_FILES = (
    "run.json",
    "status.json",
    "epochs.json",
    "events.jsonl",
    "last.safetensors",
    "last.pt",
)
SHIPPED = Path(__file__).resolve().parents[2] / "checkpoints"


def checkpoints_folder() -> Path:
    """Return the folder of all runs: $INKLING_CHECKPOINTS, or checkpoints/ of the project."""
    return Path(os.path.expanduser(os.environ.get("INKLING_CHECKPOINTS") or SHIPPED)).resolve()


def check_folder(folder: Path) -> None:
    """Refuse a checkpoints folder that is something else, or that cannot be read.

    A folder that does not exist yet is valid: the first run makes it.

    Raises:
        RunError: says what is there instead.
    """
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise RunError(
            f"{folder} is a file, not a folder of runs; set INKLING_CHECKPOINTS to a folder."
        ) from None
    except OSError as error:
        raise RunError(f"the folder of runs, {folder}, cannot be read: {error.strerror}.") from None


def list_entries(folder: Path) -> list[Path]:
    """Return the folders that hold a run, damaged or not, sorted by name.

    Whatever else lies in a checkpoints folder (lost+found, Thumbs.db, a README) is left out: a
    folder counts as a run when it has at least one of a run's files. Links are returned too.
    """
    return [path for path in _list_visible(folder) if any(map(os.path.lexists, _run_files(path)))]


def list_taken_names(folder: Path) -> list[str]:
    """Return the names in a checkpoints folder that no new run can have."""
    return [path.name for path in _list_visible(folder)]


def readable_name(path: Path) -> str:
    """Return a path's name as text that can be printed, whatever bytes it has on the disk."""
    return path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _list_visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _run_files(path: Path) -> Iterator[str]:
    return (os.path.join(path, name) for name in RUN_FILES)


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
        files.move(staged, folder / name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
