"""Train the runs of a sweep's slots through this machine's queue. No optuna, no torch at import."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.config import RunConfig
from core.errors import RunError, UserError
from core.limits import Limits
from core.runs import control, creation, run_names, run_queue, store
from core.sweeps.sweep import AIMS, Sweep
from core.training.results import EpochResult
from core.training.stacking import MAY_DIFFER, can_stack

POLL_SECONDS = 0.3
STOP_SECONDS = 30.0
MAX_CRASHES = 2  # after which a run is not resumed
# Runs that train together in a search that learns from results: the more of them, the less each
# one's values owe to the results of the others.
MAX_LEARNING = 8
_LEARNING_SAMPLERS = ("tpe", "nsga2")


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


Epochs = Generator[EpochResult | None, None, None]
Train = Callable[[Job, Callable[[], bool]], Epochs]
"""Yields a job's epochs, and None where there is nothing new yet and the caller should wait; raises
Interrupted soon after the given function returns False."""


def count_together(sweep: Sweep, folder: Path) -> int:
    """Return how many runs of a sweep a worker trains at the same time.

    It is 1, except where a GPU trains runs that differ only in numbers as one stack: then as many
    as a stack and the queue may hold, and at most MAX_LEARNING where the sampler or the pruner
    learns from results. A sweep for little training time needs the time of each run by itself.

    Args:
        sweep: the sweep.
        folder: the checkpoints folder.

    Raises:
        ConfigError: a limit of this machine is not valid.
    """
    if (
        not run_queue.trains_on_gpu(sweep.config)
        or not can_stack(sweep.config)
        or not set(sweep.space) <= set(MAY_DIFFER)
        or "seconds" in AIMS[sweep.aim]
    ):
        return 1
    limits = Limits.from_environment()
    most = min(limits.stacked, limits.max_queue - len(run_queue.list_waiting(folder)))
    if sweep.sampler in _LEARNING_SAMPLERS or sweep.pruner != "none":
        most = min(most, MAX_LEARNING)
    return max(1, most)


def submit_together(jobs: Sequence[Job]) -> None:
    """Create the runs of jobs in one checkpoints folder, and queue them before any of them starts.

    What fails is left to `train_in_queue`, which tries it again for each run.
    """
    names, folder = [], jobs[0].folder
    for job in jobs:
        with contextlib.suppress(UserError):
            _create(job)
            if store.open_run(job.name, folder).can_resume:
                names.append(job.name)
    with contextlib.suppress(UserError):
        run_queue.submit_all(names, folder)


def train_in_queue(job: Job, should_continue: Callable[[], bool]) -> Epochs:
    """Train a job as an ordinary run, in the queue with all others, and yield its epochs.

    Raises:
        TrainingFailed: the run diverged, failed, or was stopped by somebody else.
        Interrupted: it was stopped because `should_continue` is False.
        UserError: the run exceeds this machine's limits.
    """
    name, folder = job.name, job.folder
    _create(job)
    if store.open_run(name, folder).can_resume:
        run_queue.submit(name, folder)
    shown = crashes = 0
    while True:
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
            _request_stop(name, folder)
            until = time.monotonic() + STOP_SECONDS
            while not _is_idle(name, folder) and time.monotonic() < until:
                yield None
            raise Interrupted
        yield None


def wait_for_runs(folder: Path) -> None:
    """Start waiting runs where slots are free, and wait a moment."""
    run_queue.start_waiting(folder)
    time.sleep(POLL_SECONDS)


def stop_runs(jobs: Iterable[Job]) -> None:
    """Stop the runs of jobs at the same time, and wait until they have ended."""
    names = {job.name: job.folder for job in jobs}
    for name, folder in names.items():
        _request_stop(name, folder)
    until = time.monotonic() + STOP_SECONDS
    while not all(_is_idle(*each) for each in names.items()) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


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


def _create(job: Job) -> None:
    if not (job.folder / job.name).exists():
        creation.create_run(
            job.config,
            job.name,
            recipe=job.sweep.recipe,
            tags=(job.sweep.name,),
            owner=job.sweep.owner,
            is_tested=False,
            folder=job.folder,
        )


def _request_stop(name: str, folder: Path) -> None:
    with contextlib.suppress(RunError):  # it has just ended
        control.stop(name, folder)


def _is_idle(name: str, folder: Path) -> bool:
    """Whether a run neither trains nor waits, or there is no such run."""
    try:
        run = store.open_run(name, folder)
    except RunError:
        return True
    return not run.is_live and run.state != "queued"
