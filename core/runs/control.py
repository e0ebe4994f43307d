"""Controlling runs: stop, pause, resume, one epoch, another learning rate, fork.

Requests to a run that is training go through a file that its worker polls ten times a second. Must
not import torch at module level.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.config import NO_DIGITS
from core.errors import RunError
from core.limits import Limits
from core.runs import files, run_queue, status, weights
from core.runs.creation import create_run
from core.runs.digit_file import RunDigits, copy_set, find_learned, own_digits_of
from core.runs.folders import checkpoints_folder
from core.runs.run import Run
from core.runs.run_schema import EPOCH_WEIGHTS
from core.runs.store import open_run
from core.training.plan import plan

WAIT_SECONDS = 0.1


def stop(name: str, folder: Path | None = None) -> Run:
    """Stop a run that is training, waiting or paused; it can be resumed.

    A worker stops within one or two seconds; see `wait_until_idle`.

    Raises:
        RunError: it is none of these.
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
        raise RunError(f"{name} is not training: it is {run.state}.")
    return open_run(name, folder)


def pause(name: str, folder: Path | None = None, *, after_epoch: bool = False) -> Run:
    """Pause a run that is training; its process ends and its slot is free.

    Args:
        name: name of the run.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        after_epoch: pause at the end of the epoch instead of at once.

    Raises:
        RunError: it is not training.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        run = open_run(name, folder)
        if not run.is_live:
            raise RunError(f"{name} is not training: it is {run.state}.")
        status.write_request(run.folder, "pause-after-epoch" if after_epoch else "pause")
    return open_run(name, folder)


def resume(name: str, folder: Path | None = None, *, limits: Limits | None = None) -> Run:
    """Queue a run to continue from where it was left, or withdraw a pause that is still pending.

    Raises:
        RunError: it cannot be resumed; the message says why and what to do instead.
        LimitError: the queue is full, or the run is larger than the limits allow.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        run = open_run(name, folder)
        if run.is_live and status.read_request(run.folder) in ("pause", "pause-after-epoch"):
            status.clear_request(run.folder)
            return open_run(name, folder)
    return run_queue.submit(name, folder, limits=limits)


def step(name: str, folder: Path | None = None, *, limits: Limits | None = None) -> Run:
    """Train until the end of the current epoch, then pause.

    Raises:
        RunError, LimitError: as `resume`.
    """
    folder = folder or checkpoints_folder()
    if open_run(name, folder).is_live:
        return pause(name, folder, after_epoch=True)
    return run_queue.submit(name, folder, one_epoch=True, limits=limits)


def scale_lr(name: str, factor: float, folder: Path | None = None) -> Run:
    """Multiply the learning rate of the schedule from now on; the worker records where.

    Args:
        name: name of a run that is training or can be resumed.
        factor: 0.001 to 1000, relative to the schedule; 1 restores it.
        folder: the checkpoints folder; None: `checkpoints_folder()`.

    Raises:
        RunError: the run has ended, or the factor is out of range.
    """
    folder = folder or checkpoints_folder()
    if not status.MIN_LR_FACTOR <= factor <= status.MAX_LR_FACTOR:
        raise RunError(
            f"the learning rate can be multiplied by {status.MIN_LR_FACTOR:g} to "
            f"{status.MAX_LR_FACTOR:g}, not by {factor:g}."
        )
    with files.lock_folder(folder):
        run = open_run(name, folder)
        if not (run.is_live or run.state == "queued" or run.can_resume):
            raise RunError(
                f"{name} is {run.state}; the learning rate changes only in a run that is training "
                "or can be resumed."
            )
        status.write_lr_factor(run.folder, float(factor))
    return open_run(name, folder)


def fork(
    name: str,
    to: str,
    changes: Mapping[str, Any] | None = None,
    which: str | int = "last",
    folder: Path | None = None,
    *,
    owner: str | None = None,
    title: str | None = None,
    tags: tuple[str, ...] = (),
    digits: RunDigits | None = None,
    number_if_taken: bool = False,
    limits: Limits | None = None,
) -> Run:
    """Create a run that starts from another run's weights, and records it as its parent.

    Args:
        name: name of the parent.
        to: name of the new run.
        changes: fields of the config that differ; the layers must stay the same.
        which: "last" or "best" weights of the parent, or the number of an epoch: those after it.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        owner, title, tags, number_if_taken: as `create_run`.
        digits: own digits to learn from; None: those of the parent where the config keeps its set,
            else those of the set.
        limits: limits of this machine; None: from the environment.

    Raises:
        RunError: the parent has no weights yet or has not kept those of the epoch, or the name is
            invalid or taken.
        UserError: the changed config cannot be trained, needs other weights or is too large.
    """
    folder = folder or checkpoints_folder()
    parent = open_run(name, folder)
    config = parent.config.changed(**(changes or {}))
    start = parent.weights_path(which)
    if digits is None and config.digits == parent.config.digits:
        digits = own_digits_of(config, parent.folder)
    elif digits is None and config.digits != NO_DIGITS:
        digits = copy_set(config.digits, folder)
    if isinstance(which, int):
        origin, epoch = EPOCH_WEIGHTS, which
    else:
        row = parent.last if which == "last" else parent.best
        origin, epoch = which, row.epoch if row else 0
    if weights.expected_tensors(plan(config).rows) != weights.expected_tensors(
        plan(parent.config).rows
    ):
        raise RunError(
            f"the weights of {name} do not fit another network; keep its architecture and layers."
        )
    if digits is not None:
        learned = _find_learned_before(parent, epoch, folder)
        own = {digit.key for digit in digits.digits}
        digits = replace(digits, learned_before=learned & own)
    return create_run(
        config,
        to,
        recipe=parent.recipe,
        parent={"name": name, "which": origin, "epoch": epoch},
        start=start.read_bytes(),
        digits=digits,
        owner=owner,
        title=title,
        tags=tags,
        number_if_taken=number_if_taken,
        folder=folder,
        limits=limits,
    )


def _find_learned_before(run: Run, epoch: int, folder: Path) -> frozenset[str]:
    """Return the keys of the own digits that a run's weights after an epoch have been trained on.

    Those count, too, that the runs learned that it started from, as far as these still exist.
    """
    learned: frozenset[str] = frozenset()
    visited = set()
    with contextlib.suppress(RunError):  # a run that was deleted or damaged since
        while run.name not in visited:
            visited.add(run.name)
            own = own_digits_of(run.config, run.folder)
            if own is not None:
                learned |= find_learned(run.config, own) if epoch else own.learned_before
            if run.parent is None:
                break
            epoch = run.parent["epoch"]
            run = open_run(run.parent["name"], folder)
    return learned


def wait_until_idle(name: str, folder: Path | None = None, *, seconds: float = 10.0) -> Run:
    """Wait until a run neither trains nor waits, at most so many seconds, and return it."""
    folder = folder or checkpoints_folder()
    until = time.monotonic() + seconds
    while (run := open_run(name, folder)).is_live or run.state == "queued":
        if time.monotonic() > until:
            break
        time.sleep(WAIT_SECONDS)
    return run
