"""Every test here has an empty checkpoints folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def folder(folder: Path) -> Path:
    """An empty checkpoints folder, also for tests that do not ask for one."""
    return folder
