"""Digits in the story: augmented training images, and the test images that runs misclassify."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.data.augmenter import Augmenter
from core.data.labelled_images import LabelledImages
from core.data.presets import transforms_of
from core.errors import UserError
from core.experiments import comparison
from core.experiments.comparison import ComparisonResult
from core.insight.digits import first_of_each_class
from core.insight.mistakes import Comparison, Predictions, sort_by_loss, worst_errors
from core.reports import story
from core.runs.evaluation import describe_deviation
from core.runs.run import Run
from core.wording import plural
from pages.ui import dataset
from pages.ui.components.gallery import draw_gallery
from pages.ui.mistakes.shared import label_errors, predict_test_images
from pages.ui.words import escape_markdown

DRAWS, SHOWN_DIGITS = 8, (2, 4, 5, 7)  # augmented copies of each digit; the digits
SHOWN = 30  # misclassified images


def draw_augmented(run: Run) -> None:
    """Draw a few training images, each with augmented copies as the run used them."""
    if not (sets := dataset.load_digits()):
        return
    draw_gallery(
        augment_copies(run, sets["training"]).reshape(-1, 28, 28),
        "Training images and augmented copies",
        "story_augmented",
        columns=(1, DRAWS),
        tile=5.5,
        alts=[
            f"{digit}, {'original' if draw == 0 else f'augmented copy {draw}'}"
            for digit in SHOWN_DIGITS
            for draw in range(DRAWS + 1)
        ],
    )
    st.caption("Left: the training image. Right: augmented copies.")


def augment_copies(run: Run, training: LabelledImages) -> np.ndarray:
    """Training images of SHOWN_DIGITS with augmented copies, as a run uses them.

    Returns:
        (digits, 1 + DRAWS, 28, 28) uint8; the first of each row is the image itself.
    """
    indices = first_of_each_class(training.labels, 0)[list(SHOWN_DIGITS)]
    originals = training.images[indices]
    copies = _draws(run.name, originals.tobytes(), run)
    return np.concatenate([originals[:, None], copies], axis=1)


@st.cache_data(max_entries=4, show_spinner="Augmenting the digits")
def _draws(name: str, originals: bytes, _run: Run) -> np.ndarray:
    """(n, DRAWS, 28, 28) augmented copies of n images."""
    images = np.frombuffer(originals, np.uint8).reshape(-1, 28, 28)
    drawn = Augmenter(transforms_of(_run.config), 1)(np.repeat(images, DRAWS, axis=0), (1, 0))
    return drawn.reshape(len(images), DRAWS, 28, 28)


def load_predictions(*runs: Run) -> tuple[LabelledImages, list[Predictions]] | None:
    """The test images and the predictions of runs; None, with an error shown, if missing."""
    if not (sets := dataset.load_digits()):
        return None
    try:
        return sets["test"], [predict_test_images(run, sets["test"]) for run in runs]
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return None


def compare_runs(run: Run, found: Predictions, before: Run, was: Predictions) -> ComparisonResult:
    """Compare two runs image by image, and test whether the difference may be chance."""
    notes = [describe_deviation(before, was), describe_deviation(run, found)]
    return comparison.compare_runs(
        story.chapter_title(before.name), was, story.chapter_title(run.name), found, notes
    )


def describe_difference(run: Run, before: Run) -> str:
    """How the accuracy changed between two runs; empty without the dataset."""
    found = load_predictions(before, run)
    return "" if found is None else compare_runs(run, found[1][1], before, found[1][0]).summary


def draw_mistakes(run: Run, before: Run | None) -> None:
    """Draw a run's mistakes; after another run, which are fixed and which are new."""
    found = load_predictions(run) if before is None else load_predictions(before, run)
    if found is None:
        return
    if before is None:
        _first(found[0], found[1][0])
    else:
        _paired(run, before, *found)
    if note := describe_deviation(run, found[1][-1]):
        st.caption(f":material/info: {escape_markdown(note)}")


def mistakes_title(found: Predictions) -> str:
    """How many mistakes a run makes."""
    return plural(found.error_count, "mistake")


def changes_title(images: Comparison) -> str:
    """How many mistakes the second of two runs fixes, and how many it adds."""
    return f"{len(images.only_second)} mistakes fixed, {len(images.only_first)} new"


def _first(test: LabelledImages, found: Predictions) -> None:
    st.header(mistakes_title(found), anchor=False)
    order = worst_errors(found, SHOWN)
    st.markdown(
        f"The mistakes with the highest loss among {len(found.labels):,} test images. Below each: "
        "its label and the prediction.",
        width=760,
    )
    _tiles(
        test, order, [f"{found.labels[at]} → {found.predicted[at]}" for at in order], "story_worst"
    )


def _paired(run: Run, before: Run, test: LabelledImages, predicted: list[Predictions]) -> None:
    was, now = predicted
    comparison = compare_runs(run, now, before, was)
    names, images = (comparison.first, comparison.second), comparison.images
    assert images is not None  # a comparison of two runs always has them
    fixed, new, shared = images.only_second, images.only_first, images.both_wrong
    st.header(changes_title(images), anchor=False)
    st.markdown(f"{len(shared)} unchanged. {escape_markdown(comparison.summary)}", width=860)
    for title, indices, wrong, key in (
        (f"Fixed: {names[0]} wrong, {names[1]} correct", fixed, was, "story_fixed"),
        (f"New: {names[0]} correct, {names[1]} wrong", new, now, "story_new"),
    ):
        order = sort_by_loss(wrong, np.isin(np.arange(len(test.labels)), indices))[: SHOWN // 2]
        st.markdown(f"### {title} :gray[:small[{_describe_selection(len(order), len(indices))}]]")
        _tiles(test, order, [f"{wrong.labels[at]} → {wrong.predicted[at]}" for at in order], key)


def _describe_selection(shown: int, total: int) -> str:
    return f"all {total}" if shown == total else f"{shown} of {total}, highest loss first"


def _tiles(test: LabelledImages, indices: np.ndarray, labels: list[str], key: str) -> None:
    known = label_errors(test)
    if len(indices):
        draw_gallery(
            test.images[indices],
            "Test images",
            key,
            tile=4.75,
            stacked=True,
            labels=labels,
            alts=[f"Test image {at}: {text}" for at, text in zip(indices, labels, strict=True)],
            marked=[place for place, at in enumerate(indices) if int(at) in known],
        )


def draw_shared_mistakes(test: LabelledImages, found: list[Predictions]) -> None:
    """Draw the images that all runs misclassify."""
    wrong = np.all([~each.correct for each in found], axis=0)
    known = label_errors(test)
    doubted = sum(bool(wrong[index]) for index in known)
    last = found[-1]
    order = sort_by_loss(last, wrong)
    st.markdown(
        f"### Misclassified by all {len(found)} networks :gray[:small[{plural(len(order), 'image')}"
        + (f"; ? marks {doubted} whose label most people in a survey doubted" if doubted else "")
        + "]]"
    )
    _tiles(
        test,
        order[:SHOWN],
        [f"{last.labels[at]} → {last.predicted[at]}" for at in order[:SHOWN]],
        "story_shared",
    )
