"""What a person does with a run: stop, pause, go on, one epoch, another learning rate, fork. No torch.

A run that trains is asked, through a file that its worker looks for ten times a second; nobody else is signalled.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import RunError
from core.limits import Limits
from core.runs import files, run_queue, status, weights
from core.runs.creation import create_run
from core.runs.folders import checkpoints_folder
from core.runs.run import Run
from core.runs.store import open_run
from core.training.plan import plan

WAIT_SECONDS = 0.1


def stop(name: str, folder: Path | None = None) -> Run:
    """Stop a run that trains (within a second or two, see `wait`), waits or is paused; it can be resumed.

    Raises:
        RunError: it does neither.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        run = open_run(name, folder)
        if run.is_live:
            status.write_request(run.folder, "stop")
        elif run.state == "paused":
            status.write(run.folder, "stopped", run.message)
    if run.state == "queued":
        return run_queue.remove(name, folder)
    if not run.is_live and run.state != "paused":
        raise RunError(f"{name} does not train: it is {run.state}.")
    return open_run(name, folder)


def pause(name: str, folder: Path | None = None, *, after_epoch: bool = False) -> Run:
    """Pause a run that trains, at once or at the end of its epoch; its process ends and its place is free.

    Raises:
        RunError: it does not train.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        run = open_run(name, folder)
        if not run.is_live:
            raise RunError(f"{name} does not train: it is {run.state}.")
        status.write_request(run.folder, "pause-after-epoch" if after_epoch else "pause")
    return open_run(name, folder)


def resume(name: str, folder: Path | None = None, *, limits: Limits | None = None) -> Run:
    """Go on with a run from where it was left, when the queue has a place; or take a pause back that is still asked.

    Raises:
        RunError: it cannot go on; the sentence says why and what to do instead.
        LimitError: the queue is full, or the run is larger than the machine lends.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        run = open_run(name, folder)
        if run.is_live and status.read_request(run.folder) in ("pause", "pause-after-epoch"):
            status.clear_request(run.folder)
            return open_run(name, folder)
    return run_queue.submit(name, folder, limits=limits)


def step(name: str, folder: Path | None = None, *, limits: Limits | None = None) -> Run:
    """Do one epoch (the rest of the one under way) and pause.

    Raises:
        RunError, LimitError: as `resume`.
    """
    folder = folder or checkpoints_folder()
    if open_run(name, folder).is_live:
        return pause(name, folder, after_epoch=True)
    return run_queue.submit(name, folder, one_epoch=True, limits=limits)


def scale_lr(name: str, factor: float, folder: Path | None = None) -> Run:
    """Multiply the schedule's learning rate from now on; the worker writes down where, and resuming keeps it.

    Args:
        name: a run that trains, or that can be resumed.
        factor: of the schedule's own rate, 0.001 to 1000; 1 gives it back.
        folder: the checkpoints folder.

    Raises:
        RunError: the run is done, or the factor is out of range.
    """
    folder = folder or checkpoints_folder()
    if not status.MIN_LR_FACTOR <= factor <= status.MAX_LR_FACTOR:
        raise RunError(
            f"the learning rate can be multiplied by {status.MIN_LR_FACTOR:g} to {status.MAX_LR_FACTOR:g}, "
            f"not by {factor:g}."
        )
    with files.lock_folder(folder):
        run = open_run(name, folder)
        if not (run.is_live or run.state == "queued" or run.can_resume):
            raise RunError(
                f"{name} is {run.state}; only a run that goes on can change its learning rate."
            )
        status.write_lr_factor(run.folder, float(factor))
    return open_run(name, folder)


def fork(
    name: str,
    to: str,
    changes: Mapping[str, Any] | None = None,
    which: str = "last",
    folder: Path | None = None,
    *,
    limits: Limits | None = None,
) -> Run:
    """Make a new run that begins with a run's weights; it keeps its parent's name, weights and epoch.

    Args:
        name: the parent.
        to: the new run's name.
        changes: fields of the config that differ; the network's layers cannot.
        which: "last" or "best" weights.
        folder: the checkpoints folder.
        limits: what the machine lends; None: from the environment.

    Raises:
        RunError: the parent has no weights yet, or the name cannot be had.
        UserError: the changed config makes no run, another network or too large a run.
    """
    folder = folder or checkpoints_folder()
    parent = open_run(name, folder)
    config = parent.config.changed(**(changes or {}))
    start = parent.weights_path(which)
    row = parent.last if which == "last" else parent.best
    if weights.expected_tensors(plan(config).rows) != weights.expected_tensors(
        plan(parent.config).rows
    ):
        raise RunError(
            f"the weights of {name} do not fit another network; keep its architecture and layers."
        )
    origin = {"name": name, "which": which, "epoch": row.epoch if row else 0}
    return create_run(
        config,
        to,
        recipe=parent.recipe,
        parent=origin,
        start=start.read_bytes(),
        folder=folder,
        limits=limits,
    )


def wait_until_idle(name: str, folder: Path | None = None, *, seconds: float = 10.0) -> Run:
    """The run once it neither trains nor waits, or as it is after so many seconds."""
    folder = folder or checkpoints_folder()
    until = time.monotonic() + seconds
    while (run := open_run(name, folder)).is_live or run.state == "queued":
        if time.monotonic() > until:
            break
        time.sleep(WAIT_SECONDS)
    return run
