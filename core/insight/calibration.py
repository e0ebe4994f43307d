"""Whether probabilities can be trusted: reliability, calibration error, and the temperature.

The confidence of a prediction is the highest of its ten probabilities. A network is calibrated if
of the predictions with a confidence of 80 % also 80 % are correct, and so for every confidence.
The words for it are in `core.insight.calibration_text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.insight.mistakes import MIN_PROBABILITY, Predictions
from core.task import CLASSES

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]

BINS = 15  # equally wide ones of the confidence, from 0 to 1
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
SAMPLES = 200  # of a calibrated network's labels


@dataclass(frozen=True, slots=True)
class Bin:
    """The predictions whose confidence lies in one bin."""

    low: float
    """Lower edge, exclusive; 0 to 1."""
    high: float
    """Upper edge, inclusive."""
    count: int
    """At least 1."""
    correct: int
    confidence: float
    """Mean confidence, 0 to 1."""

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, 0 to 1."""
        return self.correct / self.count


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence and accuracy of predictions, in bins of their confidence."""

    bins: tuple[Bin, ...]
    """Those that have predictions, ascending."""

    @property
    def count(self) -> int:
        """Number of predictions."""
        return sum(part.count for part in self.bins)

    @property
    def confidence(self) -> float:
        """Mean confidence, 0 to 1; NaN without predictions."""
        total = sum(part.count * part.confidence for part in self.bins)
        return total / self.count if self.bins else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, 0 to 1; NaN without predictions."""
        correct = sum(part.correct for part in self.bins)
        return correct / self.count if self.bins else float("nan")

    @property
    def error(self) -> float:
        """Expected calibration error (ECE), 0 to 1; NaN without predictions.

        The mean over the bins of |accuracy - mean confidence|, weighted by their predictions, with
        BINS equally wide bins. Source: Naeini, Cooper and Hauskrecht, AAAI 2015, 2901; with 15 bins
        as in Guo et al., arXiv:1706.04599.
        """
        gaps = sum(part.count * abs(part.accuracy - part.confidence) for part in self.bins)
        return gaps / self.count if self.bins else float("nan")


def measure_reliability(predictions: Predictions, digit: int | None = None) -> Reliability:
    """Sort predictions into BINS equally wide bins of their confidence.

    Args:
        predictions: of a network.
        digit: 0 to 9: only predictions of this digit; None: all.
    """
    confidence, correct = predictions.probabilities.max(axis=1), predictions.correct
    if digit is not None:
        chosen = predictions.predicted == digit
        confidence, correct = confidence[chosen], correct[chosen]
    places = _place_in_bins(confidence)
    counts = np.bincount(places, minlength=BINS)
    hits = np.bincount(places, correct, BINS)
    sums = np.bincount(places, confidence.astype(np.float64), BINS)
    return Reliability(
        tuple(
            Bin(
                place / BINS,
                (place + 1) / BINS,
                int(counts[place]),
                int(hits[place]),
                float(sums[place] / counts[place]),
            )
            for place in np.flatnonzero(counts)
        )
    )


def error_by_chance(predictions: Predictions, seed: int = 0) -> float:
    """Return the calibration error that a calibrated network exceeds on 5 % of such image sets.

    The error of finitely many predictions is never 0. Its distribution is found by drawing, SAMPLES
    times, whether each prediction is correct, with its confidence as the probability (Bröcker and
    Smith, Weather and Forecasting 22 (2007) 651).

    Args:
        predictions: at least one; only their confidence is used.
        seed: of the draws.
    """
    confidence = np.sort(predictions.probabilities.max(axis=1)).astype(np.float32)
    places = _place_in_bins(confidence)
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    sums = np.add.reduceat(confidence, starts, dtype=np.float64)
    generator = np.random.default_rng(seed)
    errors = []
    for _ in range(SAMPLES):
        correct = generator.random(len(confidence), np.float32) < confidence
        hits = np.add.reduceat(correct, starts, dtype=np.int64)
        errors.append(abs(hits - sums).sum() / len(confidence))
    return float(np.quantile(errors, 0.95))


