"""Zip files from somewhere else, opened only when their list of contents is as short as it should be.

Python's reader builds an object for each entry before anyone can look, so a few megabytes of made-up entries would
cost hundreds in memory.
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
def opened(file: IO[bytes], name: str, most: int) -> Iterator[zipfile.ZipFile]:
    """A zip file to read from.

    Args:
        file: the file, open for reading.
        name: what to call it in errors.
        most: entries that it may have.

    Raises:
        RunError: it is no zip, has more entries, packs them in an unusual way, or breaks while it is read.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    length = _list_bytes(tail)
    if length is None:
        raise RunError(f"{name} is no zip file, or a damaged one.")
    if length > most * ENTRY_BYTES:
        raise RunError(f"{name} holds far more than it should.")
    try:
        with zipfile.ZipFile(file) as archive:
            if len(archive.infolist()) > most:
                raise RunError(
                    f"{name} holds {len(archive.infolist())} files; at most {most} are expected."
                )
            yield archive
    except UserError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds over a made-up file
        raise RunError(f"{name} cannot be read ({type(error).__name__}).") from None


def _list_bytes(tail: bytes) -> int | None:
    """Length of the list of contents, as the zip's last records tell it."""
    end = tail[-22:]
    if len(end) < 22 or not end.startswith(_END) or end[20:22] != b"\0\0":
        return None  # cut off, or with a comment, which neither torch nor we write
    if not tail[-42:].startswith(_LOCATOR_64):
        return int(struct.unpack_from("<I", end, 12)[0])
    record = tail[-98:]
    if len(record) < 98 or not record.startswith(_END_64):
        return None
    return int(struct.unpack_from("<Q", record, 40)[0])
