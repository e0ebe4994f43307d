"""The dataset as pages need it: kept in memory for all sessions, or an offer to fetch it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.errors import DataError
from pages.ui import words

SETS = ("training", "test")


@dataclass(frozen=True, eq=False)
class Digits:
    """The training or the test images, as arrays."""

    name: str  # of SETS
    images: np.ndarray  # (N, 28, 28) uint8
    labels: np.ndarray  # (N,) int64


@dataclass
class _Pace:
    """How long work will still take, at its speed since it began to move."""

    share: float = 0.0  # where it stood then
    time: float = 0.0  # of then, in seconds
    latest: float = 0.0  # share

    def seconds_left(self, share: float, time: float) -> float | None:
        """When `share` of the work, 0 to 1, is done at `time`; None before a second has passed at this pace."""
        if share < self.latest or share <= self.share:  # it began anew, or has not begun
            self.share, self.time = share, time
        self.latest = share
        passed = time - self.time
        return (
            passed / (share - self.share) * (1 - share)
            if passed >= 1 and share > self.share
            else None
        )


class _Absent(Exception):
    """The dataset would have to be fetched first."""


def load_digits() -> dict[str, Digits] | None:
    """The images by name of their set; None if they are not here, and the page has offered to fetch them."""
    place = st.empty()  # what is said in it goes when the digits are there
    try:
        return _held(os.environ.get("INKLING_DATA", ""))
    except _Absent:
        if _fetched(place):
            place.empty()
            return _held(os.environ.get("INKLING_DATA", ""))
    except DataError as error:
        place.error(str(error), icon=":material/error:")
    return None


@st.cache_resource(max_entries=1, show_spinner="Opening the digits")
def _held(folder: str) -> dict[str, Digits]:
    import torch

    from core.data import dataset

    # A page's sums gain nothing from more threads, and a training run beside it needs them.
    torch.set_num_threads(1)
    mnist = dataset.load(progress=_refuse)
    pairs = ((mnist.train_images, mnist.train_labels), (mnist.test_images, mnist.test_labels))
    return {
        name: Digits(name, images.numpy(), labels.numpy())
        for name, (images, labels) in zip(SETS, pairs, strict=True)
    }


def _refuse(text: str, share: float) -> None:
    # Called only when something has to be fetched; that is for the person to say.
    if share < 1:
        raise _Absent


def _fetched(place: st.delta_generator.DeltaGenerator) -> bool:
    """Offer to fetch the dataset, and do so when asked; tells whether it is here now."""
    from core.data import dataset

    with place.container():
        st.info(
            "The 70,000 digits are not here yet, or not whole. They take 11 MB to fetch and 55 MB on the disk, "
            "once.",
            icon=":material/download:",
        )
        if not st.button("Fetch the digits", type="primary", key="fetch"):
            return False
        bar, pace = st.progress(0.0, "Looking for them"), _Pace()

        def tell(text: str, share: float) -> None:
            bar.progress(
                share, text + words.format_remaining(pace.seconds_left(share, time.monotonic()))
            )

        try:
            dataset.fetch(dataset.data_folder(), tell)
        except DataError as error:
            bar.empty()
            st.error(str(error), icon=":material/error:")
            return False
    return True
