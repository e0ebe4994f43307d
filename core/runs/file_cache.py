"""Values computed from files, kept in memory until the files change. Must not import torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

Signature = tuple[int, int, int]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def file_signature(path: Path) -> Signature | None:
    """Return inode, size and modification time of a file; None where there is no file.

    Our files are replaced, never rewritten in place, so an equal signature means an equal file.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


class FileCache(Generic[K, V]):
    """A bounded cache whose entries are valid for one signature; the least recently used one goes.

    Args:
        max_entries: number of values to keep.
    """

    def __init__(self, max_entries: int):
        self.max_entries = max_entries
        self._entries: dict[K, tuple[Hashable, V]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, signature: Hashable, compute: Callable[[], V]) -> V:
        """Return the value of a key, computed again when the signature differs from the last one.

        Args:
            key: what the value belongs to, usually a path.
            signature: taken from the files before they are read, so that a change between the two
                is noticed at the next call.
            compute: makes the value; what it raises is passed on, and nothing is kept.
        """
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is not None and entry[0] == signature:
                self._entries[key] = entry  # now the most recently used one
                return entry[1]
        value = compute()
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = (signature, value)
            while len(self._entries) > self.max_entries:
                del self._entries[next(iter(self._entries))]
        return value
