"""Errors of a network on labelled images: confusion matrix, losses, comparison of two networks.

All computed from probabilities and labels. A run's predictions on the test images are computed
and cached in `core.runs.prediction_cache`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.insight.predictions import predict
from core.task import CLASSES

if TYPE_CHECKING:
    from torch import nn

Indices = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]

LABEL_ERRORS = Path(__file__).with_name("label_errors.csv")
MIN_PROBABILITY = np.finfo(np.float32).tiny  # lower values count as this: the loss stays finite


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of a network for labelled images."""

    probabilities: Floats
    """(N, 10) float32; each row sums to 1."""
    labels: Indices
    """(N,) int64, 0 to 9."""

    @cached_property
    def predicted(self) -> Indices:
        """(N,) the digit with the highest probability."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def loss(self) -> Floats:
        """(N,) negative log-likelihood of the label, in nats."""
        likelihood = np.take_along_axis(self.probabilities, self.labels[:, None], axis=1)[:, 0]
        return -np.log(np.maximum(likelihood, MIN_PROBABILITY))

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the predicted digit equals the label."""
        return self.predicted == self.labels

    @property
    def error_count(self) -> int:
        """Number of images whose predicted digit differs from the label."""
        return int((~self.correct).sum())


def predict_labelled(model: nn.Module, images: npt.NDArray[Any], labels: Indices) -> Predictions:
    """Predict labelled images, in batches and without gradients.

    Args:
        model: Returns logits (B, 10).
        images: (N, 28, 28) uint8.
        labels: (N,) int64.

    Raises:
        UserError: The numbers of images and labels differ, or a probability is not finite.
    """
    if len(images) != len(labels):
        raise UserError(f"there are {len(images):,} images, but {len(labels):,} labels.")
    probabilities = predict(model, images)
    if not np.isfinite(probabilities).all():
        raise UserError("this network's outputs are not finite: its training diverged.")
    return Predictions(probabilities, np.asarray(labels, np.int64))


def confusion_matrix(labels: Indices, predicted: Indices) -> Counts:
    """Count how often each digit is predicted for each label.

    Args:
        labels, predicted: (N,) int64, 0 to 9.

    Returns:
        (10, 10): one row per label, one column per predicted digit; the diagonal is correct.
    """
    return np.bincount(CLASSES * labels + predicted, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def precision_recall(counts: Counts) -> tuple[Floats, Floats]:
    """Compute the precision and the recall of each digit.

    Args:
        counts: (10, 10) from `confusion_matrix`.

    Returns:
        Two (10,) arrays of fractions; NaN where the denominator is 0, such as the precision of a
        digit that is never predicted.
    """
    correct = counts.diagonal().astype(float)
    return _divide(correct, counts.sum(axis=0)), _divide(correct, counts.sum(axis=1))


def _divide(numerator: Floats, denominator: Counts) -> Floats:
    result = np.full(len(numerator), np.nan)
    return np.divide(numerator, denominator, out=result, where=denominator > 0)


def worst_errors(predictions: Predictions, count: int | None = None) -> Indices:
    """Return the indices of the errors, highest loss first; all of them if count is None."""
    return sort_by_loss(predictions, ~predictions.correct)[:count]


def sort_by_loss(predictions: Predictions, mask: npt.NDArray[np.bool_]) -> Indices:
    """Return the indices of the images in a mask (N,), highest loss first; ties by index."""
    indices = np.flatnonzero(mask)
    return indices[np.argsort(-predictions.loss[indices], kind="stable")]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two networks on the same images; the arrays hold indices in the dataset's order."""

    both_correct: int
    only_first: Indices
    """Correct by the first network, an error of the second."""
    only_second: Indices
    both_wrong: Indices

    @property
    def p_value(self) -> float:
        """Two-sided p-value of McNemar's exact test, for equal error rates.

        Source: McNemar, Psychometrika 12 (1947) 153; the binomial test on the discordant images.
        """
        from scipy.stats import binomtest

        first, second = len(self.only_first), len(self.only_second)
        return float(binomtest(first, first + second).pvalue) if first + second else 1.0


def compare(first: Predictions, second: Predictions) -> Comparison:
    """Compare the predictions of two networks image by image.

    Raises:
        UserError: The predictions are for different images.
    """
    if not np.array_equal(first.labels, second.labels):
        raise UserError("only predictions for the same images can be compared.")
    one, two = first.correct, second.correct
    return Comparison(
        int((one & two).sum()),
        np.flatnonzero(one & ~two),
        np.flatnonzero(~one & two),
        np.flatnonzero(~one & ~two),
    )


@dataclass(frozen=True, slots=True)
class LabelError:
    """A test image whose label was confirmed by fewer than three of five annotators."""

    label: int
    """Label in the dataset."""
    suggested: int
    """Label suggested instead."""
    votes_label: int
    """Annotators, of five, who chose the label."""
    votes_suggested: int
    votes_neither: int
    """Annotators who chose both or neither."""


@cache
def load_label_errors() -> dict[int, LabelError]:
    """Return the known label errors of MNIST's test images, keyed by index.

    Source: github.com/cleanlab/label-errors, mnist_mturk.json; Northcutt, Athalye and Mueller,
    arXiv:2103.14749. Of their 100 candidates, those with fewer than three votes for the label.
    """
    lines = [
        line
        for line in LABEL_ERRORS.read_text(encoding="utf-8").splitlines()
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
    """Return the known label errors if these are MNIST's test labels, else an empty dict."""
    errors = load_label_errors()
    is_mnist = len(labels) > max(errors) and all(
        labels[index] == error.label for index, error in errors.items()
    )
    return errors if is_mnist else {}
