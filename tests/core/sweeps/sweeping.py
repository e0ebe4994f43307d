"""A sweep whose runs cost nothing: the worker's own code, with made-up epochs in place of training.

As a program, `python -m tests.core.sweeps.sweeping STORAGE FOLDER LEDGER NAME [hold]`, it works on a sweep and
writes each run that begins and ends into the ledger; with "hold" it stays in the middle of its first run.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.sweeps import space as sweep_space
from core.sweeps import storage as sweep_storage
from core.sweeps import worker as sweep_worker
from core.sweeps.sweep import Sweep
from core.training.results import EpochResult

TOTAL = 1_000


def made(name: str = "made", vary: dict[str, Any] | None = None, **more: Any) -> Sweep:
    """The description of a quick sweep."""
    config = RunConfig(architecture="original-3762", epochs=more.pop("epochs", 2), holdout=TOTAL)
    space = vary or {
        "max_lr": {"low": 0.01, "high": 0.1, "log": True},
        "ema_decay": {"choices": [0.0, 0.9]},
    }
    return Sweep(
        name,
        config,
        sweep_space.read_space(space, config),
        **{"sampler": "random", "runs": 4, **more},
    )


def row(epoch: int, correct: int, seconds: float = 1.0) -> EpochResult:
    """An epoch that names so many of the held-out images rightly."""
    return EpochResult(epoch, 0.1, seconds, 0.5, 900, 1_000, 0.5, correct, TOTAL)


def epochs(job: sweep_worker.Job, go_on: Callable[[], bool]) -> Iterator[EpochResult]:
    """Epochs that are the better, the nearer the rate is to 0.05."""
    reached = round(TOTAL * (0.99 - abs(job.config.max_lr - 0.05)))
    for epoch in range(1, job.config.epochs + 1):
        yield row(epoch, reached - 50 * (job.config.epochs - epoch))
        if not go_on():
            raise sweep_worker.Left


def work(name: str = "made", train: Any = epochs, **more: Any) -> tuple[Any, list[str]]:
    """Work on a sweep in this process: what it has found then, and what it said."""
    said: list[str] = []
    return sweep_worker.work(name, say=said.append, train=train, **more), said


def main() -> None:
    """Work on a sweep."""
    url, folder, ledger, name, *hold = sys.argv[1:]
    sweep_storage.HEARTBEAT, sweep_storage.GRACE, sweep_worker.LOOK = 1, 8, 0.3  # seconds

    def note(word: str, place: int) -> None:
        with open(ledger, "ab", buffering=0) as file:
            file.write(f"{word} {place} {os.getpid()}\n".encode())

    def train(job: sweep_worker.Job, go_on: Callable[[], bool]) -> Iterator[EpochResult]:
        note("began", job.place)
        for result in epochs(job, go_on):
            yield result
            time.sleep(600 if hold else 0.1)
        note("ended", job.place)

    sweep_worker.work(name, url, Path(folder), say=lambda words: None, train=train)


if __name__ == "__main__":
    main()
