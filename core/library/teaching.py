"""Teaching a trained network the user's own digits, and its accuracy before and after.

A taught run is a fork: it starts from the weights of another run and learns from MNIST and the own
digits together. Must not import torch at module level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from core.config import NO_DIGITS
from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.insight.mistakes import Predictions
from core.limits import Limits
from core.runs import control, digit_file
from core.runs.digit_file import Drawing, RunDigits, to_arrays
from core.runs.evaluation import predict_run, recorded_result
from core.runs.folders import checkpoints_folder
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run
from core.training.results import TestResult

# What a taught run changes in the config of the run that it starts from. Found with held-out
# training images (tests/benchmarks/hand.py); any of them can be set otherwise.
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "digits_share": 0.1,
        "digits_test_share": 0.5,
        "augmentation": "stretch",
        "transforms": (),
        "augment_fraction": 1.0,
        "optimizer": "adamw",
        "momentum": 0.9,
        "weight_decay": 0.0,
        "schedule": "triangle",
        "lr": 0.0,
        "max_lr": 0.002,
        "warmup": 0.2,
        "batch_size": 64,
        "epochs": 5,
        "ema_decay": 0.998,
        "teacher": "none",
        "kept_epochs": 50,
    }
)


@dataclass(frozen=True, slots=True)
class Guess:
    """What a network predicts for one drawing."""

    digit: int
    probability: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A network before and after it was taught."""

    own: tuple[TestResult, TestResult] | None
    """On the own digits kept for testing, before and after; None: there are none."""
    left_out: int
    """Own digits that would be kept for testing, but which the network had learned before."""
    mnist: tuple[TestResult, TestResult] | None
    """On MNIST's test images, before and after; None: they were not given."""
    drawing: Drawing | None
    """The drawing that prompted the run; None: there was none."""
    guesses: tuple[Guess, Guess] | None
    """For the drawing, before and after."""


def teach(
    name: str,
    digits: str,
    to: str,
    changes: Mapping[str, Any] | None = None,
    *,
    drawing: Drawing | None = None,
    which: str | int = "last",
    owner: str | None = None,
    title: str | None = None,
    number_if_taken: bool = False,
    folder: Path | None = None,
    limits: Limits | None = None,
) -> Run:
    """Create a run that learns own digits from another run's weights on; it is not queued yet.

    Args:
        name: of the run to start from.
        digits: name of the set, which is copied into the new run.
        to: name of the new run.
        changes: fields of the config that differ from `SETTINGS`.
        drawing: the drawing that the user wants to be read; None: there is none.
        which: weights to start from, as for `core.runs.control.fork`.
        owner, title, number_if_taken, folder, limits: as of `core.runs.control.fork`.

    Raises:
        UserError: as `fork`, or there is no such set, or it is empty.
    """
    folder = folder or checkpoints_folder()
    values = {**SETTINGS, **(changes or {}), "digits": digits}
    own = replace(digit_file.copy_set(digits, folder), drawing=drawing)
    return control.fork(
        name,
        to,
        values,
        which,
        folder,
        owner=owner,
        title=title,
        digits=own,
        number_if_taken=number_if_taken,
        limits=limits,
    )


def is_taught(run: Run) -> bool:
    """Return whether a run learned own digits from another run's weights on."""
    return run.config.digits != NO_DIGITS and run.parent is not None


def load_test_digits(run: Run) -> LabelledImages[np.ndarray]:
    """Return the own digits that a run keeps for testing; there may be none.

    Digits that the runs before it trained on, whose weights it started from, are left out.

    Raises:
        RunError: the run has no own digits, or their file is damaged.
    """
    own = _read_own(run)
    learned = digit_file.find_learned(run.config, own)
    images, labels = to_arrays([digit for digit in own.digits if digit.key not in learned])
    return LabelledImages(images.copy(), labels, "own digits")


def learned_keys(run: Run) -> frozenset[str]:
    """Return the keys of the own digits that a run and the runs before it train on.

    They are keys as of `SavedDigit.key`, and only of digits in the run's own copy.

    Raises:
        RunError: the digits' file is missing or damaged.
    """
    own = digit_file.own_digits_of(run.config, run.folder)
    return frozenset() if own is None else digit_file.find_learned(run.config, own)


def compare(run: Run, test: LabelledImages | None) -> Comparison:
    """Compare a taught run with the network that it started from.

    Args:
        run: with at least one epoch.
        test: MNIST's test images as arrays; None: they are left out.

    Raises:
        RunError: the run has no own digits, has no weights yet, or has not kept its first ones.
    """
    digits, kept = _read_own(run), load_test_digits(run)
    run.weights_path()  # raises where there are none yet
    if 0 not in run.list_kept_epochs():
        raise RunError(f"{run.name} has not kept the weights that it started from.")
    own = mnist = guesses = None
    if len(kept):
        own = _to_result(predict_run(run, kept, 0)), _to_result(predict_run(run, kept))
    if test is not None:
        # The recorded figure comes first, so that it is the same everywhere.
        after = recorded_result(run) or _to_result(load_predictions(run, "last", test))
        mnist = _to_result(load_predictions(run, 0, test)), after
    drawing = digits.drawing
    if drawing is not None:
        pixels = np.frombuffer(drawing.pixels, np.uint8).reshape(1, 28, 28)
        one: LabelledImages[np.ndarray] = LabelledImages(
            pixels.copy(), np.array([drawing.label or 0], np.int64)
        )
        guesses = _guess(predict_run(run, one, 0)), _guess(predict_run(run, one))
    left_out = run.config.count_test_digits(len(digits.digits)) - len(kept)
    return Comparison(own, left_out, mnist, drawing, guesses)


def _read_own(run: Run) -> RunDigits:
    """Read the own digits in a run's folder.

    Raises:
        RunError: the run has none, or their file is damaged.
    """
    own = digit_file.own_digits_of(run.config, run.folder)
    if own is None:
        raise RunError(f"{run.name} has not learned any own digits.")
    return own


def _to_result(predictions: Predictions) -> TestResult:
    total = len(predictions.labels)
    return TestResult(float(predictions.loss.mean()), total - predictions.error_count, total)


def _guess(predictions: Predictions) -> Guess:
    digit = int(predictions.predicted[0])
    return Guess(digit, float(predictions.probabilities[0, digit]))
