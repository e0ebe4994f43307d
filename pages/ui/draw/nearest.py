"""The training images most like the digit on the drawing page: by pixels, or by what a network makes of them."""

from __future__ import annotations

import os

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.insight import nearest as insight
from core.insight.nearest import FeatureIndex, Neighbours
from core.runs.run import Run
from pages.ui import checkpoints, dataset
from pages.ui.components.gallery import draw_gallery
from pages.ui.draw.networks import Runs
from pages.ui.draw.subject import Subject, show_training_digit
from pages.ui.frame import KEPT

PIXELS, FEATURES = SPACES = ("by pixels", "by the network's features")
COUNT = 24
PATIENCE, POLL = (
    0.35,
    1.5,
)  # seconds to wait at first, and between two looks while the network still reads


def nearest(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """The nearest training images, with their labels and places."""
    space = st.segmented_control(
        "Nearest",
        SPACES,
        default=PIXELS,
        required=True,
        key="space",
        label_visibility="collapsed",
        **KEPT,
    )
    sets = dataset.load_digits()
    if sets is None:
        return
    some = sets["training"]
    if space == PIXELS:
        found = _by_pixels(len(some.images), image.tobytes(), some)
        _show(
            found,
            some,
            "The training images whose pixels differ least from this digit's, the nearest first. A "
            "digit that is shifted or slanted has other pixels, and finds strangers.",
        )
        return
    reader = _reader(
        run.name, checkpoints.weights_time(run), os.environ.get("INKLING_DATA", ""), run, some
    )
    reader.keep_reading()
    st.fragment(
        _by_features, run_every=POLL if reader.num_read < reader.total else None, key="features"
    )(reader, run, image, some, reader.num_read < reader.total)


def _by_features(
    reader: FeatureIndex, run: Run, image: np.ndarray, some: LabelledImages, reading: bool
) -> None:
    reader.keep_reading()
    if not reader.num_read:
        reader.wait(PATIENCE, images=1)
    if reading and reader.num_read >= reader.total:
        st.rerun()  # the whole page, which then asks no more
    found = reader.nearest(image, COUNT)
    inside = insight.last_hidden_row(checkpoints.load_cached_model(run))
    what = (
        f"what {run.name} hands to its last learned row"
        if inside
        else f"the pixels, since {run.name} has a single row and nothing inside"
    )
    so_far = (
        ""
        if not reading
        else f" Of the first {reader.num_read:,} of {reader.total:,}: it is reading on."
    )
    _show(
        found, some, f"The training images most alike in {what}; this is how it sees them.{so_far}"
    )


def _show(found: Neighbours, some: LabelledImages, said: str) -> None:
    labels = some.labels[found.indices]
    st.caption(f"{_votes(labels)} {said}")
    draw_gallery(
        some.images[found.indices],
        "The nearest training images",
        "neighbours",
        tile=4.1,
        alts=[
            f"{label}, training image {at}" for label, at in zip(labels, found.indices, strict=True)
        ],
        labels=[str(label) for label in labels],
        notes=[str(at) for at in found.indices],
        on_pick=lambda: show_training_digit(
            int(found.indices[st.session_state["neighbours"].picked])
        ),
    )
    st.caption(
        "Below each: its label, and its place among the training images. Click one to look at it instead."
    )


def _votes(labels: np.ndarray) -> str:
    if not len(labels):
        return "Nothing is read yet."
    counts = np.bincount(labels, minlength=10)
    first = int(counts.argmax())
    rest = ", ".join(
        f"{counts[digit]} {'is' if counts[digit] == 1 else 'are'} {digit}"
        for digit in counts.argsort(kind="stable")[::-1]
        if counts[digit] and digit != first
    )
    return (
        f"**{counts[first]} of {len(labels)} are labelled {first}**{f' ({rest})' if rest else ''}."
    )


@st.cache_resource(max_entries=1, show_spinner="Measuring the training images")
def _lengths(count: int, folder: str, _some: LabelledImages) -> np.ndarray:
    return insight.squared_norms(_some.images)


@st.cache_data(max_entries=64, show_spinner=False)
def _by_pixels(count: int, image: bytes, _some: LabelledImages) -> Neighbours:
    lengths = _lengths(count, os.environ.get("INKLING_DATA", ""), _some)
    return insight.nearest_by_pixels(
        _some.images, lengths, np.frombuffer(image, np.uint8).reshape(28, 28), COUNT
    )


@st.cache_resource(max_entries=3, show_spinner=False)
def _reader(name: str, changed: int, folder: str, _run: Run, _some: LabelledImages) -> FeatureIndex:
    return FeatureIndex(checkpoints.load_cached_model(_run), _some.images)
