"""What a network gets wrong on labelled images: which, how sure of it, which digits it takes for which.

All of it with numpy from probabilities and labels. A run's own predictions on the test images are made, and kept, in
`core.runs.prediction_cache`; how they are drawn is the pages' business.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.insight.predictions import CLASSES, predict

if TYPE_CHECKING:
    from torch import nn

Indices = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]

_LABEL_ERRORS = Path(__file__).with_name("label_errors.csv")
_SMALLEST = np.finfo(
    np.float32
).tiny  # a probability below it counts as this: its loss stays a number


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network says of labelled images."""

    probabilities: Floats
    """(N, 10) float32, each row adding up to 1."""
    labels: Indices
    """(N,) int64, 0 to 9."""

    @cached_property
    def predicted(self) -> Indices:
        """(N,) the digit with the highest probability."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def loss(self) -> Floats:
        """(N,) nll in nats: minus the logarithm of the probability that the label was given."""
        given = np.take_along_axis(self.probabilities, self.labels[:, None], axis=1)[:, 0]
        return -np.log(np.maximum(given, _SMALLEST))

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the predicted digit is the label."""
        return self.predicted == self.labels

    @property
    def error_count(self) -> int:
        """How many are wrong."""
        return int((~self.correct).sum())


def predict_labelled(model: nn.Module, images: npt.NDArray[Any], labels: Indices) -> Predictions:
    """What a network says of labelled images, in batches and without gradients.

    Args:
        model: gives logits (B, 10).
        images: (N, 28, 28) uint8.
        labels: (N,) int64.

    Raises:
        UserError: images and labels don't go together, or the network gives no numbers.
    """
    if len(images) != len(labels):
        raise UserError(f"{len(images):,} images cannot be judged by {len(labels):,} labels.")
    probabilities = predict(model, images)
    if not np.isfinite(probabilities).all():
        raise UserError(
            "the network answers with no numbers: its weights have grown beyond all bounds."
        )
    return Predictions(probabilities, np.asarray(labels, np.int64))


def confusion_matrix(labels: Indices, predicted: Indices) -> Counts:
    """How often each digit was taken for each.

    Args:
        labels, predicted: (N,) int64, 0 to 9.

    Returns:
        (10, 10): a row for each label, a column for each predicted digit; what is right lies on the diagonal.
    """
    return np.bincount(CLASSES * labels + predicted, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def precision_recall(counts: Counts) -> tuple[Floats, Floats]:
    """Precision and recall of each digit.

    Args:
        counts: (10, 10), as `confusion` gives them.

    Returns:
        Two (10,) shares: of the images taken for a digit those that are it, and of the images of a digit those taken
        for it. NaN where there is nothing to share: a digit that is never predicted has no precision.
    """
    right = counts.diagonal().astype(float)
    return _shares(right, counts.sum(axis=0)), _shares(right, counts.sum(axis=1))


def _shares(some: Floats, of: Counts) -> Floats:
    return np.divide(some, of, out=np.full(len(some), np.nan), where=of > 0)


def worst_errors(found: Predictions, count: int | None = None) -> Indices:
    """Indices of the wrong predictions, the highest loss first; None: all of them."""
    return sort_by_loss(found, ~found.correct)[:count]


def sort_by_loss(found: Predictions, chosen: npt.NDArray[np.bool_]) -> Indices:
    """Indices of the chosen images, the highest loss first, among equals in the dataset's order.

    Args:
        found: the predictions.
        chosen: (N,) which images.
    """
    indices = np.flatnonzero(chosen)
    return indices[np.argsort(-found.loss[indices], kind="stable")]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two networks on the same images; each array holds indices, in the dataset's order."""

    both_correct: int
    only_first: Indices
    """Right by the first, wrong by the second."""
    only_second: Indices
    both_wrong: Indices

    @property
    def p_value(self) -> float:
        """How often a fair coin would divide the images that only one gets right as unevenly, or more: 0 to 1.

        Source: the exact form of McNemar's test (Psychometrika 12 (1947) 153).
        """
        some, other = len(self.only_first), len(self.only_second)
        total, fewer = some + other, min(some, other)
        if some == other:
            return 1.0
        return min(1.0, 2 * sum(math.comb(total, each) for each in range(fewer + 1)) / 2**total)


def compare(first: Predictions, second: Predictions) -> Comparison:
    """Where two networks agree and where not.

    Raises:
        UserError: they were not asked about the same images.
    """
    if not np.array_equal(first.labels, second.labels):
        raise UserError("only predictions on the same images can be compared.")
    one, two = first.correct, second.correct
    return Comparison(
        int((one & two).sum()),
        np.flatnonzero(one & ~two),
        np.flatnonzero(~one & two),
        np.flatnonzero(~one & ~two),
    )


@dataclass(frozen=True, slots=True)
class LabelError:
    """A test image whose label fewer than three of five people kept when they were asked."""

    label: int
    """The label in the dataset."""
    suggested: int
    """What it was suspected to be instead."""
    votes_label: int
    """People of five who chose the label."""
    votes_suggested: int
    votes_neither: int
    """People who chose both or neither."""


@cache
def load_label_errors() -> dict[int, LabelError]:
    """The known wrong labels of MNIST's test images, by index.

    Source: cleanlab/label-errors, mnist_mturk.json; Northcutt, Athalye and Mueller, arXiv 2103.14749. Of the 100
    images suspected there, those whose label fewer than three of five people kept.
    """
    lines = [
        line
        for line in _LABEL_ERRORS.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    return {
        int(row["index"]): LabelError(
            int(row["given"]),
            int(row["guess"]),
            int(row["votes_given"]),
            int(row["votes_guess"]),
            int(row["votes_neither"]),
        )
        for row in csv.DictReader(lines)
    }


def label_errors_for(labels: Indices) -> dict[int, LabelError]:
    """The known wrong labels, where these are MNIST's test labels; of other images nothing is known."""
    doubts = load_label_errors()
    same = len(labels) > max(doubts) and all(
        labels[index] == doubt.label for index, doubt in doubts.items()
    )
    return doubts if same else {}
