"""Which of two is better: two runs on the same test images, or two groups over their seeds, with an answer in words.

Two runs are compared image by image: those that both get right or both get wrong say nothing about which is better.
Two groups are compared by the accuracies of their runs. How runs make a group is in `repeats`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import RunError
from core.experiments.repeats import Group, open_group
from core.experiments.statistics import gain_interval, paired_interval, spread, welch_interval
from core.insight import mistakes
from core.insight.mistakes import Predictions
from core.runs import folders, store
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run

ALIKE = 5e-4  # points: smaller than any count of images can make it


@dataclass(frozen=True, eq=False)
class Answer:
    """What a comparison of two says. Accuracies and differences are in percent and percentage points."""

    first: str
    second: str
    accuracies: tuple[float, float]
    difference: float
    """By how much the second is better; below 0 where the first is."""
    interval: tuple[float, float]
    """The 95 % interval of the difference."""
    method: str
    """How it was found, as a sentence."""
    images: mistakes.Comparison | None = None
    """Of two runs: the images that only one of them gets right."""

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval[0] > 0 or self.interval[1] < 0

    @property
    def words(self) -> str:
        """The answer, as a sentence to quote."""
        low, high = self.interval
        if not self.told_apart:
            if abs(self.difference) < ALIKE:
                return (
                    f"{self.first} and {self.second} cannot be told apart: they are equally good here, and the "
                    f"difference may lie between {low:+.2f} and {high:+.2f} points."
                )
            return (
                f"{self.first} and {self.second} cannot be told apart: {self.second} is {_by(self.difference)} "
                f"here, which may be chance ({low:+.2f} to {high:+.2f})."
            )
        better, gain = (
            (self.second, self.difference)
            if self.difference > 0
            else (self.first, -self.difference)
        )
        ends = sorted((abs(low), abs(high)))
        return f"{better} is better by {gain:.2f} points ({ends[0]:.2f} to {ends[1]:.2f})."

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON values."""
        values: dict[str, Any] = {
            "first": self.first,
            "second": self.second,
            "accuracies": list(self.accuracies),
            "difference": self.difference,
            "interval": list(self.interval),
            "told_apart": self.told_apart,
            "words": self.words,
            "method": self.method,
        }
        if self.images is not None:
            values["images"] = {
                "both_right": self.images.both_correct,
                "only_first": len(self.images.only_first),
                "only_second": len(self.images.only_second),
                "both_wrong": len(self.images.both_wrong),
                "p": self.images.p_value,
            }
        return values


def compare(first: str, second: str) -> Answer:
    """Compare two runs, or two groups, by name.

    Raises:
        RunError: there is no such run or group, one has no weights or too few runs yet, or a run and a group are
            to be compared.
        DataError: two runs are compared, and the test images cannot be had.
    """
    if first == second:
        raise RunError(f"{first} is the same as itself; name two.")
    one, two = named(first), named(second)
    if isinstance(one, Run) and isinstance(two, Run):
        return of_runs(first, load_predictions(one), second, load_predictions(two))
    if isinstance(one, Group) and isinstance(two, Group):
        return of_groups(one, two)
    run, group = (first, second) if isinstance(one, Run) else (second, first)
    raise RunError(
        f"{run} is one run and {group} a group of several; compare two runs, or two groups."
    )


def of_runs(first: str, one: Predictions, second: str, two: Predictions) -> Answer:
    """Compare two runs by what they say of the same images.

    Args:
        first, second: their names.
        one, two: their predictions.

    Raises:
        UserError: the predictions are not about the same images.
    """
    found = mistakes.compare(one, two)
    total, only_first, only_second = len(one.labels), len(found.only_first), len(found.only_second)
    accuracies = tuple(100 * float(each.correct.mean()) for each in (one, two))
    method = (
        f"On the same {total:,} test images {first} alone is right about {only_first:,} and {second} alone about "
        f"{only_second:,}; McNemar's exact test gives p = {_chance(found.p_value)}. This is about these two "
        "trained networks: another seed may come out otherwise."
    )
    return Answer(
        first,
        second,
        (accuracies[0], accuracies[1]),
        100 * (only_second - only_first) / total,
        gain_interval(only_first, only_second, total),
        method,
        found,
    )


def of_groups(one: Group, two: Group) -> Answer:
    """Compare two groups by the accuracies of their finished runs: in pairs where both used the same seeds.

    Raises:
        RunError: one has fewer than two finished runs, or they were measured on different images.
    """
    for group in (one, two):
        if len(group.scores) < 2:
            raise RunError(
                f"{group.name} has {'one finished run' if group.scores else 'no finished run'}; "
                "a comparison of groups needs two on each side."
            )
    if one.measured_on != two.measured_on:
        raise RunError(
            f"{one.name} was measured on the {one.measured_on}, {two.name} on the {two.measured_on}; "
            "such accuracies cannot be compared."
        )
    first, second = (
        [each.accuracy for each in group.scores.values()] for group in (one, two)
    )  # in order of seeds
    if one.seeds == two.seeds:
        interval = paired_interval(first, second)
        how = (
            f"Both were trained with the seeds {_listed(one.seeds)}, and each run is compared with the other of its "
            "seed (Student's t)."
        )
    else:
        interval = welch_interval(first, second)
        how = (
            f"They have {len(first)} and {len(second)} runs, not all of the same seeds, so their means are compared "
            "(Welch's t)."
        )
    method = (
        f"{how} The accuracies are those after the last epoch on the {one.measured_on}; the interval tells what "
        "other seeds would do on the same images."
    )
    means = (spread(first).mean, spread(second).mean)
    return Answer(one.name, two.name, means, means[1] - means[0], interval, method)


def named(name: str) -> Run | Group:
    """The run of that name, or the group.

    Raises:
        RunError: there is neither, or it is damaged.
    """
    if name in {path.name for path in folders.list_entries(folders.checkpoints_folder())}:
        return store.open_run(name)
    return open_group(name)


def _by(difference: float) -> str:
    return f"{abs(difference):.2f} points {'better' if difference > 0 else 'worse'}"


def _chance(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-4 else "less than 0.0001"


def _listed(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return f"{', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"


def counts(answer: Answer) -> Mapping[str, int]:
    """Of two runs: how many images both, one or none of them gets right, in words for a table."""
    if answer.images is None:
        return {}
    found = answer.images
    return {
        "both right": found.both_correct,
        f"only {answer.first} right": len(found.only_first),
        f"only {answer.second} right": len(found.only_second),
        "both wrong": len(found.both_wrong),
    }
