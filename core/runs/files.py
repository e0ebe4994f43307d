"""Writing files so that they appear whole or not at all, and reading JSON with care.

Must not import torch.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import filelock

from core import json_input
from core.errors import RunError
from core.regular_files import read_regular_file
from core.runs.file_cache import FileCache, file_signature
from core.schema import raising

LOCK = ".lock"
LOCK_SECONDS = 30.0
RESERVE = ".reserve"
RESERVE_BYTES = 32_768  # enough for a status, an event and some lines of the log
MAX_JSON_BYTES = 8_000_000
# Windows refuses to replace, move or delete a file while another process reads it.
RETRY_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
WINDOWS_PATH = 200  # characters; 260 are allowed, and temporary files have longer names
_FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")

# Pages poll hundreds of small files that hardly ever change.
_parsed: FileCache[Path, Any] = FileCache(max_entries=4_000)


class DiskFullError(RunError):
    """The disk is full; what was there before is intact."""


def retry_refused(action: Callable[[], T]) -> T:
    """Call an action, and call it again while the system refuses it, for 1.6 seconds at most.

    Raises:
        PermissionError: it is refused even then.
        OSError: the action failed for another reason.
    """
    for seconds in RETRY_SECONDS:
        try:
            return action()
        except PermissionError:
            time.sleep(seconds)
    return action()


def move(path: Path, target: Path) -> None:
    """Rename a file or a folder.

    Raises:
        OSError: the system refuses it.
    """
    retry_refused(lambda: path.rename(target))


def remove_file(path: Path) -> None:
    """Delete a file; nothing happens where there is none.

    Raises:
        OSError: the system refuses it.
    """
    retry_refused(lambda: path.unlink(missing_ok=True))


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file atomically: write a temporary file, flush it to the disk, rename it.

    Raises:
        DiskFullError: the disk or the user's quota is full; the old file is still there.
        RunError: the system refused for another reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            retry_refused(lambda: os.replace(temporary, path))
        except BaseException:
            # Free the space first: the message about the failure needs some.
            with contextlib.suppress(OSError):
                remove_file(temporary)
            raise
    except OSError as error:
        raise _to_run_error(error, path) from error
    _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically.

    Raises:
        DiskFullError, RunError: as `write_bytes`.
    """
    write_bytes(path, json.dumps(value, indent=1, allow_nan=False).encode())


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file in one write.

    Raises:
        DiskFullError: the disk is full; the file may end with a part of the data.
        RunError: the system refused for another reason.
    """
    try:
        with open(path, "ab", buffering=0) as file:
            file.write(data)
    except OSError as error:
        raise _to_run_error(error, path) from error


def read_json(path: Path) -> Any:
    """Read a JSON file. The value is shared with other readers and must not be changed.

    Raises:
        RunError: the file is missing, too large or not JSON.
    """

    def read() -> Any:
        try:
            data = retry_refused(lambda: read_regular_file(path, MAX_JSON_BYTES))
        except FileNotFoundError:
            raise RunError(f"{path.name} is missing.") from None
        except OSError as error:
            raise RunError(f"{path.name} cannot be read: {error.strerror}.") from None
        return parse_json(data, path.name)

    return _parsed.get(path, file_signature(path), read)


def parse_json(data: bytes, name: str) -> Any:
    """Parse JSON of at most `MAX_JSON_BYTES`, as `core.json_input` does.

    Args:
        data: the text.
        name: name of the file, for the error message.

    Raises:
        RunError: the text is not JSON, or it is too large or nested too deeply.
    """
    with raising(lambda message: RunError(f"{name} is damaged: {message}")):
        return json_input.parse_json(data, "it", max_bytes=MAX_JSON_BYTES)


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a checkpoints folder; the system releases it when its holder dies.

    Raises:
        RunError: another process held it for `LOCK_SECONDS`, or the system refused something that
            was done while it was held.
        DiskFullError: there was no room for the lock file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / LOCK, timeout=LOCK_SECONDS):
            yield
    except filelock.Timeout:
        raise RunError(
            f"the list of runs has been locked for {LOCK_SECONDS:.0f} seconds; "
            f"see which program holds {folder / LOCK}."
        ) from None
    except OSError as error:
        raise _to_run_error(error, Path(str(error.filename or folder))) from error


def reserve_space(folder: Path) -> None:
    """Reserve a little disk space, so that a full disk can still be reported.

    Raises:
        DiskFullError: there is none left.
    """
    # Random bytes: zeros would take no space on a file system that compresses.
    write_bytes(folder / RESERVE, os.urandom(RESERVE_BYTES))


def release_space(folder: Path) -> None:
    """Release the reserved disk space."""
    with contextlib.suppress(OSError):
        remove_file(folder / RESERVE)


def remove_partial_files(folder: Path) -> None:
    """Remove the temporary files that killed writers have left in a folder."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            remove_file(path)


def disk_full_error(path: Path) -> DiskFullError:
    """Return the error that reports a full disk."""
    return DiskFullError(
        f"the disk is full: {path.name} could not be saved; what was saved before is intact. "
        "Free some space, then resume."
    )


def _to_run_error(error: OSError, path: Path) -> RunError:
    if error.errno in _FULL:
        return disk_full_error(path)
    # Windows says of such a path that it does not exist.
    too_long = sys.platform == "win32" and len(str(path)) > WINDOWS_PATH
    if too_long or error.errno == errno.ENAMETOOLONG:
        return RunError(
            f"{path.name} could not be written: its path has {len(str(path))} characters, more "
            "than this system takes. Set INKLING_CHECKPOINTS to a folder with a shorter path."
        )
    return RunError(f"{path.name} could not be written: {error.strerror}.")


def _sync_folder(folder: Path) -> None:
    # A rename is on the disk only when its folder is; Windows neither can nor needs to do this.
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
