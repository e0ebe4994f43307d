"""Whether a run's probabilities can be trusted: reliability, calibration error, temperature."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.charts import calibration as charts
from core.data.labelled_images import LabelledImages
from core.errors import UserError
from core.experiments.scores import TEST_IMAGES
from core.experiments.statistics import wilson_interval
from core.insight.calibration import (
    BINS,
    Calibration,
    Reliability,
    calibrate,
)
from core.insight.calibration_text import describe_confidence, describe_temperature
from core.insight.learning import describe_epoch
from core.insight.mistakes import Predictions
from core.insight.training_batch import validation
from core.runs.run import Run
from core.task import TEST_SETS
from pages.ui import dataset, tables
from pages.ui.components.chart import draw_chart
from pages.ui.components.rewind import choose_epoch
from pages.ui.mistakes.shared import predict_test_images
from pages.ui.words import escape_markdown

SOURCE = "[Guo et al., 2017](https://arxiv.org/abs/1706.04599)"


@st.fragment
def show_calibration(run: Run, predictions: Predictions, test: LabelledImages) -> None:
    """Show how well a run's probabilities agree with its accuracy, and what would mend them."""
    try:
        epoch = choose_epoch(run, "mistakes_calibration_rewind")
        if epoch is not None:
            predictions = predict_test_images(run, test, epoch)
        calibration = calibrate(predictions, _predict_held_out(run, epoch))
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    before, after = calibration.before, calibration.after
    tables.draw_metrics(
        {
            "Calibration error": _percent(before.error),
            "Mean probability": _percent(before.confidence),
            "Accuracy": _percent(before.accuracy),
            "Temperature": f"{calibration.temperature:.2f}",
            "Error with it": _percent(after.error),
        }
    )
    when = "" if epoch is None else f" With the weights as they were {describe_epoch(epoch)}."
    st.markdown(
        escape_markdown(describe_confidence(run.label, run.config, calibration))
        + f"\n\n{escape_markdown(describe_temperature(calibration))}",
        width=760,
    )
    st.caption(
        f"On {before.count:,} {TEST_SETS.get(test.name, TEST_IMAGES)}.{when} Expected calibration "
        f"error: the predictions are sorted into {BINS} equally wide bins of their highest "
        "probability, and the differences between mean probability and accuracy are averaged over "
        f"the bins, weighted by the number of predictions ({SOURCE}).",
        width=760,
    )
    left, right = st.columns([7, 5], gap="large")
    with left:
        _draw_reliability(run, calibration)
    with right:
        _draw_by_digit(run, calibration)


def _predict_held_out(run: Run, epoch: int | None) -> Predictions | None:
    """Predict the validation images of a run; None where it has none."""
    if not run.config.holdout:
        return None
    sets = dataset.load_digits()
    if sets is None:
        raise UserError("the validation images of this run are missing; download MNIST first.")
    held_out = validation(run.config, sets["training"], sets["test"])
    return predict_test_images(run, held_out, epoch)


def _draw_reliability(run: Run, calibration: Calibration) -> None:
    rows = [
        {
            "series": series,
            "bin": f"{100 * part.low:.0f} to {100 * part.high:.0f} %",
            "count": part.count,
            "confidence": part.confidence,
            "accuracy": part.accuracy,
            "low": low / 100,
            "high": high / 100,
            "centre": (part.low + part.high) / 2,
        }
        for series, reliability in _series(calibration.before, calibration.after)
        for part in reliability.bins
        for low, high in [wilson_interval(part.correct, part.count)]
    ]
    frame = pd.DataFrame(rows)
    draw_chart(
        charts.reliability_chart(frame),
        "reliability",
        title="Reliability",
        subtitle="with 95 % intervals",
        help="Each point is a bin of predictions. Below the dotted line, the network is correct "
        "less often than its probabilities say; above it, more often. The numbers at the bottom "
        "count the predictions in each bin as trained.",
        alt="Accuracy of each bin of probability, as trained: "
        + ", ".join(
            f"{100 * part.confidence:.0f} %: {100 * part.accuracy:.0f} % of {part.count:,}"
            for part in calibration.before.bins
        ),
        filename=f"{run.name}-reliability",
        subject=run.name,
        make_table=lambda: frame.drop(columns="centre"),
    )


def _draw_by_digit(run: Run, calibration: Calibration) -> None:
    rows = [
        {
            "digit": digit,
            "series": series,
            "error": 100 * reliability.error,
            "count": reliability.count,
            "confidence": reliability.confidence,
            "accuracy": reliability.accuracy,
        }
        for digit, pair in enumerate(calibration.by_digit)
        for series, reliability in _series(*pair)
        if reliability.bins
    ]
    frame = pd.DataFrame(rows)
    draw_chart(
        charts.digit_error_chart(frame),
        "digit_calibration",
        title="By predicted digit",
        subtitle="calibration error",
        help="The calibration error among the predictions of each digit. With fewer predictions, "
        "chance alone causes a larger error.",
        alt="Calibration error of the predictions of each digit, as trained: "
        + ", ".join(
            f"{digit}: {100 * before.error:.2f} %"
            for digit, (before, _) in enumerate(calibration.by_digit)
            if before.bins
        ),
        filename=f"{run.name}-calibration-by-digit",
        subject=run.name,
        make_table=lambda: frame,
    )


def _series(before: Reliability, after: Reliability) -> list[tuple[str, Reliability]]:
    return [(charts.AS_TRAINED, before), (charts.WITH_TEMPERATURE, after)]


def _percent(share: float) -> str:
    return f"{100 * share:.2f}\u00a0%"
