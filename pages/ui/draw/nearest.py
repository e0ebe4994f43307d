"""The training images most similar to a digit: by pixels, or by a network's features."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.insight import nearest
from core.insight.nearest import FeatureIndex, Neighbours
from core.runs.run import Run
from pages.ui import checkpoints, dataset
from pages.ui.components.gallery import draw_gallery
from pages.ui.draw.networks import Runs, predict_images
from pages.ui.draw.subject import Subject, show_training_digit
from pages.ui.frame import KEPT
from pages.ui.polling import poll
from pages.ui.words import escape_markdown

PIXELS, FEATURES = SPACES = ("by pixels", "by the network's features")
COUNT = 24
FIRST_WAIT, POLL = 0.35, 1.5  # seconds: before the first result, and between updates
_GALLERY = "draw_neighbours"


class Reading(NamedTuple):
    """A network's name, its probabilities (10,) for a digit, and the digit's label, if known."""

    network: str
    probabilities: np.ndarray
    label: int | None


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
            Reading(run.name, predict_images(run, image[None])[0], subject.label),
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
        index, run, image, training, reading, subject.label
    )


def _show_by_features(
    index: FeatureIndex,
    run: Run,
    image: np.ndarray,
    training: LabelledImages,
    reading: bool,
    label: int | None,
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
        Reading(run.name, predict_images(run, image[None])[0], label),
        f"Nearest by the distance of {space}.{progress if reading else ''}",
    )


def _show_neighbours(
    neighbours: Neighbours, training: LabelledImages, reading: Reading, explanation: str
) -> None:
    labels = training.labels[neighbours.indices]
    if len(labels):
        st.markdown(escape_markdown(describe_neighbours(labels, reading)))
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


def describe_neighbours(labels: np.ndarray, reading: Reading) -> str:
    """What the nearest training digits say about a prediction, in a sentence or two.

    Args:
        labels: (N,) of the nearest training digits, N at least 1.
        reading: the prediction for the digit.
    """
    counts, total = np.bincount(labels, minlength=10), len(labels)
    second, first = (int(digit) for digit in reading.probabilities.argsort()[-2:])
    share = f"{counts[first]} of the {total}" if counts[first] else f"none of the {total}"
    text = f"{reading.network} predicts {first}: {share} nearest training digits are labelled so."
    # The digit that the network may have missed: the label, or else its second choice.
    other = second if reading.label is None else reading.label
    if other == first:
        return text
    role = "the second most probable digit" if reading.label is None else "the label"
    if counts[other]:
        verb = "is" if counts[other] == 1 else "are"
        return f"{text} {counts[other]} {verb} labelled {other}, {role}."
    condition = ". If a {other} was meant" if reading.label is None else ""
    return (
        f"{text} None of them is a {other}, {role}{condition}: the training set has hardly any "
        f"{other} that looks like this."
    )


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
