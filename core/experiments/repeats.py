"""Groups: the same config trained with several seeds, with mean and confidence interval.

The spread between seeds is often as large as the difference between two configs, so a single
accuracy says little. A group has no folder; its runs store its name. Must not import torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.errors import LimitError, RunError
from core.experiments.group_formats import describe_shared
from core.experiments.scores import Score, meets_goal, score_run
from core.experiments.statistics import Statistics, compute_statistics, t_interval
from core.limits import Limits
from core.runs import creation, files, folders, run_names, run_queue, store
from core.runs.digit_file import own_digits_of
from core.runs.group_runtime import hold_names
from core.runs.run import Run

MAX_RUNS = 100
MAX_SEED = 2**31 - 1
# Config fields in which the runs of a group may differ.
MAY_DIFFER = {"seed", "kept_epochs", "device", "threads"}


@dataclass(frozen=True)
class Group:
    """The runs that store one group's name, in order of their seeds."""

    name: str
    runs: tuple[Run, ...]

    @property
    def finished(self) -> tuple[Run, ...]:
        """The finished runs."""
        return tuple(run for run in self.runs if run.state == "finished")

    @property
    def scores(self) -> dict[str, Score]:
        """The score of each finished run, by name."""
        scores = {run.name: score_run(run) for run in self.finished}
        return {name: score for name, score in scores.items() if score is not None}

    @property
    def finished_seeds(self) -> tuple[int, ...]:
        """The seeds of the finished runs."""
        return tuple(run.config.seed for run in self.finished)

    @property
    def differing(self) -> set[str]:
        """Config fields in which the runs differ but must not; empty for a valid group."""
        first = self.runs[0].config
        return {
            name for run in self.runs[1:] for name in run.config.differences(first)
        } - MAY_DIFFER

    @property
    def measured_on(self) -> str:
        """The images that the accuracies were measured on."""
        return next((score.measured_on for score in self.scores.values()), "")

    @property
    def statistics(self) -> Statistics | None:
        """Statistics of the finished runs' accuracies in percent; None without a finished run."""
        accuracies = [score.accuracy for score in self.scores.values()]
        return compute_statistics(accuracies) if accuracies else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the mean over seeds; None below two finished runs."""
        accuracies = [score.accuracy for score in self.scores.values()]
        return t_interval(accuracies) if len(accuracies) > 1 else None

    @property
    def reaches_goal(self) -> bool:
        """Whether all runs, at least two, are finished and their mean meets the goal."""
        statistics = self.statistics
        return (
            statistics is not None
            and statistics.count > 1
            and len(self.finished) == len(self.runs)
            and meets_goal(statistics.mean, self.measured_on, self.runs[0])
        )

    @property
    def shared(self) -> str:
        """What the runs share, and in what they differ, in a sentence."""
        return describe_shared(self.runs)

    @property
    def summary(self) -> str:
        """The group's accuracy in a sentence."""
        statistics, interval = self.statistics, self.interval
        if statistics is None:
            return f"{self.name}: none of its {len(self.runs)} runs has finished yet."
        opening = f"{self.name}: {statistics.mean:.2f} % of the {self.measured_on}"
        if interval is None:
            return f"{opening} in one run; a confidence interval needs two."
        return (
            f"{opening}, mean of {statistics.count} seeds (95 % confidence interval "
            f"{interval[0]:.2f} to {interval[1]:.2f}); standard deviation "
            f"{statistics.deviation:.2f}, range {statistics.smallest:.2f} to "
            f"{statistics.largest:.2f}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The group as JSON values."""
        statistics, interval = self.statistics, self.interval
        return {
            "name": self.name,
            "runs": [run.name for run in self.runs],
            "finished": len(self.finished),
            "finished_seeds": list(self.finished_seeds),
            "measured_on": self.measured_on,
            "mean": statistics and statistics.mean,
            "deviation": statistics.deviation if interval and statistics else None,
            "smallest": statistics and statistics.smallest,
            "largest": statistics and statistics.largest,
            "interval": interval and list(interval),
            "reaches_goal": self.reaches_goal,
            "shared": self.shared,
        }


def create(
    config: RunConfig,
    name: str,
    count: int,
    *,
    recipe: str | None = None,
    owner: str | None = None,
    first: str | None = None,
    number_if_taken: bool = False,
    folder: Path | None = None,
    limits: Limits | None = None,
) -> Group:
    """Create the runs of a group, with consecutive seeds; `submit` queues them.

    Args:
        config: the config to train; its seed is that of the first run.
        name: name of the group; a run's name is this name and the run's seed.
        count: number of runs, 2 to 100.
        recipe: the recipe that the config came from.
        owner, number_if_taken: as of `core.runs.creation.create_run`.
        first: name of an existing run with this config, which becomes the group's first one; the
            others take the seeds after its own. None: all runs are new.
        folder: the checkpoints folder; None: the default one.
        limits: limits of this machine; None: from the environment.

    Raises:
        RunError: the name is not valid or taken, the number of runs is out of range, or the first
            run has another config, belongs to a group or was forked.
        LimitError: the queue cannot hold that many runs.
        UserError: as `core.runs.creation.create_run`; then none of the runs is created.
    """
    folder, limits = folder or folders.checkpoints_folder(), limits or Limits.from_environment()
    if not 2 <= count <= MAX_RUNS:
        raise RunError(f"a group has 2 to {MAX_RUNS} runs, not {count}.")
    _check_queue_size(count, limits)
    with hold_names(folder):
        if number_if_taken:
            name = find_free_name(name, folder)
        check_group_name(name, folder)
        start = config.seed if first is None else _check_first(first, config, folder)
        seeds = range(start, start + count)[first is not None :]
        _create_runs(config, name, seeds, recipe, owner, folder, limits, first)
        if first is not None:
            with files.lock_folder(folder):
                store.update_run_json(folder / first, group=name)
    return open_group(name, folder)


def _check_first(first: str, config: RunConfig, folder: Path) -> int:
    """Return the random seed of the run that a group is to begin with.

    Raises:
        RunError: the run cannot be in a group; the message says why.
    """
    run = store.open_run(first, folder)
    if run.group is not None:
        raise RunError(f"{first} already belongs to the group {run.group}.")
    if run.parent is not None:
        raise RunError(
            f"{first} started from the weights of {run.parent['name']}, not from random ones; it "
            "cannot be repeated with other seeds."
        )
    if fields := set(run.config.differences(config)) - MAY_DIFFER:
        raise RunError(f"{first} differs from the repeats in {', '.join(sorted(fields))}.")
    return run.config.seed


def extend(
    name: str,
    count: int,
    *,
    owner: str | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
) -> tuple[Run, ...]:
    """Add runs to a group, with the seeds after its highest one.

    Returns:
        The new runs.

    Raises:
        RunError: there is no such group, count is less than 1, or the group would become too
            large.
        LimitError: the queue cannot hold that many runs.
        UserError: as `create`.
    """
    folder, limits = folder or folders.checkpoints_folder(), limits or Limits.from_environment()
    group = open_group(name, folder)
    if count < 1:
        raise RunError(f"the number of runs to add must be at least 1, not {count}.")
    if len(group.runs) + count > MAX_RUNS:
        raise RunError(
            f"{name} has {len(group.runs)} runs, and a group has at most {MAX_RUNS}; {count} more "
            "cannot be added."
        )
    _check_queue_size(count, limits)
    with hold_names(folder):
        group = open_group(name, folder)
        run = group.runs[-1]  # the one with the highest seed
        seeds = range(run.config.seed + 1, run.config.seed + 1 + count)
        config, recipe = run.config, run.recipe
        return _create_runs(config, name, seeds, recipe, owner, folder, limits, run.name)


def submit(group: Group, folder: Path | None = None, *, limits: Limits | None = None) -> list[str]:
    """Queue the runs of a group that are not training, queued or finished.

    On a GPU, one process trains them together.

    Returns:
        The names of the runs queued.

    Raises:
        LimitError: the queue is full; runs queued before that stay queued.
    """
    names = [run.name for run in group.runs if run.can_resume]
    run_queue.submit_all(names, folder, limits=limits)
    return names


def list_groups(folder: Path | None = None) -> list[Group]:
    """All groups, the one with the newest run first."""
    return groups_of(run for run in store.list_runs(folder) if isinstance(run, Run))


def groups_of(runs: Iterable[Run]) -> list[Group]:
    """The groups that runs belong to, in order of appearance."""
    members: dict[str, list[Run]] = {}
    for run in runs:
        if run.group:
            members.setdefault(run.group, []).append(run)
    return [
        Group(name, tuple(sorted(group, key=lambda run: (run.config.seed, run.name))))
        for name, group in members.items()
    ]


def open_group(name: str, folder: Path | None = None) -> Group:
    """The group of that name.

    Raises:
        RunError: there is none, or its runs differ in other fields than seed, device and threads.
    """
    group = next((group for group in list_groups(folder) if group.name == name), None)
    if group is None:
        raise RunError(f"there is no group {str(name)[:60]!r}.")
    first = group.runs[0].config
    for run in group.runs[1:]:
        if fields := set(run.config.differences(first)) - MAY_DIFFER:
            raise RunError(
                f"{group.runs[0].name} and {run.name} are not repeats of each other: they differ "
                f"in {', '.join(sorted(fields))}."
            )
    return group


def check_group_name(name: str, folder: Path | None = None) -> str:
    """Return the name if a new group can have it.

    Raises:
        RunError: it is not a valid name, or a run or another group has it.
    """
    folder = folder or folders.checkpoints_folder()
    run_names.check_name(name)
    run_names.check_name_is_free(folder, name)
    if any(group.name.lower() == name.lower() for group in list_groups(folder)):
        raise RunError(f"there is already a group {name!r}; choose another name.")
    return name


def find_free_name(wanted: str, folder: Path | None = None) -> str:
    """A name that no run or group has: the wanted one, or that with a number appended."""
    taken = {group.name.lower() for group in list_groups(folder)}
    name, number = run_names.find_free_name(wanted, folder), 1
    while name.lower() in taken:
        number += 1
        name = run_names.find_free_name(f"{wanted}-{number}", folder)
    return name


def _check_queue_size(count: int, limits: Limits) -> None:
    if count > limits.max_queue:
        raise LimitError(
            f"{count} runs do not fit this machine's queue of {limits.max_queue}; train fewer, or "
            "raise INKLING_MAX_QUEUE."
        )


def _create_runs(
    config: RunConfig,
    name: str,
    seeds: range,
    recipe: str | None,
    owner: str | None,
    folder: Path,
    limits: Limits,
    like: str | None,  # a run with the same own digits
) -> tuple[Run, ...]:
    if seeds[-1] > MAX_SEED:
        raise RunError(f"seeds go up to {MAX_SEED:,}; start with a lower one.")
    created: list[Run] = []
    try:
        for seed in seeds:
            created.append(
                creation.create_run(
                    config.changed(seed=seed),
                    run_names.find_free_name(f"{name}-s{seed}", folder),
                    recipe=recipe,
                    group=name,
                    owner=owner,
                    digits=own_digits_of(config, folder / like if like else None),
                    folder=folder,
                    limits=limits,
                )
            )
    except BaseException:
        for run in created:  # a group is created whole or not at all
            shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return tuple(created)
