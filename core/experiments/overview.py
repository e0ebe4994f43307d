"""Runs and their repeats in one list: a group is one entry, judged by its mean. No torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.experiments.repeats import Group, groups_of
from core.experiments.scores import meets_goal, score
from core.experiments.statistics import spread, t_interval, wilson
from core.runs import listing
from core.runs.run import Run
from core.training.results import EpochResult

Entry = Run | Group
_GROUP = " (group)"  # no run's name can end like this


@dataclass(frozen=True, slots=True)
class Standing:
    """An accuracy in percent, and how sure it is."""

    mean: float
    deviation: float | None
    """Between seeds; None for fewer than two runs."""
    interval: tuple[float, float]
    """The 95 % interval: of one run over images like these (Wilson), of a group over seeds (Student's t)."""
    runs: int


def key(entry: Entry) -> str:
    """What an entry is called in a link: its name, which for a group can be no run's."""
    return entry.name if isinstance(entry, Run) else entry.name + _GROUP


def members(entry: Entry) -> tuple[Run, ...]:
    """The runs of an entry."""
    return (entry,) if isinstance(entry, Run) else entry.runs


def counted(entry: Entry) -> tuple[Run, ...]:
    """The runs that an entry's figures are made of: a run with an epoch done, or the finished ones of a group."""
    return entry.finished if isinstance(entry, Group) else (entry,) if entry.epochs else ()


def groups(runs: Iterable[Run]) -> list[Group]:
    """The groups of at least two runs that are repeats of each other."""
    return [group for group in groups_of(runs) if len(group.runs) > 1 and not group.differing]


def folded(
    runs: Sequence[Run], found: Sequence[Run], order: str, apart: bool = False
) -> list[Entry]:
    """The runs that were found, each group as one entry where any of its runs is among them.

    Args:
        runs: all of them.
        found: those to list.
        order: one of `listing.ORDERS`; a group has its mean's place in it.
        apart: whether the runs of a group that were found follow it.
    """
    by_run = {run.name: group for group in groups(runs) for run in group.runs}
    entries: list[Entry] = [run for run in found if run.name not in by_run]
    entries += {
        by_run[run.name].name: by_run[run.name] for run in found if run.name in by_run
    }.values()
    entries.sort(key=lambda entry: _place(entry, order))
    if not apart:
        return entries
    names = {run.name for run in found}
    apart_too: list[Entry] = []
    for entry in entries:
        apart_too += (
            [entry, *(run for run in entry.runs if run.name in names)]
            if isinstance(entry, Group)
            else [entry]
        )
    return apart_too


def validation(entry: Entry) -> Standing | None:
    """Validation accuracy after the last epoch; None before there is one."""
    rows = [run.last for run in counted(entry) if run.last is not None]
    if not rows:
        return None
    if len(rows) == 1:
        return Standing(
            rows[0].val_accuracy, None, wilson(rows[0].val_correct, rows[0].val_total), 1
        )
    values = [row.val_accuracy for row in rows]
    return Standing(
        statistics.fmean(values), spread(values).deviation, t_interval(values), len(values)
    )


def reaches_goal(entry: Entry) -> bool:
    """Whether it meets the goal at its end: a run by itself, a group by the mean of two runs or more."""
    if isinstance(entry, Group):
        return entry.reaches_goal
    found = score(entry)
    return (
        found is not None
        and entry.state == "finished"
        and meets_goal(found.accuracy, found.measured_on, entry)
    )


def accuracy(entry: Entry) -> float | None:
    """What it reaches in percent, on the test images as soon as that is known; None before there is an answer."""
    if isinstance(entry, Group):
        return entry.spread.mean if entry.spread else None
    found = score(entry)
    return found.accuracy if found else None


def curve(entry: Entry, value: Callable[[EpochResult], float]) -> pd.DataFrame:
    """A figure by epoch, as far as all the runs behind it go: columns run (the entry's name), epoch, value, low, high.

    Value is the mean; low and high are the smallest and the largest of the runs.
    """
    rows = [
        (entry.name, number, statistics.fmean(values), min(values), max(values))
        for number, values in enumerate(
            zip(*([value(row) for row in run.epochs] for run in counted(entry)), strict=False), 1
        )
    ]
    return pd.DataFrame(rows, columns=["run", "epoch", "value", "low", "high"])


def _place(entry: Entry, order: str) -> Any:
    rank = listing.SORT_KEYS[order]
    if isinstance(entry, Run):
        return rank(entry)
    if order == "name":
        return entry.name.lower()
    places = [rank(run) for run in counted(entry) or entry.runs]
    return min(places) if isinstance(places[0], tuple) else math.fsum(places) / len(places)
