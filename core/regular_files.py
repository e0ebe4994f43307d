"""Reading files named by a user: regular files of bounded size only.

A device such as /dev/zero or a named pipe would otherwise be read without end.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Read a regular file.

    Args:
        path: The file; symbolic links are followed.
        max_bytes: Size above which it is not read.

    Raises:
        OSError: It is missing, unreadable, too large or not a regular file; `strerror` says which.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except ValueError:  # a null character in the path
        raise OSError(errno.EINVAL, "not a valid path") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes", str(path))
    return data


_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
