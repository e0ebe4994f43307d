"""Groups: the same run trained with several seeds, and what it reaches over all of them.

One accuracy is an anecdote: the spread between seeds is as large as the differences that people train for. A group is
no folder of its own, only a name that its runs carry. No torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.errors import LimitError, RunError, UserError
from core.experiments.scores import Score, meets_goal, score
from core.experiments.statistics import Spread, spread, t_interval
from core.limits import Limits
from core.runs import creation, folders, run_names, run_queue, store
from core.runs.run import Run

MOST = 100
HIGHEST_SEED = 2**31 - 1
_FREE = {
    "seed",
    "device",
    "threads",
}  # what runs of a group may differ in: no other field may change what is learnt


@dataclass(frozen=True)
class Group:
    """The runs that carry one group's name, by seed."""

    name: str
    runs: tuple[Run, ...]

    @property
    def finished(self) -> tuple[Run, ...]:
        """Those trained to the end."""
        return tuple(run for run in self.runs if run.state == "finished")

    @property
    def scores(self) -> dict[str, Score]:
        """What each finished run reaches, by its name."""
        found = {run.name: score(run) for run in self.finished}
        return {name: each for name, each in found.items() if each is not None}

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the finished runs."""
        return tuple(run.config.seed for run in self.finished)

    @property
    def differing(self) -> set[str]:
        """Fields of the config in which its runs differ though repeats may not: empty for a group that is one."""
        first = self.runs[0].config
        return {name for run in self.runs[1:] for name in run.config.differences(first)} - _FREE

    @property
    def measured_on(self) -> str:
        """What the accuracies were measured on, in words."""
        return next((each.measured_on for each in self.scores.values()), "")

    @property
    def spread(self) -> Spread | None:
        """How the accuracies of the finished runs lie, in percent; None while there is none."""
        accuracies = [each.accuracy for each in self.scores.values()]
        return spread(accuracies) if accuracies else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean over seeds, in percent; None for fewer than two finished runs."""
        accuracies = [each.accuracy for each in self.scores.values()]
        return t_interval(accuracies) if len(accuracies) > 1 else None

    @property
    def reaches_goal(self) -> bool:
        """Whether the mean of two runs or more meets the goal, all of the group being finished."""
        found = self.spread
        return (
            found is not None
            and found.count > 1
            and len(self.finished) == len(self.runs)
            and meets_goal(found.mean, self.measured_on, self.runs[0])
        )

    @property
    def words(self) -> str:
        """What the group reaches, as a sentence to quote."""
        found, interval = self.spread, self.interval
        if found is None:
            return f"{self.name}: none of its {len(self.runs)} runs is finished yet."
        if interval is None:
            return f"{self.name}: {found.mean:.2f} % of the {self.measured_on} by one run; a spread needs two."
        return (
            f"{self.name}: {found.mean:.2f} % of the {self.measured_on} as the mean of {found.count} seeds "
            f"({interval[0]:.2f} to {interval[1]:.2f}), deviation {found.deviation:.2f}, "
            f"from {found.smallest:.2f} to {found.largest:.2f}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The group as JSON values."""
        found, interval = self.spread, self.interval
        return {
            "name": self.name,
            "runs": [run.name for run in self.runs],
            "finished": len(self.finished),
            "seeds": list(self.seeds),
            "measured_on": self.measured_on,
            "mean": found and found.mean,
            "deviation": found.deviation if interval and found else None,
            "smallest": found and found.smallest,
            "largest": found and found.largest,
            "interval": interval and list(interval),
            "reaches_goal": self.reaches_goal,
        }


def create(
    config: RunConfig,
    name: str,
    count: int,
    *,
    recipe: str | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
) -> Group:
    """Make the runs of a group, with the config's seed and those that follow it; nothing trains until it is submitted.

    Args:
        config: what to train; its seed is the first one's.
        name: of the group; the runs get their seed behind it.
        count: how many runs, 2 to 100.
        recipe: the recipe that the config came from.
        folder: the checkpoints folder; None: this machine's.
        limits: what the machine lends; None: from the environment.

    Raises:
        RunError: the name cannot be had, or there are too few or too many runs.
        UserError: as `core.runs.creation.create_run`; then none of the runs is made.
    """
    folder, limits = folder or folders.checkpoints_folder(), limits or Limits.from_environment()
    if not 2 <= count <= MOST:
        raise RunError(f"a group takes 2 to {MOST} runs, not {count}.")
    if count > limits.max_queue:
        raise LimitError(
            f"{count} runs are more than this machine's queue takes ({limits.max_queue}); "
            "train fewer, or raise INKLING_MAX_QUEUE."
        )
    check_name(name, folder)
    _make(config, name, range(config.seed, config.seed + count), recipe, folder, limits)
    return open_group(name, folder)


def more(
    name: str, count: int, *, folder: Path | None = None, limits: Limits | None = None
) -> tuple[Run, ...]:
    """Add runs to a group, with the seeds that follow its highest.

    Returns:
        The new runs.

    Raises:
        RunError: there is no such group, or it would get too large.
        UserError: as `create`.
    """
    folder, limits = folder or folders.checkpoints_folder(), limits or Limits.from_environment()
    group = open_group(name, folder)
    if count < 1 or len(group.runs) + count > MOST:
        raise RunError(
            f"{name} has {len(group.runs)} runs; a group takes up to {MOST}, so {count} cannot be added."
        )
    first = max(run.config.seed for run in group.runs) + 1
    return _make(
        group.runs[0].config,
        name,
        range(first, first + count),
        group.runs[0].recipe,
        folder,
        limits,
    )


def submit(group: Group, folder: Path | None = None, *, limits: Limits | None = None) -> list[str]:
    """Put those runs of a group into the queue that can be trained: all that neither train nor wait nor are done.

    Returns:
        The names of those submitted.

    Raises:
        LimitError: the queue is full; those before have their places.
    """
    names = [run.name for run in group.runs if run.can_resume]
    for name in names:
        run_queue.submit(name, folder, limits=limits)
    return names


def list_groups(folder: Path | None = None) -> list[Group]:
    """Every group, the one with the newest run first."""
    return groups_of(run for run in store.list_runs(folder) if isinstance(run, Run))


def groups_of(runs: Iterable[Run]) -> list[Group]:
    """The groups that some runs make, in the order in which they turn up."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.group:
            found.setdefault(run.group, []).append(run)
    return [
        Group(name, tuple(sorted(members, key=lambda run: (run.config.seed, run.name))))
        for name, members in found.items()
    ]


def open_group(name: str, folder: Path | None = None) -> Group:
    """The group of that name.

    Raises:
        RunError: there is none, or its runs are not the same but for their seeds.
    """
    group = next((each for each in list_groups(folder) if each.name == name), None)
    if group is None:
        raise RunError(f"there is no run and no group {str(name)[:60]!r}.")
    first = group.runs[0].config
    for run in group.runs[1:]:
        if others := set(run.config.differences(first)) - _FREE:
            raise RunError(
                f"{group.runs[0].name} and {run.name} are no repeats of each other: they differ in "
                f"{', '.join(sorted(others))}."
            )
    return group


def check_name(name: str, folder: Path | None = None) -> str:
    """The name, if a new group may have it.

    Raises:
        RunError: it is no name, or a run or another group has it.
    """
    folder = folder or folders.checkpoints_folder()
    run_names.check_name(name)
    run_names.check_name_is_free(folder, name)
    if any(group.name.lower() == name.lower() for group in list_groups(folder)):
        raise RunError(f"there is already a group {name!r}; choose another name.")
    return name


def free_name(wanted: str, folder: Path | None = None) -> str:
    """A name that neither a run nor a group has yet: the wanted one, or with a number behind it."""
    taken = {group.name.lower() for group in list_groups(folder)}
    name, number = run_names.find_free_name(wanted, folder), 1
    while name.lower() in taken:
        number += 1
        name = run_names.find_free_name(f"{wanted}-{number}", folder)
    return name


def _make(
    config: RunConfig,
    name: str,
    seeds: range,
    recipe: str | None,
    folder: Path,
    limits: Limits,
) -> tuple[Run, ...]:
    if seeds[-1] > HIGHEST_SEED:
        raise RunError(f"seeds end at {HIGHEST_SEED:,}; begin with a lower one.")
    made: list[Run] = []
    try:
        for seed in seeds:
            made.append(
                creation.create_run(
                    config.changed(seed=seed),
                    run_names.find_free_name(f"{name}-s{seed}", folder),
                    recipe=recipe,
                    group=name,
                    folder=folder,
                    limits=limits,
                )
            )
    except UserError:
        for (
            run
        ) in made:  # nobody has seen them yet; half a group would be no answer to what was asked
            shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return tuple(made)
