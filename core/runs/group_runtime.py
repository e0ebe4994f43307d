"""The runtime of a run of a group: one thread, and the format of the group's other runs.

The accuracies of a group are compared with each other, so its runs round alike: the first that
starts decides for all. Must not import torch at module level.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from core.errors import RunError
from core.runs.capacity import threads_of_config
from core.runs.run import Run
from core.runs.store import list_runs
from core.runtime import Runtime
from core.training.plan import plan

GROUPS = ".groups"
LOCK_SECONDS = 600.0  # another run of the group may benchmark, or load its data
NAMES_SECONDS = 60.0

if TYPE_CHECKING:
    from torch.nn import Module

    from core.data.dataset import Mnist


@contextlib.contextmanager
def hold_group(run: Run) -> Iterator[None]:
    """Hold a group's lock, so that its runs resolve and record their runtimes one after another.

    Otherwise runs that start at the same time could each decide by themselves. Nothing is held for
    a run without a group, or one that has its runtime.

    Raises:
        RunError: another run of the group held it for LOCK_SECONDS.
    """
    if run.group is None or run.runtime is not None:
        yield
        return
    with _hold(run.folder.parent, f"{run.group}.lock", LOCK_SECONDS):
        yield


@contextlib.contextmanager
def hold_names(folder: Path) -> Iterator[None]:
    """Hold a lock, so that two people cannot give two groups one name, or one seed twice.

    Raises:
        RunError: somebody else held it for NAMES_SECONDS.
    """
    with _hold(folder, ".names", NAMES_SECONDS):
        yield


@contextlib.contextmanager
def _hold(folder: Path, name: str, seconds: float) -> Iterator[None]:
    path = folder / GROUPS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunError(f"{path} has been locked for {seconds:.0f} seconds; try again.") from None
    try:
        yield
    finally:
        lock.release()


def computes_in(run: Run, precision: str) -> bool:
    """Whether a run may compute in a precision: no run of its group computes in another one."""
    first = first_runtime(run) if run.group is not None else None
    return first is None or first.precision == precision


def resolve_group_runtime(run: Run, data: Mnist, teacher: Module | None) -> Runtime | None:
    """Return the runtime to train a run with; None for one that the trainer resolves by itself.

    Args:
        run: the run; its own runtime, if it was started before, is kept.
        data, teacher: as of `core.training.runtime.resolve_runtime`.

    Raises:
        ConfigError: the device is not available.
    """
    if run.runtime is not None or run.group is None:
        return run.runtime
    from core.training.layouts import layouts
    from core.training.runtime import choose_device, resolve_runtime

    config, device = run.config, choose_device(run.config.device)
    if device.type == "cpu":
        config = config.changed(threads=threads_of_config(run))
    first = first_runtime(run)
    if (
        first is None
        or first.device != device.type
        or first.layout not in layouts(first.precision, device, plan(config))
    ):
        return resolve_runtime(plan(config), data, teacher)
    resolved = resolve_runtime(plan(config.changed(precision=first.precision)), data, teacher)
    return resolved.changed(
        layout=first.layout,
        benchmarked=first.benchmarked,
        teacher_precision=first.teacher_precision,
    )


def first_runtime(run: Run) -> Runtime | None:
    """Return the runtime of the run of a run's group that was created first, if one has started."""
    started = [
        other
        for other in list_runs(run.folder.parent)
        if isinstance(other, Run) and other.group == run.group and other.runtime is not None
    ]
    return min(started, key=lambda other: (other.created, other.name)).runtime if started else None
