"""Runs and groups in one list: a group is one entry, represented by its mean.

Must not import torch.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.experiments.repeats import Group, groups_of
from core.experiments.scores import meets_goal, score_run
from core.experiments.statistics import compute_statistics, t_interval, wilson_interval
from core.runs import listing
from core.runs.run import Run
from core.training.results import EpochResult

Entry = Run | Group
_GROUP = " (group)"  # no run's name can end like this


@dataclass(frozen=True, slots=True)
class AccuracyEstimate:
    """An accuracy in percent, with its uncertainty."""

    mean: float
    deviation: float | None
    """Standard deviation over seeds; None for fewer than two runs."""
    interval: tuple[float, float]
    """95 % confidence interval: for one run over images (Wilson), for a group over seeds (t)."""
    runs: int


def entry_key(entry: Entry) -> str:
    """The key that identifies an entry in a link. A group's key is never a run's name."""
    return entry.name if isinstance(entry, Run) else entry.name + _GROUP


def runs_of(entry: Entry) -> tuple[Run, ...]:
    """The runs of an entry."""
    return (entry,) if isinstance(entry, Run) else entry.runs


def scored_runs(entry: Entry) -> tuple[Run, ...]:
    """The runs that an entry's accuracy is computed from.

    Of a group, its finished runs; a single run counts once it has completed an epoch.
    """
    if isinstance(entry, Group):
        return entry.finished
    return (entry,) if entry.epochs else ()


def find_groups(runs: Iterable[Run]) -> list[Group]:
    """The groups of at least two runs with one config apart from seed, device and threads."""
    return [group for group in groups_of(runs) if len(group.runs) > 1 and not group.differing]


def fold_groups(
    runs: Sequence[Run], matching: Sequence[Run], order: str, expanded: bool = False
) -> list[Entry]:
    """List the matching runs, with one entry for each group that has a matching run.

    Args:
        runs: all runs, from which groups are formed.
        matching: the runs to list.
        order: one of `listing.SORT_KEYS`. A group is sorted by the mean of its finished runs' keys
            ("newest": by its newest finished run; "name": by its own name).
        expanded: whether the matching runs of a group follow it.
    """
    group_of = {run.name: group for group in find_groups(runs) for run in group.runs}
    entries: list[Entry] = [run for run in matching if run.name not in group_of]
    folded = [group_of[run.name] for run in matching if run.name in group_of]
    entries += {group.name: group for group in folded}.values()
    entries.sort(key=lambda entry: _sort_key(entry, order))
    if not expanded:
        return entries
    names = {run.name for run in matching}
    with_runs: list[Entry] = []
    for entry in entries:
        with_runs.append(entry)
        if isinstance(entry, Group):
            with_runs += [run for run in entry.runs if run.name in names]
    return with_runs


def validation_accuracy(entry: Entry) -> AccuracyEstimate | None:
    """Validation accuracy after the last epoch; of a group, the mean over its finished runs.

    It is measured on the test images where the config has no validation hold-out.

    Returns:
        None for a run without an epoch, and for a group without a finished run.
    """
    rows = [run.last for run in scored_runs(entry) if run.last is not None]
    if not rows:
        return None
    if len(rows) == 1:
        interval = wilson_interval(rows[0].val_correct, rows[0].val_total)
        return AccuracyEstimate(rows[0].val_accuracy, None, interval, 1)
    values = [row.val_accuracy for row in rows]
    sample = compute_statistics(values)
    return AccuracyEstimate(sample.mean, sample.deviation, t_interval(values), sample.count)


def reaches_goal(entry: Entry) -> bool:
    """Whether a finished run, or the mean of a group of at least two, meets the goal."""
    if isinstance(entry, Group):
        return entry.reaches_goal
    score = score_run(entry)
    return (
        score is not None
        and entry.state == "finished"
        and meets_goal(score.accuracy, score.measured_on, entry)
    )


def current_accuracy(entry: Entry) -> float | None:
    """Accuracy in percent, on the test images if that is known, else in validation.

    Of a run in training, the accuracy after its last epoch; of a group, the mean over its finished
    runs.

    Returns:
        None for a run without an epoch, and for a group without a finished run.
    """
    if isinstance(entry, Group):
        return entry.statistics.mean if entry.statistics else None
    score = score_run(entry)
    return score.accuracy if score else None


def mean_curve(entry: Entry, value: Callable[[EpochResult], float]) -> pd.DataFrame:
    """A quantity by epoch, for the epochs that all of `scored_runs(entry)` have completed.

    Of a group these are the finished runs only.

    Returns:
        Columns run (the entry's name), epoch, value (the mean over runs), low and high (minimum and
        maximum over runs).
    """
    rows = [
        (entry.name, number, statistics.fmean(values), min(values), max(values))
        for number, values in enumerate(
            zip(*([value(row) for row in run.epochs] for run in scored_runs(entry)), strict=False),
            1,
        )
    ]
    return pd.DataFrame(rows, columns=["run", "epoch", "value", "low", "high"])


def _sort_key(entry: Entry, order: str) -> Any:
    """The sort key of a run, or of a group.

    For "name", a group's key is its name; where keys are tuples ("newest"), the smallest key of its
    finished runs; else the mean of their keys. Without a finished run, all its runs are used.
    """
    rank = listing.SORT_KEYS[order]
    if isinstance(entry, Run):
        return rank(entry)
    if order == "name":
        return entry.name.lower()
    keys = [rank(run) for run in scored_runs(entry) or entry.runs]
    if isinstance(keys[0], tuple):
        return min(keys)
    return math.fsum(keys) / len(keys)
