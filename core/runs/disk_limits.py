"""How many runs there may be and how much disk they may use. Must not import torch."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from core.errors import LimitError
from core.limits import Limits
from core.runs.folders import list_entries


def measure_bytes(folder: Path) -> int:
    """Return the total size of a folder's files, deleted runs included; links are not followed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def check_disk(folder: Path, limits: Limits) -> None:
    """Refuse to write more where the runs already use all the disk they may.

    Raises:
        LimitError: too much disk is used.
    """
    used = measure_bytes(folder)
    if used >= limits.max_disk_mb * 1_000_000:
        raise LimitError(
            f"the runs use {used / 1e6:,.0f} MB of the {limits.max_disk_mb:,} MB that they may use "
            "here; delete some and empty the bin, or raise INKLING_MAX_DISK_MB."
        )


def check_limits(folder: Path, limits: Limits) -> None:
    """Refuse another run where there are too many already, or where they use too much disk.

    Raises:
        LimitError: too many runs, or too much disk is used.
    """
    count = len(list_entries(folder))
    if count >= limits.max_runs:
        raise LimitError(
            f"there are already {count:,} runs; delete some, or raise INKLING_MAX_RUNS."
        )
    check_disk(folder, limits)
