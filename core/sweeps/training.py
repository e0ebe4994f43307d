"""Train the run of a sweep's slot through this machine's queue. No optuna, no torch at import."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from core.config import RunConfig
from core.errors import RunError
from core.runs import control, creation, run_names, run_queue, store
from core.sweeps.sweep import Sweep
from core.training.results import EpochResult

POLL_SECONDS = 0.3
STOP_SECONDS = 30.0
MAX_CRASHES = 2  # after which a run is not resumed


@dataclass(frozen=True, slots=True)
class Job:
    """The run to train for a slot."""

    sweep: Sweep
    slot: int
    name: str
    """Of the run."""
    config: RunConfig
    folder: Path
    """The checkpoints folder."""


class TrainingFailed(RunError):
    """A run cannot be trained to its end, now or later."""


class Interrupted(Exception):
    """A run was stopped before its end, as requested."""


Epochs = Generator[EpochResult, None, None]
Train = Callable[[Job, Callable[[], bool]], Epochs]
"""Yields a job's epochs; raises Interrupted soon after the given function returns False."""


def train_in_queue(job: Job, should_continue: Callable[[], bool]) -> Epochs:
    """Train a job as an ordinary run, in the queue with all others, and yield its epochs.

    Raises:
        TrainingFailed: the run diverged, failed, or was stopped by somebody else.
        Interrupted: it was stopped because `should_continue` is False.
        UserError: the run exceeds this machine's limits.
    """
    name, folder = job.name, job.folder
    if not (folder / name).exists():
        creation.create_run(
            job.config,
            name,
            recipe=job.sweep.recipe,
            tags=(job.sweep.name,),
            owner=job.sweep.owner,
            is_tested=False,
            folder=folder,
        )
    if store.open_run(name, folder).can_resume:
        run_queue.submit(name, folder)
    shown = crashes = 0
    try:
        while True:
            run_queue.start_waiting(folder)
            run = store.open_run(name, folder)
            for row in run.epochs[shown:]:
                shown += 1
                yield row
            if run.state == "finished":
                return
            if run.state == "crashed" and run.can_resume and crashes < MAX_CRASHES:
                crashes += 1
                run_queue.submit(name, folder)
            elif run.state == "stopped":
                raise TrainingFailed("the run was stopped by hand.")
            elif run.state in ("diverged", "failed", "crashed"):
                raise TrainingFailed(f"the run {run.state}: {run.message}")
            if not should_continue():
                _stop(name, folder)
                raise Interrupted
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        _stop(name, folder)
        raise


def choose_run_name(sweep: Sweep, slot: int, config: RunConfig, folder: Path) -> str:
    """The name of a slot's run; if a run with another config has it, a number is appended."""
    name = sweep.run_name(slot)
    if not (folder / name).exists():
        return name
    try:
        is_same = store.open_run(name, folder).config.changed(kept_epochs=0) == config
    except RunError:
        is_same = False
    return name if is_same else run_names.find_free_name(name, folder)


def _stop(name: str, folder: Path) -> None:
    with contextlib.suppress(RunError):  # it has just ended
        control.stop(name, folder)
    control.wait_until_idle(name, folder, seconds=STOP_SECONDS)