def fit_temperature(predictions: Predictions) -> float:
    """Find the temperature that minimises the mean loss of predictions.

    The scores (logits) are divided by it before the softmax; above 1 it makes a network less
    confident. The loss is convex in 1 / temperature; the zero of its derivative is found by
    bisection.
    Source: Guo et al., arXiv:1706.04599, section 4.2.

    Args:
        predictions: at least one, of images that have not trained the network.

    Returns:
        MIN_TEMPERATURE to MAX_TEMPERATURE.

    Raises:
        UserError: there are no predictions.
    """
    if not len(predictions.labels):
        raise UserError("a temperature cannot be fitted without images.")
    scores = _scores(predictions)
    of_label = np.take_along_axis(scores, predictions.labels[:, None], axis=1).mean()
    # The logarithm of 1 / temperature.
    low, high = -np.log(MAX_TEMPERATURE), -np.log(MIN_TEMPERATURE)
    for _ in range(26):
        middle = (low + high) / 2
        powers = np.exp(scores * np.exp(middle))
        slope = ((powers * scores).sum(axis=1) / powers.sum(axis=1)).mean() - of_label
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def apply_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Return the predictions of the network with its scores divided by a temperature.

    The order of the digits, and so the predicted one, stays the same.

    Args:
        predictions: of the network as it is.
        temperature: above 0.
    """
    powers = np.exp(_scores(predictions) / temperature)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    return Predictions(probabilities.astype(np.float32), predictions.labels)


@dataclass(frozen=True, eq=False)
class Calibration:
    """How well a network's probabilities agree with its accuracy, and what would mend them."""

    before: Reliability
    """As the network is."""
    after: Reliability
    """With the temperature."""
    by_digit: tuple[tuple[Reliability, Reliability], ...]
    """Before and after, for the predictions of each digit 0 to 9."""
    temperature: float
    held_out: int
    """Validation images on which the temperature was fitted; 0: the images of `before`."""
    halves: tuple[float, float] | None
    """The temperatures of the two halves of the images; None with validation images."""
    chance: float
    """As from `error_by_chance`."""
    losses: tuple[float, float]
    """Mean negative log-likelihood before and after, in nats."""

    @property
    def excess(self) -> float:
        """Mean confidence minus accuracy, -1 to 1: negative for an underconfident network."""
        return self.before.confidence - self.before.accuracy

    @property
    def is_calibrated(self) -> bool:
        """Whether the error is one that a calibrated network would show, too."""
        return self.before.error <= self.chance

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON; shares are fractions, those of missing digits None."""
        return {
            "bins": [
                {
                    "low": part.low,
                    "high": part.high,
                    "count": part.count,
                    "correct": part.correct,
                    "mean_probability": part.confidence,
                }
                for part in self.before.bins
            ],
            "expected_calibration_error": self.before.error,
            "error_by_chance": self.chance,
            "mean_probability": self.before.confidence,
            "temperature": self.temperature,
            "fitted_on": f"{self.held_out} validation images" if self.held_out else "halves",
            "with_temperature": {
                "expected_calibration_error": self.after.error,
                "mean_probability": self.after.confidence,
                "loss": self.losses[1],
            },
            "by_predicted_digit": [
                {
                    "digit": digit,
                    "count": before.count,
                    "expected_calibration_error": before.error if before.bins else None,
                    "with_temperature": after.error if after.bins else None,
                }
                for digit, (before, after) in enumerate(self.by_digit)
            ],
        }


def calibrate(predictions: Predictions, held_out: Predictions | None = None) -> Calibration:
    """Measure how well a network is calibrated, as it is and with the best temperature.

    Without held-out predictions, the temperature is fitted on every other image and measured on the
    rest, and the other way round, so that no image is judged with a temperature that it helped to
    fit. The two halves are interleaved, since the first 5,000 of MNIST's test images are easier
    than the others.

    Args:
        predictions: of images that have not trained the network, at least two.
        held_out: of other such images, to fit the temperature on.

    Raises:
        UserError: there are too few predictions.
    """
    if len(predictions.labels) < 2:
        raise UserError("calibration needs at least two images.")
    halves = None
    if held_out is not None:
        temperature = fit_temperature(held_out)
        after = apply_temperature(predictions, temperature)
    else:
        even, odd = (_every_other(predictions, start) for start in (0, 1))
        halves = fit_temperature(even), fit_temperature(odd)
        temperature = fit_temperature(predictions)
        probabilities = np.empty_like(predictions.probabilities, np.float32)
        probabilities[1::2] = apply_temperature(odd, halves[0]).probabilities
        probabilities[::2] = apply_temperature(even, halves[1]).probabilities
        after = Predictions(probabilities, predictions.labels)
    return Calibration(
        measure_reliability(predictions),
        measure_reliability(after),
        tuple(
            (measure_reliability(predictions, digit), measure_reliability(after, digit))
            for digit in range(CLASSES)
        ),
        temperature,
        0 if held_out is None else len(held_out.labels),
        halves,
        error_by_chance(predictions),
        (float(predictions.loss.mean()), float(after.loss.mean())),
    )


def _place_in_bins(confidence: Floats) -> npt.NDArray[np.int64]:
    """Return the bin (N,) of each confidence; an upper edge belongs to its bin."""
    places = np.ceil(confidence.astype(np.float64) * BINS).astype(np.int64) - 1
    return places.clip(0, BINS - 1)


def _scores(predictions: Predictions) -> npt.NDArray[np.float64]:
    """Return log-probabilities (N, 10), highest 0: the logits but for a constant per image.

    Probabilities that vanish in float32 count as MIN_PROBABILITY.
    """
    scores = np.log(predictions.probabilities.astype(np.float64).clip(MIN_PROBABILITY))
    return np.asarray(scores - scores.max(axis=1, keepdims=True))


def _every_other(predictions: Predictions, start: int) -> Predictions:
    return Predictions(predictions.probabilities[start::2], predictions.labels[start::2])
