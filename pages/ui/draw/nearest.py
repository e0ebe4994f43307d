"""The training images most similar to a digit: by pixels, or by a network's features."""

from __future__ import annotations

import os

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.insight import nearest
from core.insight.nearest import FeatureIndex, Neighbours
from core.runs.run import Run
from pages.ui import checkpoints, dataset
from pages.ui.components.gallery import draw_gallery
from pages.ui.draw.networks import Runs
from pages.ui.draw.subject import Subject, show_training_digit
from pages.ui.frame import KEPT
from pages.ui.polling import poll
from pages.ui.words import escape_markdown

PIXELS, FEATURES = SPACES = ("by pixels", "by the network's features")
COUNT = 24
FIRST_WAIT, POLL = 0.35, 1.5  # seconds: before the first result, and between updates
_GALLERY = "draw_neighbours"


def show_nearest(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Show the nearest training images, with their labels and indices."""
    space = (
        st.segmented_control(
            "Nearest",
            SPACES,
            default=PIXELS,
            required=True,
            key="space",
            label_visibility="collapsed",
            **KEPT,
        )
        or PIXELS
    )
    sets = dataset.load_digits()
    if sets is None:
        return
    training = sets["training"]
    if space == PIXELS:
        _show_neighbours(
            _nearest_by_pixels(len(training.images), image.tobytes(), training),
            training,
            "Nearest by the Euclidean distance of pixels. A digit that is shifted or slanted has "
            "other pixels, so its neighbours may be different digits.",
        )
        return
    index = _feature_index(
        run.name, checkpoints.weights_time(run), os.environ.get("INKLING_DATA", ""), run, training
    )
    index.keep_reading()
    reading = index.num_read < index.total
    poll(_show_by_features, POLL if reading else None, key="draw_features")(
        index, run, image, training, reading
    )


def _show_by_features(
    index: FeatureIndex, run: Run, image: np.ndarray, training: LabelledImages, reading: bool
) -> None:
    index.keep_reading()
    if not index.num_read:
        index.wait(FIRST_WAIT, images=1)
    if reading and index.num_read >= index.total:
        st.rerun()  # the whole page, which then stops polling
    name = escape_markdown(run.name)
    if nearest.last_hidden_row(checkpoints.load_cached_model(run)):
        space = f"the features before the last layer of {name}"
    else:
        space = f"the pixels, since {name} has no hidden layer"
    progress = f" So far {index.num_read:,} of {index.total:,} images are compared."
    _show_neighbours(
        index.nearest(image, COUNT),
        training,
        f"Nearest by the distance of {space}.{progress if reading else ''}",
    )


def _show_neighbours(neighbours: Neighbours, training: LabelledImages, explanation: str) -> None:
    labels = training.labels[neighbours.indices]
    st.caption(f"{_describe_labels(labels)} {explanation}")
    draw_gallery(
        training.images[neighbours.indices],
        "The nearest training images",
        _GALLERY,
        tile=4.1,
        alts=[
            f"{label}, training image {index}"
            for label, index in zip(labels, neighbours.indices, strict=True)
        ],
        labels=[str(label) for label in labels],
        notes=[str(index) for index in neighbours.indices],
        on_pick=lambda: show_training_digit(
            int(neighbours.indices[st.session_state[_GALLERY].picked])
        ),
    )
    st.caption("Below each image: its label, and its index in the training set. Click to open it.")


def _describe_labels(labels: np.ndarray) -> str:
    if not len(labels):
        return "No image is compared yet."
    counts = np.bincount(labels, minlength=10)
    first = int(counts.argmax())
    others = ", ".join(
        f"{counts[digit]} are {digit}" if counts[digit] > 1 else f"1 is {digit}"
        for digit in counts.argsort(kind="stable")[::-1]
        if counts[digit] and digit != first
    )
    return (
        f"**{counts[first]} of {len(labels)} are labelled {first}**"
        f"{f' ({others})' if others else ''}."
    )


@st.cache_resource(max_entries=1, show_spinner="Preparing the training images")
def _squared_norms(count: int, folder: str, _training: LabelledImages) -> np.ndarray:
    return nearest.squared_norms(_training.images)


@st.cache_data(max_entries=64, show_spinner=False)
def _nearest_by_pixels(count: int, image: bytes, _training: LabelledImages) -> Neighbours:
    norms = _squared_norms(count, os.environ.get("INKLING_DATA", ""), _training)
    pixels = np.frombuffer(image, np.uint8).reshape(28, 28)
    return nearest.nearest_by_pixels(_training.images, norms, pixels, COUNT)


@st.cache_resource(max_entries=3, show_spinner=False)
def _feature_index(
    name: str, weights_time: int, folder: str, _run: Run, _training: LabelledImages
) -> FeatureIndex:
    return FeatureIndex(checkpoints.load_cached_model(_run), _training.images)
