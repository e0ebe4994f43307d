"""Zip files that cannot be trusted, opened only when their central directory is short.

`zipfile` builds an object for each entry when it opens a file, so a few megabytes of made-up
entries would take hundreds of megabytes of memory.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
from collections.abc import Iterator
from typing import IO

from core.errors import RunError, UserError

ENTRY_BYTES = 400  # an entry takes 46, its name and extra fields
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_TAIL = 56 + 20 + 22  # the three records that may end a zip


@contextlib.contextmanager
def open_zip(file: IO[bytes], name: str, max_entries: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading.

    Args:
        file: the file, open for reading.
        name: name of the file, for error messages.
        max_entries: number of entries that it may have.

    Raises:
        RunError: it is not a zip file, has more entries, or breaks while it is read.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    length = _directory_bytes(tail)
    if length is None:
        raise RunError(f"{name} is not a zip file, or it is damaged.")
    if length > max_entries * ENTRY_BYTES:
        raise RunError(f"{name} holds far more files than the {max_entries} expected.")
    try:
        with zipfile.ZipFile(file) as archive:
            if len(archive.infolist()) > max_entries:
                count = len(archive.infolist())
                raise RunError(f"{name} holds {count} files; at most {max_entries} are expected.")
            yield archive
    except UserError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds over a made-up file
        raise RunError(f"{name} cannot be read ({type(error).__name__}).") from None


def _directory_bytes(tail: bytes) -> int | None:
    """Return the size of the central directory, from the last records of the file."""
    end = tail[-22:]
    if len(end) < 22 or not end.startswith(_END) or end[20:22] != b"\0\0":
        return None  # cut off, or with a comment
    if not tail[-42:].startswith(_LOCATOR_64):
        return int(struct.unpack_from("<I", end, 12)[0])
    record = tail[-98:]
    if len(record) < 98 or not record.startswith(_END_64):
        return None
    return int(struct.unpack_from("<Q", record, 40)[0])
