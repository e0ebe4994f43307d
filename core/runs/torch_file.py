"""Torch files of tensors and plain values: the local state to resume from, never uploaded."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from core.errors import RunError
from core.runs import files


def save(path: Path, value: Any) -> None:
    """Replace a torch file atomically; equal values give equal bytes.

    Raises:
        DiskFullError, RunError: as `files.write_bytes`.
    """
    import torch

    # Written through memory: torch's own writer reports a full disk as a failure without a reason.
    buffer = io.BytesIO()
    torch.save(value, buffer)
    files.write_bytes(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """Load what `save` saved, on the CPU, with `weights_only=True`.

    Raises:
        RunError: the file is missing, damaged, or holds anything but tensors and plain values.
    """
    import torch

    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(f"{path.name} is missing.") from None
    except MemoryError:
        raise
    except Exception as error:  # torch raises nearly anything over a damaged file
        raise RunError(f"{path.name} is damaged ({type(error).__name__}).") from None
    if not isinstance(value, dict):
        raise RunError(f"{path.name} does not hold named values.")
    return value
