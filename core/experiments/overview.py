"""Runs, groups and sweeps in one list: a group is represented by its mean, a sweep by its best run.

Must not import torch.
"""

from __future__ import annotations

import math
import re
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

# No run's name can end like these.
_GROUP, _SWEEP = " (group)", " (sweep)"
_TRIAL = re.compile(r"-\d{3}(-\d+)?")  # how a run's name goes on after its sweep's


@dataclass(frozen=True)
class SweepRuns:
    """The runs of a sweep: tagged with its name, and named after it and their slot."""

    name: str
    runs: tuple[Run, ...]
    """The most accurate in validation first; those without an epoch last."""

    @property
    def best(self) -> Run:
        """The most accurate run; it was chosen by its accuracy, which is optimistic therefore."""
        return self.runs[0]

    @property
    def finished(self) -> tuple[Run, ...]:
        """The finished runs."""
        return tuple(run for run in self.runs if run.state == "finished")


Entry = Run | Group | SweepRuns


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
    """The key that identifies an entry in a link. Only a run's key is a run's name."""
    if isinstance(entry, Run):
        return entry.name
    return entry.name + (_GROUP if isinstance(entry, Group) else _SWEEP)


def runs_of(entry: Entry) -> tuple[Run, ...]:
    """The runs of an entry; the first one has its size and settings."""
    return (entry,) if isinstance(entry, Run) else entry.runs


def scored_runs(entry: Entry) -> tuple[Run, ...]:
    """The runs that an entry's accuracy is computed from.

    Of a group, its finished runs; of a sweep, its best run; a single run counts once it has
    completed an epoch.
    """
    if isinstance(entry, Group):
        return entry.finished
    run = entry.best if isinstance(entry, SweepRuns) else entry
    return (run,) if run.epochs else ()


def find_groups(runs: Iterable[Run]) -> list[Group]:
    """The groups of at least two runs with one config apart from seed, device and threads."""
    return [group for group in groups_of(runs) if len(group.runs) > 1 and not group.differing]


def find_sweeps(runs: Iterable[Run]) -> list[SweepRuns]:
    """The sweeps of at least two runs, in order of appearance."""
    members: dict[str, list[Run]] = {}
    for run in runs:
        for tag in run.tags:
            if run.name.startswith(tag) and _TRIAL.fullmatch(run.name, len(tag)):
                members.setdefault(tag, []).append(run)
                break
    return [
        SweepRuns(name, tuple(sorted(trials, key=_trial_key)))
        for name, trials in members.items()
        if len(trials) > 1
    ]


def _trial_key(run: Run) -> tuple[float, int, str]:
    return (-run.last.val_accuracy if run.last else 1.0, run.parameters, run.name)


def hide_trials(runs: Sequence[Run], keep: Iterable[str] = ()) -> list[Run]:
    """Leave out the runs of sweeps, apart from the best one of each.

    Args:
        runs: the runs.
        keep: names of runs that stay.
    """
    hidden = {run.name for sweep in find_sweeps(runs) for run in sweep.runs[1:]} - set(keep)
    return [run for run in runs if run.name not in hidden]


def fold_groups(
    runs: Sequence[Run], matching: Sequence[Run], order: str, expanded: bool = False
) -> list[Entry]:
    """List the matching runs, with one entry for each group or sweep that has a matching run.

    Args:
        runs: all runs, from which groups and sweeps are formed.
        matching: the runs to list.
        order: as `listing.sort_key`. A group is sorted by the mean of its finished runs' keys
            ("newest": by its newest finished run; "name": by its own name).
        expanded: whether the matching runs of a group or sweep follow it.
    """
    folds: list[Group | SweepRuns] = [*find_sweeps(runs), *find_groups(runs)]
    group_of = {run.name: group for group in folds for run in group.runs}
    entries: list[Entry] = [run for run in matching if run.name not in group_of]
    folded = [group_of[run.name] for run in matching if run.name in group_of]
    entries += {entry_key(group): group for group in folded}.values()
    entries.sort(key=lambda entry: _sort_key(entry, order))
    if not expanded:
        return entries
    names = {run.name for run in matching}
    with_runs: list[Entry] = []
    for entry in entries:
        with_runs.append(entry)
        if not isinstance(entry, Run):
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


def validated_on(entry: Entry) -> str:
    """The images of an entry's validation accuracies: "test", or the size of the hold-out."""
    holdout = runs_of(entry)[0].config.holdout
    return f"{holdout:,} held out" if holdout else "test"


def reaches_goal(entry: Entry) -> bool:
    """Whether a finished run, or the mean of a group of at least two, meets the goal."""
    if isinstance(entry, Group):
        return entry.reaches_goal
    if isinstance(entry, SweepRuns):  # its best run was chosen by its accuracy
        return False
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
    score = score_run(entry.best if isinstance(entry, SweepRuns) else entry)
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
    rank = listing.sort_key(order)
    if isinstance(entry, Run):
        return rank(entry)
    if order == "name":
        return entry.name.lower()
    keys = [rank(run) for run in scored_runs(entry) or entry.runs]
    if isinstance(keys[0], tuple):
        return min(map(rank, entry.runs)) if isinstance(entry, SweepRuns) else min(keys)
    return math.fsum(keys) / len(keys)
