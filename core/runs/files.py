"""Files that appear whole or not at all, and are read without trusting them. No torch at import."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from core.errors import RunError

LOCK = ".lock"
LOCK_SECONDS = 30.0
RESERVE = ".reserve"
RESERVE_BYTES = 32_768  # a status, an event and some lines of a log, each in blocks of their own
MAX_JSON_BYTES = 8_000_000
Signature = tuple[int, int, int]
_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFull(RunError):
    """The disk took no more; what was there before is intact."""


def write_bytes(path: Path, data: bytes) -> None:
    """Put a file in place whole: written beside it, flushed to the disk, renamed over it.

    Raises:
        DiskFull: the disk or the user's quota is full; the old file is still there.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        try:
            with open(beside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            # First of all give the space back: the words about the failure need some.
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
    except OSError as error:
        raise _worded(error, path) from error
    _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Put a JSON file in place whole.

    Raises:
        DiskFull: as `write_bytes`.
    """
    write_bytes(path, json.dumps(value, indent=1, allow_nan=False).encode())


def save_tensors(path: Path, value: Any) -> None:
    """Put a torch file of tensors and plain values in place whole; equal values give equal bytes.

    Raises:
        DiskFull: as `write_bytes`.
    """
    import torch

    # Through memory: torch's own writer reports a full disk as a failure without a reason.
    buffer = io.BytesIO()
    torch.save(value, buffer)
    write_bytes(path, buffer.getvalue())


def append(path: Path, data: bytes) -> None:
    """Add to the end of a file in one write.

    Raises:
        DiskFull: as `write_bytes`; the file may end in a piece of the data.
    """
    try:
        with open(path, "ab", buffering=0) as file:
            file.write(data)
    except OSError as error:
        raise _worded(error, path) from error


def signature(path: Path) -> Signature | None:
    """What tells one state of a file from another; None: there is no file.

    Ours are replaced, never written in place, so a file with the same inode, size and time is the same file.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def read_json(path: Path) -> Any:
    """What a JSON file holds. The value may be shared with other readers: look, don't touch.

    Raises:
        RunError: the file is missing, larger than any of ours or no JSON.
    """
    now, known = signature(path), _parsed.get(path)
    if known is not None and known[0] == now:
        return known[1]
    if now is not None and now[1] > MAX_JSON_BYTES:
        raise RunError(f"{path.name} has {now[1]:,} bytes; at most {MAX_JSON_BYTES:,} are read.")
    try:
        value = parse_json(path.read_bytes(), path.name)
    except FileNotFoundError:
        raise RunError(f"{path.name} is missing.") from None
    except OSError as error:
        raise RunError(f"{path.name} cannot be read: {error.strerror}.") from None
    with _parsed_lock:
        _parsed.pop(path, None)
        _parsed[path] = (now, value)
        while len(_parsed) > _PARSED_MOST:
            del _parsed[next(iter(_parsed))]
    return value


def parse_json(data: bytes, name: str) -> Any:
    """What JSON text holds; infinities and NaN, which JSON doesn't have, are refused too.

    Raises:
        RunError: it is no JSON.
    """
    try:
        return json.loads(data, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise RunError(f"{name} is damaged: it holds no JSON.") from None


def _refused(word: str) -> None:
    raise ValueError(word)


# Pages poll hundreds of small files that hardly ever change.
_parsed: dict[Path, tuple[Signature | None, Any]] = {}
_parsed_lock = threading.Lock()
_PARSED_MOST = 4_000


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the one lock of a checkpoints folder; the system frees it when its holder dies.

    Raises:
        RunError: somebody else held it for half a minute, or the system refused what was done under it.
        DiskFull: there was no room for it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / LOCK, timeout=LOCK_SECONDS):
            yield
    except filelock.Timeout:
        raise RunError(
            f"the list of runs has been in use for {LOCK_SECONDS:.0f} seconds; "
            f"see which program holds {folder / LOCK}."
        ) from None
    except OSError as error:
        raise _worded(error, Path(str(error.filename or folder))) from error


def reserve(folder: Path) -> None:
    """Keep a little room on the disk, so that there is some left to say that it is full.

    Raises:
        DiskFull: there is none already.
    """
    write_bytes(
        folder / RESERVE, os.urandom(RESERVE_BYTES)
    )  # zeros would take no room on a disk that packs


def release(folder: Path) -> None:
    """Give the reserved room back."""
    with contextlib.suppress(OSError):
        (folder / RESERVE).unlink()


def sweep(folder: Path) -> None:
    """Remove what writers that were killed have left half written in a folder."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()


def full_disk(path: Path) -> DiskFull:
    """The sentence that names a full disk."""
    return DiskFull(
        f"the disk is full: {path.name} could not be saved; what was saved before is intact. "
        "Make room, then resume."
    )


def _worded(error: OSError, path: Path) -> RunError:
    if error.errno in _FULL:
        return full_disk(path)
    return RunError(f"{path.name} could not be written: {error.strerror}.")


def _sync_folder(folder: Path) -> None:
    # A rename is on the disk only when its folder is; Windows can neither do this nor needs it.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
