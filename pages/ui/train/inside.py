"""Inside a run: its epochs, the batch it learns from, what it gets wrong, and a pad to draw on. Only the chosen view
costs anything."""

from __future__ import annotations

import time
from concurrent.futures import Future

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.data.presets import transforms_of
from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.errors import UserError
from core.insight.mistakes import worst_errors
from core.insight.training_batch import batch_at
from core.runs.run import Run
from core.runs.store import open_run
from core.training import schedules
from pages.ui import tables
from pages.ui.components.gallery import draw_gallery
from pages.ui.components.pad import show_digit_pad
from pages.ui.components.readout import show_readout
from pages.ui.dataset import SETS, load_digits
from pages.ui.draw import networks as draw_networks
from pages.ui.frame import KEPT, heading
from pages.ui.run_files import draw_downloads
from pages.ui.train import background as asking

POLL = 2.0  # seconds
BATCH_SECONDS = 4.0  # seconds that a batch can be looked at before the next one
BATCH, WORST = 42, 28  # images shown
PATIENCE = 60.0  # seconds


def draw_inside(name: str, moving: bool) -> None:
    """The section: a choice of views, and the one that is chosen.

    Args:
        name: the run.
        moving: whether it trains or waits, so that there will be news.
    """
    try:
        run = open_run(name)
    except UserError:
        return  # the rest of the page says so
    view = st.segmented_control(
        "Inside",
        list(VIEWS),
        default="Epochs",
        required=True,
        key="inside",
        label_visibility="collapsed",
        **KEPT,
    )
    with st.container(key="view"):
        try:
            VIEWS[view](run, moving)
        except UserError as error:
            st.error(str(error), icon=":material/error:")


def draw_epochs(run: Run, moving: bool) -> None:
    """The epoch table."""
    heading("Epochs", describe_validation(run))
    tables.draw_epoch_table(run.epochs, schedules.epoch_rates(run.config, run.steps_per_epoch))
    if run.epochs:
        draw_downloads(run)


def draw_batch(run: Run, moving: bool) -> None:
    """The images of the latest step, as the network saw them."""
    if not (sets := load_digits()):
        return
    if not (at := _place(run, moving)):
        heading("Batch", "it has not begun yet")
        return
    images, labels = _batch(run.name, str(run.folder), str(run.created), *at, run, sets)
    heading(
        "Batch",
        f"epoch {at[0]}, step {at[1]:,} of {run.steps_per_epoch:,}, as the network saw it",
    )
    shown = labels[:BATCH]
    draw_gallery(
        images[:BATCH],
        "Images of one step, with their labels",
        "batch",
        labels=[str(label) for label in shown],
        alts=[f"{label}, image {place} of the batch" for place, label in enumerate(shown, 1)],
    )
    st.caption(_about_batch(run, at[0], len(labels)))


def _place(run: Run, moving: bool) -> tuple[int, int] | None:
    """Epoch and step of the batch to show: a new one every few seconds, so that it can be looked at."""
    last = next((event for event in reversed(run.read_events()) if event["kind"] == "batch"), None)
    if last is None:
        return None
    held = st.session_state.get("batch_held")
    if (
        held
        and held[0] == run.name
        and moving
        and time.monotonic() - held[1] < BATCH_SECONDS - POLL / 2
    ):
        return held[2]
    at = (last["epoch"], last["step"])
    st.session_state["batch_held"] = (run.name, time.monotonic(), at)
    return at


@st.cache_data(max_entries=8, show_spinner=False)
def _batch(
    name: str,
    folder: str,
    created: str,
    epoch: int,
    step: int,
    _run: Run,
    _sets: dict[str, LabelledImages],
) -> tuple[np.ndarray, np.ndarray]:
    batch = batch_at(_run.config, _sets[SETS[0]], epoch, step)
    return batch.images, batch.labels


def _about_batch(run: Run, epoch: int, size: int) -> str:
    some = f"The first {BATCH} of {size:,} images" if size > BATCH else f"All {size:,} images"
    config = run.config
    if not transforms_of(config):
        how = "as they are: this run augments nothing"
    elif epoch > config.augmented_epochs:
        how = "as they are, since the last epochs of this run are not augmented"
    else:
        how = "as augmentation left them"
    return f"{some} of the step, {how}. They are worked out again from the run's settings, bit for bit."


def draw_mistakes(run: Run, moving: bool) -> None:
    """The validation images that the newest weights are most wrong about."""
    if not (sets := load_digits()):
        return
    if not run.epochs:
        heading("Mistakes", "the first weights come at the end of epoch 1")
        return
    asked, epoch, waits = _newest(run, asking.predict_validation(run, sets), moving)
    if asked is None:
        heading("Mistakes", f"asking the weights after epoch {len(run.epochs)}")
        return
    found, worst = asked.found, worst_errors(asked.found, WORST)
    of = (
        f"{len(found.labels):,} of {asked.total:,}"
        if len(found.labels) < asked.total
        else f"{asked.total:,}"
    )
    heading(
        "Mistakes",
        f"after epoch {epoch}: {found.error_count:,} of {of} validation images, the worst first",
    )
    reads = [
        (int(found.labels[at]), int(found.predicted[at]), 100 * found.probabilities[at].max())
        for at in worst
    ]
    draw_gallery(
        asked.images[worst],
        "Validation images that are read wrongly",
        "worst",
        stacked=True,
        labels=[f"{read}, not {label}" for label, read, _ in reads],
        notes=[f"{sure:.1f} %" for *_, sure in reads],
        alts=[
            f"A {label} that is read as {read}, {sure:.1f} % sure" for label, read, sure in reads
        ],
    )
    after = f" Those after epoch {len(run.epochs)} are being asked." if waits else ""
    st.caption(
        "What it reads and what the label says, with how sure it is of what it reads; they follow the newest "
        f"weights.{after}"
    )


def _newest(
    run: Run, coming: Future, moving: bool
) -> tuple[asking.ValidationPredictions | None, int, bool]:
    """The newest answers there are, the epoch they belong to, and whether newer ones are on their way."""
    if not moving:
        with st.spinner("Asking the network"):
            return coming.result(PATIENCE), len(run.epochs), False
    if coming.done():
        st.session_state["mistakes_held"] = (run.name, len(run.epochs), coming.result())
    held = st.session_state.get("mistakes_held")
    if held and held[0] == run.name:
        return held[2], held[1], not coming.done()
    return None, 0, True


def draw_pad(run: Run, moving: bool) -> None:
    """A pad whose drawing the newest weights read."""
    quiet = (
        f"read by the weights after epoch {len(run.epochs)}"
        if run.epochs
        else "first weights: end of epoch 1"
    )
    heading("Draw", quiet)
    left, right = st.columns([2, 3], gap="large")
    with left:
        strokes = show_digit_pad().strokes
    image = to_mnist(strokes_to_ink(strokes)) if strokes else None
    with right:
        if not run.epochs:
            show_readout(image, None, "It can be asked as soon as its first epoch is done.")
            return
        answer, said = draw_networks.ask(run, image)
        show_readout(image, answer, said or "Draw, and it answers while you do.")


def describe_validation(run: Run) -> str:
    """What a run is validated on, in words."""
    if run.config.holdout:
        return f"validated on {run.config.holdout:,} training images held out"
    return "validated on the 10,000 test images, as the seed does"


VIEWS = {"Epochs": draw_epochs, "Batch": draw_batch, "Mistakes": draw_mistakes, "Draw": draw_pad}
