"""Slides and pictures that need MNIST: networks with a digit, augmented digits, mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.charts.diagrams import shape_diagram
from core.data.labelled_images import LabelledImages
from core.insight.mistakes import Predictions, sort_by_loss, worst_errors
from core.models.architectures import rows_of
from core.models.shapes import trace
from core.reports import story
from core.runs.run import Run
from core.wording import plural
from pages.ui.story import tries
from pages.ui.story.digits import (
    DRAWS,
    SHOWN_DIGITS,
    augment_copies,
    changes_title,
    compare_runs,
    mistakes_title,
)
from pages.ui.story.pictures import (
    MAX_COLUMNS,
    DigitRow,
    Picture,
    diagram_picture,
    digits_picture,
)
from pages.ui.story.slide import Material, Slide

MAX_LINES = 3  # of mistakes on a slide
_LABELS = "Below each: its label and the prediction."


def network_picture(run: Run, test: LabelledImages | None) -> Picture:
    """The shapes of a network's layers, from a digit to the ten scores."""
    digit = np.zeros((28, 28), np.uint8) if test is None else test.images[0]
    layers = trace(rows_of(run.config))
    return diagram_picture(
        shape_diagram(layers, digit), f"The output of each of the {len(layers)} rows of {run.name}."
    )


def augmentation_picture(run: Run, training: LabelledImages | None) -> Picture:
    """Training images, each beside augmented copies."""
    if training is None:
        return {}
    images = augment_copies(run, training)
    rows = [
        DigitRow(
            copies,
            [
                f"{digit}, original",
                *(f"{digit}, augmented copy {at}" for at in range(1, DRAWS + 1)),
            ],
        )
        for digit, copies in zip(SHOWN_DIGITS, images, strict=True)
    ]
    return digits_picture(rows, "Left: training images. Right: augmented copies.")


def mistakes_slides(run: Run, before: Run | None, material: Material) -> Iterator[Slide]:
    """The slide of a run's mistakes; after another run, of those that are fixed and new."""
    test, found = material.test, material.predictions.get(run.name)
    if test is None or found is None or not found.error_count:
        return
    name, chapter = f"{run.name}-mistakes", story.chapter_title(run.name)
    was = material.predictions.get(before.name) if before else None
    if before is None or was is None:
        order = worst_errors(found, MAX_LINES * MAX_COLUMNS)
        yield Slide(
            name,
            chapter,
            mistakes_title(found),
            "The misclassified test images with the highest loss.",
            tries.look_inside(int(order[0]), run),
            digits_picture([_row(test, found, order)], "Misclassified test images"),
            note=_LABELS,
        )
        return
    comparison = compare_runs(run, found, before, was)
    images = comparison.images
    assert images is not None  # a comparison of two runs always has them
    rows = []
    for heading, indices, wrong in (
        ("Fixed", images.only_second, was),
        ("New", images.only_first, found),
    ):
        chosen = np.isin(np.arange(len(test.labels)), indices)
        rows.append(_row(test, wrong, sort_by_loss(wrong, chosen)[:MAX_COLUMNS], heading))
    yield Slide(
        name,
        chapter,
        changes_title(images),
        comparison.summary,
        tries.compare_mistakes(run, before),
        digits_picture(rows, "Test images that only one of the two runs reads correctly"),
        note=_LABELS,
    )


def shared_mistakes_slides(material: Material) -> Iterator[Slide]:
    """The slide of the images that all runs misclassify."""
    test, found = material.test, list(material.predictions.values())
    if test is None or len(found) < 2 or len(found) < len(material.runs):
        return
    order = sort_by_loss(found[-1], np.all([~each.correct for each in found], axis=0))
    if not len(order):
        return
    yield Slide(
        "shared-mistakes",
        story.END,
        f"Misclassified by all {len(found)} networks",
        f"{plural(len(order), 'image')}, highest loss first.",
        tries.look_inside(int(order[0]), list(material.runs.values())[-1]),
        digits_picture(
            [_row(test, found[-1], order[: MAX_LINES * MAX_COLUMNS])],
            "Test images that no run reads",
        ),
        note="Below each: its label and the last network's prediction.",
    )


def _row(
    test: LabelledImages, found: Predictions, order: np.ndarray, heading: str = ""
) -> DigitRow:
    """Test images with label and prediction, below a heading."""
    labels = [f"{found.labels[at]} → {found.predicted[at]}" for at in order]
    alts = [f"Test image {at}: {text}" for at, text in zip(order, labels, strict=True)]
    return DigitRow(test.images[order], alts, labels, heading)
