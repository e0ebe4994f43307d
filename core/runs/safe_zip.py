"""Zip files that cannot be trusted, opened only when they have few entries.

`zipfile` builds an object for each entry when it opens a file, so a few megabytes of made-up
entries would take hundreds of megabytes of memory.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator

from core.errors import RunError, UserError

_ENTRY = b"PK\x01\x02"  # begins each entry of a central directory


@contextlib.contextmanager
def open_zip(data: bytes, name: str, max_entries: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading.

    Args:
        data: the file.
        name: name of the file, for error messages.
        max_entries: number of entries that it may have, in all its central directories together.

    Raises:
        RunError: it is not a zip file, has more entries, or breaks while it is read.
    """
    # Counted in the bytes themselves: a file may hold several directories, and which one counts
    # depends on the program that reads it.
    if data.count(_ENTRY) > max_entries:
        raise RunError(f"{name} holds more than the {max_entries:,} files that are allowed.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except UserError:
        raise
    except zipfile.BadZipFile:
        raise RunError(f"{name} is not a zip file, or it is damaged.") from None
    except Exception as error:  # zipfile raises a dozen kinds over a made-up file
        raise RunError(f"{name} cannot be read ({type(error).__name__}).") from None
