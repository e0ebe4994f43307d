"""Every test here has an empty checkpoints folder; `quick` removes the waiting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from core.sweeps import storage as sweep_storage
from core.sweeps import worker as sweep_worker


@pytest.fixture(autouse=True)
def folder(folder: Path) -> Path:
    """An empty checkpoints folder, also for tests that do not ask for one."""
    return folder


@pytest.fixture
def quick(monkeypatch) -> Iterator[None]:
    """Sweeps that wait neither for other workers nor for the disk."""

    def skip_sync(connection, record):
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    monkeypatch.setattr(sweep_worker, "LOOK_SECONDS", 0.0)
    event.listen(Engine, "connect", skip_sync)
    yield
    event.remove(Engine, "connect", skip_sync)
    sweep_storage._open.cache_clear()
