"""MNIST for the pages: loaded once for all sessions, or a button that downloads it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import streamlit as st

from core.data.labelled_images import LabelledImages
from core.errors import DataError
from pages.ui import access, words
from pages.ui.access import AccessError
from pages.ui.words import escape_markdown

SETS = ("training", "test")


@dataclass
class _Pace:
    """Estimate of the remaining time of a download, from its speed since it began to move."""

    share: float = 0.0  # done when the measurement began
    time: float = 0.0  # when the measurement began, in seconds
    latest: float = 0.0  # share done at the last call

    def seconds_left(self, share: float, time: float) -> float | None:
        """The remaining time when `share`, 0 to 1, is done at `time`; None in the first second."""
        if share < self.latest or share <= self.share:  # restarted, or not begun
            self.share, self.time = share, time
        self.latest = share
        passed = time - self.time
        return (
            passed / (share - self.share) * (1 - share)
            if passed >= 1 and share > self.share
            else None
        )


class _Missing(Exception):
    """The dataset has to be downloaded first."""


def load_digits() -> dict[str, LabelledImages] | None:
    """The images by name of their set; None, with a button to download them, while missing."""
    place = st.empty()  # cleared once the dataset is there
    try:
        return _load(os.environ.get("INKLING_DATA", ""))
    except _Missing:
        if _offer_download(place):
            place.empty()
            return _load(os.environ.get("INKLING_DATA", ""))
    except DataError as error:
        place.error(escape_markdown(str(error)), icon=":material/error:")
    return None


def find_digits() -> dict[str, LabelledImages] | None:
    """As `load_digits`, but draws nothing while they are missing."""
    try:
        return _load(os.environ.get("INKLING_DATA", ""))
    except (_Missing, DataError):
        return None


def load_test_set(name: str) -> LabelledImages | None:
    """One of `core.task.TEST_SETS`; None, with what to do about it shown, while missing."""
    if name == "mnist":
        sets = load_digits()
        return sets["test"] if sets else None
    from core.data import qmnist

    if not qmnist.is_present():
        st.info(
            "The 50,000 further test images of QMNIST have not been downloaded yet. Where this app "
            "runs, `python -m core evaluate RUN --on qmnist` downloads them, with the name of any "
            "run. Then open this page again; until then, choose “mnist”.",
            icon=":material/download:",
        )
        return None
    try:
        return _load_qmnist(os.environ.get("INKLING_DATA", ""))
    except DataError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return None


@st.cache_resource(max_entries=1, show_spinner="Loading QMNIST")
def _load_qmnist(folder: str) -> LabelledImages:
    from core.data import qmnist

    return qmnist.load().to_numpy()


@st.cache_resource(max_entries=1, show_spinner="Loading MNIST")
def _load(folder: str) -> dict[str, LabelledImages]:
    import torch

    from core.data import dataset

    # A page's computations are no faster with more threads, and a run that trains needs them.
    torch.set_num_threads(1)
    mnist = dataset.load(progress=_stop_before_download)
    return {part.name: part.to_numpy() for part in (mnist.train, mnist.test)}


def _stop_before_download(text: str, share: float) -> None:
    # Called only when files have to be downloaded, which the user decides.
    if share < 1:
        raise _Missing


def _offer_download(place: st.delta_generator.DeltaGenerator) -> bool:
    """Draw a button that downloads the dataset. Returns whether the dataset is there now."""
    from core.data import dataset

    with place.container():
        st.info(
            "MNIST has not been downloaded yet, or is incomplete. The download is 11 MB and takes "
            "55 MB on disk.",
            icon=":material/download:",
        )
        refusal = access.why_not_create()
        if not st.button(
            "Download MNIST",
            type="primary",
            key="dataset_download",
            disabled=bool(refusal),
            help=refusal or None,
        ):
            return False
        bar, pace = st.progress(0.0, "Connecting"), _Pace()

        def show_progress(text: str, share: float) -> None:
            bar.progress(
                share, text + words.format_remaining(pace.seconds_left(share, time.monotonic()))
            )

        try:
            access.check_create()
            dataset.fetch(dataset.data_folder(), show_progress)
        except (AccessError, DataError) as error:
            bar.empty()
            st.error(escape_markdown(str(error)), icon=":material/error:")
            return False
    return True
