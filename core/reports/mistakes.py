"""What a report says of the test images that are named wrongly: which digits, which confusions, which images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.labelled_images import LabelledImages
from core.errors import UserError
from core.insight import mistakes
from core.insight.mistakes import Indices, Predictions
from core.reports.blocks import Digits, Lines, Section, Words
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run

HARDEST, WORST = 12, 3
TITLE = "What it gets wrong"


def test_set() -> LabelledImages | None:
    """The test images and their labels, if the dataset is here; nothing is fetched for a report."""
    from core.data import dataset

    if not dataset.is_present():
        return None
    try:
        return dataset.load().test.to_numpy()
    except UserError:
        return None


def asked(run: Run, test: LabelledImages | None) -> Predictions | None:
    """What a run says of the test images; None where they or its weights are not here."""
    try:
        return None if test is None else load_predictions(run, test=test)
    except UserError:
        return None


def sections(found: Predictions | None, test: LabelledImages | None) -> list[Section]:
    """The mistakes of one run.

    Args:
        found: what it says of the test images, or None.
        test: the images and their labels, or None.
    """
    if found is None or test is None:
        return []
    if not found.error_count:
        return [Section(TITLE, [Words("Not one of the test images.")])]
    hardest = mistakes.worst_errors(found, HARDEST)
    predicted, sure = found.predicted[hardest], found.probabilities[hardest].max(axis=1)
    return [
        Section(
            TITLE,
            [
                Lines(classes(found)),
                Words("The hardest images, the highest loss first:"),
                _shown(test, hardest, predicted, sure),
            ],
        )
    ]


def group_sections(found: Sequence[Predictions], test: LabelledImages | None) -> list[Section]:
    """The mistakes of a group.

    Args:
        found: what each of its runs says of the test images; empty: not known.
        test: the images and their labels, or None.
    """
    if not found or test is None:
        return []
    labels, count = found[0].labels, len(found)
    wrong = np.sum([~each.correct for each in found], axis=0)  # (N,) runs that get it wrong
    mean = np.mean([each.probabilities for each in found], axis=0)  # (N, 10)
    every, some = int((wrong == count).sum()), int((wrong > 0).sum())
    together = Predictions(mean, labels)
    lines = [
        f"{every:,} of the {len(labels):,} test images are misread by all {count} runs, and {some:,} by at least "
        f"one; a run misreads {wrong.sum() / count:.0f} on average",
        f"Asked together, by the mean of their probabilities, they misread {together.error_count:,}",
    ]
    hardest = mistakes.sort_by_loss(together, wrong == count)[:HARDEST]
    blocks = [Lines(lines)]
    if len(hardest):
        return [
            Section(
                TITLE,
                [
                    *blocks,
                    Words("The hardest images, misread by every run, the highest loss first:"),
                    _shown(test, hardest, together.predicted[hardest], mean[hardest].max(axis=1)),
                ],
            )
        ]
    return [Section(TITLE, blocks)]


def classes(found: Predictions) -> list[str]:
    """The digits that are read worst, and what is taken for what."""
    counts = mistakes.confusion_matrix(found.labels, found.predicted)
    _, recall = mistakes.precision_recall(counts)
    missed = counts.sum(axis=1) - counts.diagonal()
    worst = sorted(
        (digit for digit in range(10) if missed[digit]), key=lambda digit: (recall[digit], digit)
    )[:WORST]
    lines = [f"{found.error_count:,} of the {len(found.labels):,} test images"]
    if worst:
        lines.append(
            "Read worst: "
            + ", ".join(
                f"the {digit} ({missed[digit]} of {counts[digit].sum():,}, {100 * (1 - recall[digit]):.2f} %)"
                for digit in worst
            )
        )
        off = counts - np.diag(counts.diagonal())
        pairs = sorted(
            (
                (int(off[label, taken]), label, taken)
                for label in range(10)
                for taken in range(10)
                if off[label, taken] > 1
            ),
            key=lambda pair: (-pair[0], pair[1:]),
        )[:WORST]
        if pairs:
            lines.append(
                "Confused most: "
                + ", ".join(
                    f"{_a(label)} for {_a(taken)} ({times} times)" for times, label, taken in pairs
                )
            )
    return lines


def _a(digit: int) -> str:
    return f"an {digit}" if digit == 8 else f"a {digit}"


def _shown(
    test: LabelledImages,
    indices: Indices,
    predicted: Indices,
    sure: npt.NDArray[np.floating[Any]],
) -> Digits:
    images, labels = test.images, test.labels
    doubts = mistakes.label_errors_for(labels)
    captions, lines = [], []
    for index, label, taken, share in zip(indices, labels[indices], predicted, sure, strict=True):
        doubt = doubts.get(int(index))
        kept = f" (a label that {doubt.votes_label} of 5 people kept)" if doubt else ""
        captions.append(
            f"**{label}** as {taken}, {100 * share:.0f} %\nno. {index}{', doubted' if doubt else ''}"
        )
        lines.append(
            f"No. {index}: {_a(label)}, taken for {_a(taken)} with {100 * share:.1f} %{kept}"
        )
    return Digits(images[indices], captions, lines)
