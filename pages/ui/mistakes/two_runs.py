"""Two runs compared on the same test images, and the images on which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.experiments.comparison import compare_runs
from core.experiments.scores import TEST_IMAGES
from core.insight.mistakes import Predictions, sort_by_loss
from core.runs.evaluation import describe_deviation
from core.runs.run import Run
from core.task import TEST_SETS
from pages.ui import tables
from pages.ui.components.gallery import draw_gallery
from pages.ui.frame import KEPT, heading
from pages.ui.mistakes.shared import label_errors, show_image
from pages.ui.words import escape_markdown, list_titles

FIRST, SECOND, NEITHER = PARTS = ("first right", "second right", "both wrong")
SHOWN = 72
_SELECTED = "mistakes_disputed_image"  # session key: index of the image shown in detail
_GALLERY = "mistakes_disputed_images"


@st.fragment
def show_two_runs(
    runs: Sequence[Run], predictions: dict[str, Predictions], test: LabelledImages
) -> None:
    """Compare two runs image by image.

    Args:
        runs: the two.
        predictions: their predictions, by name.
        test: the test images.
    """
    one, two = predictions.values()
    titles = list_titles(runs)
    first, second = (titles[name] for name in predictions)
    notes = [describe_deviation(run, predictions[run.name]) for run in runs]
    images_name = TEST_SETS.get(test.name, TEST_IMAGES)
    answer = compare_runs(first, one, second, two, notes, images_name)
    images = answer.images
    assert images is not None  # a comparison of two runs has them
    tables.draw_metrics(
        {
            "Both correct": f"{images.both_correct:,}",
            f"Only {escape_markdown(first)}": f"{len(images.only_first):,}",
            f"Only {escape_markdown(second)}": f"{len(images.only_second):,}",
            "Both wrong": f"{len(images.both_wrong):,}",
        }
    )
    st.markdown(
        f"{escape_markdown(answer.summary)} :gray[{escape_markdown(answer.method)}]".replace(
            " = ", "\u00a0=\u00a0"
        ),
        width=760,
    )
    part = (
        st.segmented_control(
            "Images",
            PARTS,
            default=FIRST,
            required=True,
            key="split",
            on_change=_deselect,
            label_visibility="collapsed",
            **KEPT,
        )
        or FIRST
    )
    members, title, errors = {
        FIRST: (images.only_first, f"{first} correct, {second} wrong", two),
        SECOND: (images.only_second, f"{second} correct, {first} wrong", one),
        NEITHER: (images.both_wrong, "Both wrong", two),
    }[part]
    indices = sort_by_loss(errors, np.isin(np.arange(len(test.images)), members))
    heading(escape_markdown(title), f"{len(indices):,}, highest loss first")
    if not len(indices):
        st.markdown(":gray[There are none.]")
        return
    stored: int = st.session_state.get(_SELECTED, -1)
    selected = stored if stored in indices else int(indices[0])
    left, right = st.columns([2, 1], gap="large")
    with left:
        _draw_images(indices, selected, title, predictions, titles, test)
    with right, st.container(key="mistakes_detail"):
        show_image(selected, test, predictions, titles, "mistakes_disputed_closeup")


def _draw_images(
    indices: np.ndarray,
    selected: int,
    title: str,
    predictions: dict[str, Predictions],
    titles: Mapping[str, str],
    test: LabelledImages,
) -> None:
    one, two = predictions.values()
    first, second = (titles[name] for name in predictions)
    shown, doubtful = indices[:SHOWN], label_errors(test)
    draw_gallery(
        test.images[shown],
        title,
        _GALLERY,
        tile=4.25,
        stacked=True,
        labels=[str(test.labels[index]) for index in shown],
        notes=[f"{one.predicted[index]} | {two.predicted[index]}" for index in shown],
        alts=[
            f"Test image {index}, label {test.labels[index]}: {first} predicts "
            f"{one.predicted[index]}, {second} {two.predicted[index]}"
            for index in shown
        ],
        marked=[position for position, index in enumerate(shown) if int(index) in doubtful],
        picked=next((position for position, index in enumerate(shown) if index == selected), None),
        on_pick=lambda: _select(shown),
    )
    st.caption(
        escape_markdown(f"Below each image: its label, then the predictions of {first} | {second}.")
        + (f" The first {SHOWN} of {len(indices):,}." if len(indices) > SHOWN else "")
    )


def _select(indices: np.ndarray) -> None:
    st.session_state[_SELECTED] = int(indices[st.session_state[_GALLERY].picked])


def _deselect() -> None:
    st.session_state.pop(_SELECTED, None)
