"""The numba decorator of the loops in this package.

Each loop runs on the calling thread and releases the interpreter's lock. It is compiled once and
cached on disk.
"""

from __future__ import annotations

from typing import Any

from numba import njit

# Sums may be reordered, but NaN and infinity keep their meaning: divergence must be noticed.
compiled: Any = njit(
    nogil=True,
    boundscheck=False,
    error_model="numpy",
    cache=True,
    fastmath={"reassoc", "contract", "arcp", "nsz"},
)
