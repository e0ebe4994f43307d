"""A checkpoints folder for each test, and groups of made-up runs that reach given accuracies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from core.experiments.repeats import Group, open_group
from core.runs import files
from core.runs.run import Run
from core.runs.store import open_run
from core.sweeps import storage as sweep_storage
from core.sweeps import worker as sweep_worker
from tests.made import made_run


@pytest.fixture(autouse=True)
def folder(folder: Path) -> Path:
    """An empty checkpoints folder, whether a test asks for it or not."""
    return folder


@pytest.fixture
def reaching(folder: Path) -> Callable[..., Run]:
    """Makes a run whose last epoch names so many of 10,000 test images rightly."""

    def make(name: str, correct: int, **more) -> Run:
        run = made_run(folder, name, **more)
        rows = files.read_json(run.folder / "epochs.json")
        files.write_json(
            run.folder / "epochs.json", [*rows[:-1], {**rows[-1], "val_correct": correct}]
        )
        return open_run(name)

    return make


@pytest.fixture
def group(reaching) -> Callable[..., Group]:
    """Makes a group whose runs, of seeds from 1 or those given, reach so many right answers each."""

    def make(name: str, correct: Sequence[int], seeds: Sequence[int] = (), **more) -> Group:
        for seed, each in zip(seeds or range(1, len(correct) + 1), correct, strict=True):
            reaching(f"{name}-s{seed}", each, group=name, seed=seed, **more)
        return open_group(name)

    return make


@pytest.fixture
def quick(monkeypatch) -> Iterator[None]:
    """No waiting, neither for others nor for the disk."""

    def careless(connection, record):
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    monkeypatch.setattr(sweep_worker, "LOOK", 0.0)
    event.listen(Engine, "connect", careless)
    yield
    event.remove(Engine, "connect", careless)
    sweep_storage._connect.cache_clear()
