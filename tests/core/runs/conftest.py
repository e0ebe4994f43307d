"""A checkpoints folder for each test, and runs that train within milliseconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import RunConfig
from core.data.dataset import Mnist
from core.runs import archive, creation, events, store, worker
from core.runs.run import Run

LINEAR = (
    {"kind": "avgpool", "kernel": 4, "stride": 4},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
NORMED = (
    {"kind": "avgpool", "kernel": 4, "stride": 4},
    {"kind": "conv", "channels": 4, "kernel": 3, "norm": "batch", "bias": False},
    {"kind": "dropout", "p": 0.2},
    {"kind": "linear", "channels": 10, "activation": "none"},
)


@pytest.fixture(autouse=True)
def checkpoints(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkpoints folder that the environment names; runs train one at a time."""
    for name in list(os.environ):
        if name.startswith("INKLING_") and name not in ("INKLING_DATA", "INKLING_CACHE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("INKLING_RUNNING", "1")
    folder = tmp_path_factory.mktemp("checkpoints")
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(folder))
    # What a power cut would do is not tried here, and the disk need not be waited for.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return folder


@pytest.fixture
def tiny() -> RunConfig:
    """600 synthetic digits in 6 steps, 3 epochs, a few milliseconds each."""
    return RunConfig(
        layers=LINEAR,
        batch_size=100,
        epochs=3,
        max_lr=0.05,
        device="cpu",
        precision="fp32",
        threads=1,
    )


@pytest.fixture
def full(tiny: RunConfig) -> RunConfig:
    """As tiny, with everything that a state must hold: dropout, norms, momentum, averaging."""
    return tiny.changed(
        layers=NORMED, ema_decay=0.9, weight_decay=0.001, nesterov=True, momentum_cycle=True
    )


@pytest.fixture
def trained(tiny: RunConfig, digits: Mnist) -> Callable[..., Run]:
    """Makes and trains a run in this process."""

    def make(name: str = "trained", config: RunConfig = tiny) -> Run:
        run = creation.create_run(config, name)
        assert worker.train(run.folder, digits) == "finished"
        return store.open_run(name)

    return make


@pytest.fixture
def outcome() -> Callable[[Run], dict[str, object]]:
    """What must not depend on interruptions: weights bit for bit, and the table except seconds."""

    def of(run: Run) -> dict[str, object]:
        rows = [{**row.to_dict(), "seconds": 0} for row in run.epochs]
        return {
            "last": (run.folder / "last.safetensors").read_bytes(),
            "best": (run.folder / "best.safetensors").read_bytes(),
            "epochs": {path.name: path.read_bytes() for path in (run.folder / "epochs").glob("*")},
            "rows": rows,
            "test": run.test,
        }

    return of


@pytest.fixture
def kinds() -> Callable[[Run], list[str]]:
    """The kinds of a run's events, without batches and sizes of steps."""
    return lambda run: [
        event["kind"]
        for event in events.read(run.folder / events.NAME)
        if event["kind"] not in ("batch", "update")
    ]


@pytest.fixture
def exported(trained):
    """A run and its zip."""
    run = trained("a")
    return run, archive.export_run(run)
