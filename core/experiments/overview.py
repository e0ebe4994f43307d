"""Runs and groups in one list: a group is one entry, represented by its mean. No torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.experiments.repeats import Group, groups_of
from core.experiments.scores import meets_goal, score_run
from core.experiments.statistics import spread, t_interval, wilson_interval
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
    """Between seeds; None for fewer than two runs."""
    interval: tuple[float, float]
    """95 % confidence interval: over images for one run (Wilson), over seeds for a group (t)."""
    runs: int


def entry_key(entry: Entry) -> str:
    """The name of an entry in a link; a group's cannot be a run's."""
    return entry.name if isinstance(entry, Run) else entry.name + _GROUP


def runs_of(entry: Entry) -> tuple[Run, ...]:
    """The runs of an entry."""
    return (entry,) if isinstance(entry, Run) else entry.runs


def scored_runs(entry: Entry) -> tuple[Run, ...]:
    """The runs behind an entry's figures: a run with an epoch done, or a group's finished runs."""
    return entry.finished if isinstance(entry, Group) else (entry,) if entry.epochs else ()


def find_repeats(runs: Iterable[Run]) -> list[Group]:
    """The groups of at least two runs that differ in nothing but their seeds."""
    return [group for group in groups_of(runs) if len(group.runs) > 1 and not group.differing]


def fold_groups(
    runs: Sequence[Run], matching: Sequence[Run], order: str, expanded: bool = False
) -> list[Entry]:
    """List the matching runs, with one entry for each group that has a matching run.

    Args:
        runs: all runs.
        matching: those to list.
        order: one of `listing.SORT_KEYS`; a group is sorted by its mean.
        expanded: whether the matching runs of a group follow it.
    """
    group_of = {run.name: group for group in find_repeats(runs) for run in group.runs}
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
    """Validation accuracy after the last epoch; None before the first."""
    rows = [run.last for run in scored_runs(entry) if run.last is not None]
    if not rows:
        return None
    if len(rows) == 1:
        interval = wilson_interval(rows[0].val_correct, rows[0].val_total)
        return AccuracyEstimate(rows[0].val_accuracy, None, interval, 1)
    values = [row.val_accuracy for row in rows]
    sample = spread(values)
    return AccuracyEstimate(sample.mean, sample.deviation, t_interval(values), len(values))


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


def final_accuracy(entry: Entry) -> float | None:
    """Accuracy in percent, on the test images if that is known; None before the first epoch."""
    if isinstance(entry, Group):
        return entry.spread.mean if entry.spread else None
    score = score_run(entry)
    return score.accuracy if score else None


def mean_curve(entry: Entry, value: Callable[[EpochResult], float]) -> pd.DataFrame:
    """A figure by epoch, for the epochs that all runs of the entry have done.

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
    rank = listing.SORT_KEYS[order]
    if isinstance(entry, Run):
        return rank(entry)
    if order == "name":
        return entry.name.lower()
    keys = [rank(run) for run in scored_runs(entry) or entry.runs]
    return min(keys) if isinstance(keys[0], tuple) else math.fsum(keys) / len(keys)
