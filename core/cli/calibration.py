"""The part of `evaluate` that says whether a run's probabilities can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.insight.calibration import (
    BINS,
    Calibration,
    calibrate,
)
from core.insight.calibration_text import describe_confidence, describe_temperature
from core.runs.evaluation import predict_run
from core.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from core.data.labelled_images import LabelledImages


def calibrate_run(run: Run, images: LabelledImages[Tensor], which: str | int) -> Calibration:
    """Measure how well a run is calibrated; the temperature is fitted on its validation images.

    Args:
        run: with at least one epoch.
        images: to measure it on.
        which: weights, as for `predict_run`.

    Raises:
        RunError: as `predict_run`.
        DataError: the validation images cannot be loaded.
    """
    held_out = None
    if run.config.holdout:
        from core.data import dataset

        validation = dataset.hold_out(run.config, dataset.load().train)[1]
        held_out = predict_run(run, validation.to_numpy(), which)
    return calibrate(predict_run(run, images.to_numpy(), which), held_out)


def describe_calibration(run: Run, calibration: Calibration) -> str:
    """Return the calibration error of the whole and of each digit, and what follows from it."""
    digits = ", ".join(
        f"{digit}: {100 * before.error:.2f} %" if before.bins else f"{digit}: never predicted"
        for digit, (before, _) in enumerate(calibration.by_digit)
    )
    return (
        f"{describe_confidence(run.name, run.config, calibration)}\n"
        f"{describe_temperature(calibration)}\n"
        f"Expected calibration error, in {BINS} equally wide bins of the highest probability: "
        f"{100 * calibration.before.error:.2f} %; by predicted digit: {digits}."
    )
