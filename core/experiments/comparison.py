"""Compare two runs on the same test images, or two groups over their seeds.

Two runs are compared image by image: images on which both are correct, or both wrong, do not tell
which is better. Two groups are compared by the accuracies of their runs; groups are in `repeats`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.experiments.repeats import Group, list_groups, open_group
from core.experiments.scores import TEST_IMAGES
from core.experiments.statistics import (
    accuracy_difference_interval,
    compute_statistics,
    paired_interval,
    welch_interval,
)
from core.insight import mistakes
from core.insight.mistakes import Predictions
from core.runs import folders, store
from core.runs.evaluation import describe_deviation
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run
from core.task import TEST_SETS

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class ComparisonResult:
    """Accuracies are in percent, differences in percentage points."""

    first: str
    second: str
    accuracies: tuple[float, float]
    difference: float
    """Accuracy of the second minus that of the first."""
    interval: tuple[float, float]
    """95 % confidence interval of the difference."""
    method: str
    """How the interval was computed, in sentences."""
    images: mistakes.Comparison | None = None
    """For two runs: the images on which only one of them is correct."""

    @property
    def shown_difference(self) -> float:
        """The difference of the accuracies as they are shown, with two decimals."""
        first, second = (round(accuracy, 2) for accuracy in self.accuracies)
        return round(second - first, 2)

    @property
    def is_significant(self) -> bool:
        """Whether the confidence interval excludes 0."""
        return self.interval[0] > 0 or self.interval[1] < 0

    @property
    def summary(self) -> str:
        """The result in a sentence."""
        low, high = self.interval
        if self.is_significant:
            better, gain = self.second, self.shown_difference
            if self.difference < 0:
                better, gain, low, high = self.first, -gain, -high, -low
            interval = f"95 % confidence interval {low:.2f} to {high:.2f}"
            return f"{better} is better by {gain:.2f} points ({interval})."
        signed = [f"{round(end, 2) or 0.0:+.2f}" for end in (low, high)]  # no minus before 0.00
        interval = f"95 % confidence interval {' to '.join(signed)} points"
        if not self.shown_difference:
            both = f"{self.first} and {self.second}"
            return f"No clear difference: {both} have the same accuracy ({interval})."
        order = "better" if self.shown_difference > 0 else "worse"
        gap = f"{abs(self.shown_difference):.2f} points {order} than {self.first}"
        return f"No clear difference: {self.second} is {gap} ({interval})."

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        values: dict[str, Any] = {
            "first": self.first,
            "second": self.second,
            "accuracies": list(self.accuracies),
            "difference": self.difference,
            "interval": list(self.interval),
            "significant": self.is_significant,
            "summary": self.summary,
            "method": self.method,
        }
        if self.images is not None:
            values["images"] = {
                "both_correct": self.images.both_correct,
                "only_first": len(self.images.only_first),
                "only_second": len(self.images.only_second),
                "both_wrong": len(self.images.both_wrong),
                "p": self.images.p_value,
            }
        return values


def compare(
    first: str, second: str, images: LabelledImages[np.ndarray] | None = None
) -> ComparisonResult:
    """Compare two runs, or two groups, by name.

    Args:
        first, second: names of runs or groups.
        images: to compare two runs on; None: the test images.

    Raises:
        RunError: there is no such run or group, one has no weights or too few runs yet, one name
            is a run's and the other a group's, or two groups are to be compared on other images.
        DataError: two runs are compared, and the test images are not available.
    """
    if first == second:
        raise RunError(f"both names are {first!r}; name two different runs or groups.")
    one, two = open_run_or_group(first), open_run_or_group(second)
    if isinstance(one, Run) and isinstance(two, Run):
        predictions = [load_predictions(run, test=images) for run in (one, two)]
        if images is not None:
            name = TEST_SETS.get(images.name, TEST_IMAGES)
            return compare_runs(first, predictions[0], second, predictions[1], images=name)
        notes = [describe_deviation(*pair) for pair in zip((one, two), predictions, strict=True)]
        return compare_runs(first, predictions[0], second, predictions[1], notes)
    if isinstance(one, Group) and isinstance(two, Group):
        if images is not None:
            raise RunError(
                f"{first} and {second} are groups, which are compared by the accuracies that their "
                "runs recorded; on other images, compare two runs."
            )
        return compare_groups(one, two)
    run, group = (first, second) if isinstance(one, Run) else (second, first)
    raise RunError(f"{run} is a run and {group} is a group; compare two runs, or two groups.")


def compare_runs(
    first: str,
    one: Predictions,
    second: str,
    two: Predictions,
    notes: Iterable[str] = (),
    images: str = TEST_IMAGES,
) -> ComparisonResult:
    """Compare two runs by their predictions on the same images.

    Args:
        first, second: names of the runs.
        one, two: their predictions.
        notes: sentences to add to the method, such as those of `describe_deviation`; may be empty.
        images: what the images are, in words.

    Raises:
        UserError: the predictions are not for the same images.
    """
    agreement = mistakes.compare(one, two)
    total = len(one.labels)
    only_first, only_second = len(agreement.only_first), len(agreement.only_second)
    accuracies = tuple(100 * float(each.correct.mean()) for each in (one, two))
    method = (
        f"Of the same {total:,} {images}, only {first} is correct on {only_first:,} and only "
        f"{second} on {only_second:,} (McNemar's exact test: {_format_p(agreement.p_value)}). This "
        "compares two trained networks; other seeds may give another result."
    )
    return ComparisonResult(
        first,
        second,
        (accuracies[0], accuracies[1]),
        100 * (only_second - only_first) / total,
        accuracy_difference_interval(only_first, only_second, total),
        " ".join([method, *filter(None, notes)]),
        agreement,
    )


def compare_groups(one: Group, two: Group) -> ComparisonResult:
    """Compare the accuracies of two groups' finished runs, in pairs if they used the same seeds.

    Raises:
        RunError: a group has fewer than two finished runs, or the images differ.
    """
    for group in (one, two):
        if len(group.scores) < 2:
            count = "one finished run" if group.scores else "no finished run"
            raise RunError(f"{group.name} has {count}; a comparison needs two in each group.")
    if one.measured_on != two.measured_on:
        raise RunError(
            f"{one.name} was measured on the {one.measured_on}, {two.name} on the "
            f"{two.measured_on}; accuracies on different images cannot be compared."
        )
    first, second = ([score.accuracy for score in group.scores.values()] for group in (one, two))
    if one.finished_seeds == two.finished_seeds:  # a group's runs are in order of their seeds
        interval = paired_interval(first, second)
        test = (
            f"Both groups used the seeds {_list_seeds(one.finished_seeds)}, so runs are compared "
            "in pairs (Student's t)."
        )
    else:
        interval = welch_interval(first, second)
        test = (
            f"The groups have {len(first)} and {len(second)} runs with different seeds, so their "
            "means are compared (Welch's t)."
        )
    method = (
        f"{test} Accuracies are those after the last epoch on the {one.measured_on}; the interval "
        "covers the choice of seeds, not that of images."
    )
    means = (compute_statistics(first).mean, compute_statistics(second).mean)
    return ComparisonResult(one.name, two.name, means, means[1] - means[0], interval, method)


def open_run_or_group(name: str) -> Run | Group:
    """Open the run of that name, or else the group.

    Raises:
        RunError: there is neither, or it is damaged.
    """
    if name in {path.name for path in folders.list_entries(folders.checkpoints_folder())}:
        return store.open_run(name)
    if all(group.name != name for group in list_groups()):
        raise RunError(f"there is no run or group {str(name)[:60]!r}.")
    return open_group(name)


def count_agreement(result: ComparisonResult) -> Mapping[str, int]:
    """For two runs: on how many images both, one or none of them is correct, by row title."""
    if result.images is None:
        return {}
    images = result.images
    return {
        "both correct": images.both_correct,
        f"only {result.first} correct": len(images.only_first),
        f"only {result.second} correct": len(images.only_second),
        "both wrong": len(images.both_wrong),
    }


def _format_p(p: float) -> str:
    return f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"


def _list_seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return f"{', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"
