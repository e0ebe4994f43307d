"""Runs with chosen results."""

from __future__ import annotations

import datetime
from pathlib import Path

from core.recipes import RECIPES
from core.runs.run import Run
from core.training.results import EpochResult
from tests.made import RUNTIME


def run_of(recipe: str, rows, **changes) -> Run:
    now = datetime.datetime.now(datetime.UTC)
    config = RECIPES[recipe].config.changed(**changes)
    return Run(
        recipe,
        Path(recipe),
        config,
        now,
        recipe,
        None,
        "",
        (),
        RUNTIME,
        None,
        "finished",
        "",
        now,
        tuple(rows),
    )


def row(epoch: int, train: int, val: int, val_loss: float = 0.02) -> EpochResult:
    return EpochResult(epoch, 0.01, 10.0, 0.05, train, 60_000, val_loss, val, 10_000)
