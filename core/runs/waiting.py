"""When queued runs will start: their places in the queue, and the time until then.

Must not import torch.
"""

from __future__ import annotations

import heapq
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.runs import run_queue
from core.runs.progress import estimate_progress
from core.runs.run import Run

RECENT = 5  # runs of a kind whose speed counts


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run's place in the queue."""

    place: int
    """From 1."""
    total: int
    seconds: float | None
    """Estimated time until it starts; None while the speed of a run before it is unknown."""


def estimate_waiting(runs: Iterable[Run], folder: Path | None = None) -> dict[str, Waiting]:
    """The places of all queued runs, by name.

    The times assume that as many runs train at once as do now, at least one, each as fast as the
    last runs with the same network, batch size and augmentation.

    Args:
        runs: all runs, the newest first.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
    """
    runs = list(runs)
    if not any(run.state == "queued" for run in runs):
        return {}
    by_name = {run.name: run for run in runs}
    names = [name for name in run_queue.list_waiting(folder) if name in by_name]
    speeds = _seconds_per_epoch(runs)
    # When each process that trains will be free; None: unknown.
    free: list[float] = []
    known = True
    for run in runs:
        if run.is_live:
            left = _seconds_left(run, speeds)
            known = known and left is not None
            free.append(left or 0.0)
    free = free or [0.0]
    heapq.heapify(free)
    places = {}
    for place, name in enumerate(names, 1):
        start = heapq.heappop(free)
        places[name] = Waiting(place, len(names), start if known else None)
        duration = _seconds_left(by_name[name], speeds)
        known = known and duration is not None
        heapq.heappush(free, start + (duration or 0.0))
    return places


def _seconds_left(run: Run, speeds: Mapping[str, float]) -> float | None:
    left = estimate_progress(run).seconds_left
    speed = speeds.get(_kind(run))
    if left is None and speed is not None:
        left = speed * (run.config.epochs - len(run.epochs))
    return left


def _seconds_per_epoch(runs: Iterable[Run]) -> dict[str, float]:
    """Median seconds of an epoch of the newest runs of each kind."""
    seconds: dict[str, list[float]] = {}
    for run in runs:
        if run.epochs:
            of_kind = seconds.setdefault(_kind(run), [])
            if len(of_kind) < RECENT:
                of_kind.append(statistics.median(row.seconds for row in run.epochs))
    return {kind: statistics.median(each) for kind, each in seconds.items()}


def _kind(run: Run) -> str:
    """What an epoch's time depends on."""
    config = run.config.to_dict()
    names = ("architecture", "layers", "augmentation", "transforms", "batch_size", "teacher")
    return json.dumps([config[name] for name in (*names, "device", "precision")])
