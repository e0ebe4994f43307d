"""A sweep without training: the real worker, with made-up epochs.

As a program, `python -m tests.core.sweeps.sweeping STORAGE FOLDER LEDGER NAME [hold]`, it works on
a sweep and notes each start and end of a run in the ledger; with "hold" it stays in its first run.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.sweeps import space as search_space
from core.sweeps import storage as sweep_storage
from core.sweeps import worker as sweep_worker
from core.sweeps.sweep import Sweep
from core.sweeps.training import Interrupted, Job
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
        search_space.read_space(space, config),
        **{"sampler": "random", "runs": 4, **more},
    )


def row(epoch: int, correct: int, seconds: float = 1.0) -> EpochResult:
    """An epoch with so many correct validation images."""
    return EpochResult(epoch, 0.1, seconds, 0.5, 900, 1_000, 0.5, correct, TOTAL)


def epochs(job: Job, should_continue: Callable[[], bool]) -> Iterator[EpochResult]:
    """Epochs whose accuracy is the higher, the nearer the rate is to 0.05."""
    reached = round(TOTAL * (0.99 - abs(job.config.max_lr - 0.05)))
    for epoch in range(1, job.config.epochs + 1):
        yield row(epoch, reached - 50 * (job.config.epochs - epoch))
        if not should_continue():
            raise Interrupted


def work(name: str = "made", train: Any = epochs, **more: Any) -> tuple[Any, list[str]]:
    """Work on a sweep in this process; return its state and the lines reported."""
    lines: list[str] = []
    return sweep_worker.run_worker(name, report=lines.append, train=train, **more), lines


def main() -> None:
    """Work on a sweep."""
    url, folder, ledger, name, *hold = sys.argv[1:]
    sweep_storage.HEARTBEAT, sweep_storage.GRACE = 1, 8
    sweep_worker.LOOK_SECONDS = 0.3

    def note(word: str, slot: int) -> None:
        with open(ledger, "ab", buffering=0) as file:
            file.write(f"{word} {slot} {os.getpid()}\n".encode())

    def train(job: Job, should_continue: Callable[[], bool]) -> Iterator[EpochResult]:
        note("began", job.slot)
        for result in epochs(job, should_continue):
            yield result
            time.sleep(600 if hold else 0.1)
        note("ended", job.slot)

    sweep_worker.run_worker(name, url, Path(folder), report=lambda line: None, train=train)


if __name__ == "__main__":
    main()
