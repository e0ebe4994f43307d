"""The section of a report about errors on the test images: which digits, confusions and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.labelled_images import LabelledImages
from core.errors import UserError
from core.experiments.statistics import wilson_interval
from core.insight import mistakes
from core.insight.mistakes import Indices, Predictions
from core.reports.blocks import Block, Digits, NumberedList, Paragraph, Section
from core.runs.evaluation import describe_deviation
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run
from core.task import TEST_SETS
from core.wording import plural

MAX_IMAGES, MAX_CLASSES = 12, 3
TITLE = "Errors"


def load_test_images() -> LabelledImages | None:
    """Return the test images, or None if the dataset is missing; nothing is downloaded."""
    from core.data import dataset

    if not dataset.is_present():
        return None
    try:
        return dataset.load().test.to_numpy()
    except UserError:
        return None


def load_further_images() -> LabelledImages | None:
    """Return QMNIST's further test images, or None if they are missing; nothing is downloaded."""
    from core.data import qmnist

    try:
        return qmnist.load().to_numpy() if qmnist.is_present() else None
    except UserError:
        return None


def describe_further_score(run: Run, further: LabelledImages | None) -> list[str]:
    """Return the line about a run's accuracy on QMNIST's images; empty where they are missing."""
    predictions = try_predictions(run, further)
    if predictions is None:
        return []
    total = len(predictions.labels)
    correct = total - predictions.error_count
    low, high = wilson_interval(correct, total)
    return [
        f"Accuracy on {total:,} {TEST_SETS['qmnist']}: **{100 * correct / total:.2f} %** "
        f"(95 % confidence interval: {low:.2f} to {high:.2f} %)"
    ]


def try_predictions(run: Run, test: LabelledImages | None) -> Predictions | None:
    """Return a run's predictions on the test images, or None without images or weights."""
    try:
        return None if test is None else load_predictions(run, test=test)
    except UserError:
        return None


def describe_errors(
    run: Run, predictions: Predictions | None, test: LabelledImages | None
) -> list[Section]:
    """Return the section of one run; empty if the predictions or the images are None."""
    if predictions is None or test is None:
        return []
    note = describe_deviation(run, predictions)
    if not predictions.error_count:
        return [Section(TITLE, [Paragraph(f"None on the test images. {note}".strip())])]
    worst = mistakes.worst_errors(predictions, MAX_IMAGES)
    blocks: list[Block] = [
        NumberedList(_describe_classes(predictions)),
        *([Paragraph(note)] if note else []),
        Paragraph("Errors with the highest loss:"),
        _digits(test, worst, predictions.probabilities),
    ]
    return [Section(TITLE, blocks)]


def describe_group_errors(runs: Sequence[Run], test: LabelledImages | None) -> list[Section]:
    """Return the section of a group; empty without predictions or images.

    Args:
        runs: with at least one epoch each.
        test: the test images, or None.
    """
    found = [(run, members) for run in runs if (members := try_predictions(run, test))]
    predictions = [members for _, members in found]
    if not predictions or test is None:
        return []
    notes = list(filter(None, (describe_deviation(*pair) for pair in found)))
    labels, count = predictions[0].labels, len(predictions)
    errors = np.sum([~member.correct for member in predictions], axis=0)  # (N,) number of runs
    probabilities = np.mean([member.probabilities for member in predictions], axis=0)  # (N, 10)
    ensemble = Predictions(probabilities, labels)
    lines = [
        f"{(errors == count).sum():,} of the {len(labels):,} test images are errors of all {count} "
        f"runs, {(errors > 0).sum():,} of at least one; mean per run: {errors.sum() / count:.0f}",
        f"The ensemble (mean probabilities) makes {plural(ensemble.error_count, 'error')}",
    ]
    blocks: list[Block] = [NumberedList(lines), *map(Paragraph, notes)]
    worst = mistakes.sort_by_loss(ensemble, errors == count)[:MAX_IMAGES]
    if len(worst):
        blocks += [
            Paragraph("Errors of all runs with the highest loss:"),
            _digits(test, worst, probabilities),
        ]
    return [Section(TITLE, blocks)]


def _describe_classes(predictions: Predictions) -> list[str]:
    """List the number of errors, the digits with the most and the frequent confusions."""
    counts = mistakes.confusion_matrix(predictions.labels, predictions.predicted)
    totals = counts.sum(axis=1)
    errors = totals - counts.diagonal()
    rates = 100 * errors / np.maximum(totals, 1)
    worst = sorted((d for d in range(10) if errors[d]), key=lambda digit: (-rates[digit], digit))
    shares = [f"{d} ({errors[d]} of {totals[d]:,}, {rates[d]:.2f} %)" for d in worst[:MAX_CLASSES]]
    pairs = sorted(
        (-int(counts[label, predicted]), label, predicted)
        for label in range(10)
        for predicted in range(10)
        if label != predicted and counts[label, predicted] > 1
    )
    confusions = [
        f"{label} predicted as {predicted} ({-count} times)"
        for count, label, predicted in pairs[:MAX_CLASSES]
    ]
    lines = [f"{predictions.error_count:,} of the {len(predictions.labels):,} test images"]
    if shares:
        lines.append(f"Highest error rates: {', '.join(shares)}")
    if confusions:
        lines.append(f"Most frequent confusions: {', '.join(confusions)}")
    return lines


def _digits(
    test: LabelledImages, indices: Indices, probabilities: npt.NDArray[np.floating[Any]]
) -> Digits:
    doubtful = mistakes.label_errors_for(test.labels)
    captions, descriptions = [], []
    for index in map(int, indices):
        label, predicted = int(test.labels[index]), int(probabilities[index].argmax())
        percent = 100 * probabilities[index].max()
        doubt = doubtful.get(index)
        votes = f"; {doubt.votes_label} of 5 people confirmed the label" if doubt else ""
        note = ", doubtful label" if doubt else ""
        captions.append(f"**{label}** as {predicted}, {percent:.0f} %\nno. {index}{note}")
        descriptions.append(
            f"No. {index}: {label} predicted as {predicted} with probability {percent:.1f} %{votes}"
        )
    return Digits(test.images[indices], captions, descriptions)
