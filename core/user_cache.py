"""The folder in which this user's machine keeps what can be computed again.

Nothing in it is needed: what cannot be read or written is computed anew. Must not import torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder: $INKLING_CACHE, else `inkling` in the system's folder for caches.

    That is %LOCALAPPDATA% on Windows, ~/Library/Caches on macOS, and elsewhere $XDG_CACHE_HOME or
    ~/.cache (XDG Base Directory Specification). The folder need not exist.

    Args:
        environment: the variables of the environment.
    """
    if path := environment.get("INKLING_CACHE"):
        return Path(path).expanduser()
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        base = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
        if not base.is_absolute():  # the specification has such paths ignored
            base = home / ".cache"
    return base / "inkling"
