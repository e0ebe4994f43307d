"""How many runs train side by side: what each needs of the machine, and what is there.

A run whose steps use one thread leaves the other cores idle, so as many such runs train at the same
time as there are cores. Must not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.data.presets import transforms_of
from core.errors import UserError
from core.limits import MB, Limits
from core.models.architectures import rows_of
from core.models.memory import step_bytes
from core.models.shapes import trace
from core.runs.run import Run

GPU_SLOTS = 3  # networks this small leave most of a GPU idle
# Resident memory of a worker beside that of its steps: PyTorch, the data set and the optimizer; and
# of a process that augments for it.
WORKER_MB, AUGMENTER_MB = 500, 250


@dataclass(frozen=True, slots=True)
class Need:
    """What a run needs of the machine."""

    threads: int
    """CPU threads of its steps."""
    megabytes: int
    """Memory of its processes."""


def count_slots(limits: Limits | None = None) -> int | None:
    """Return how many processes may train at once: INKLING_RUNNING, or 3 with a GPU.

    Returns:
        None where neither is there: then as many as the cores and the memory hold (`has_room`).
    """
    if "INKLING_RUNNING" in os.environ:
        return (limits or Limits.from_environment()).running
    return GPU_SLOTS if has_gpu() else None


def has_room(run: Need, training: Iterable[Need], limits: Limits) -> bool:
    """Return whether the cores and the memory hold another run.

    Args:
        run: the other run; there is always room for the first one.
        training: the runs that train.
        limits: `max_memory_mb` is for all of them together.
    """
    needs = list(training)
    if not needs:
        return True
    threads = run.threads + sum(need.threads for need in needs)
    megabytes = run.megabytes + sum(need.megabytes for need in needs)
    return threads <= count_cpus() and megabytes <= limits.max_memory_mb


def need_of(run: Run) -> Need:
    """Return what a run needs; before its first start, the threads that it will take at most."""
    config = run.config
    if run.runtime is not None:
        threads = run.runtime.threads
    else:
        threads = threads_of_config(run) or count_cpus()
    megabytes = WORKER_MB + (AUGMENTER_MB if transforms_of(config) else 0)
    try:
        images = min(config.batch_size, config.training_images)
        megabytes += step_bytes(trace(rows_of(config)), images) // MB
    except UserError:
        pass  # its worker reports it
    return Need(threads, megabytes)


def threads_of_config(run: Run) -> int:
    """Return the threads that a run asks for: those of its config, or 1 in a group; 0: any.

    Several runs with one thread each take less time than the same runs one after another with all
    threads, since the threads of a step wait for each other.
    """
    return run.config.threads or (1 if run.group else 0)


def count_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def has_gpu() -> bool:
    """Return whether this machine has an Nvidia GPU, without loading torch."""
    return Path("/dev/nvidia0").exists()
