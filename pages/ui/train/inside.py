"""Views of a run below its curves: epoch table, latest batch, mistakes, a drawing pad, weights.

Only the chosen view is computed.
"""

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
from core.runs.digit_file import load_own
from core.runs.run import Run
from core.runs.store import open_run
from core.training import schedules
from pages.ui import tables
from pages.ui.components.gallery import draw_gallery
from pages.ui.components.pad import show_digit_pad
from pages.ui.components.readout import show_readout
from pages.ui.dataset import SETS, load_digits
from pages.ui.draw import networks
from pages.ui.frame import KEPT, heading
from pages.ui.run_files import draw_downloads
from pages.ui.train import background
from pages.ui.weights.kernels import show_kernels
from pages.ui.weights.step_sizes import show_step_sizes
from pages.ui.words import escape_markdown

POLL = 4.0  # seconds; an epoch of a small network takes longer
BATCH_SECONDS = 4.0  # how long a batch stays before a newer one replaces it
BATCH, WORST = 42, 28  # images shown
TIMEOUT = 60.0  # seconds to wait for predictions


def draw_inside(name: str, moving: bool) -> None:
    """Draw the choice of a view, and the chosen view.

    Args:
        name: name of the run.
        moving: whether the run is training or queued, so that it will change.
    """
    try:
        run = open_run(name)
    except UserError:
        return  # the rest of the page shows the error
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
            st.error(escape_markdown(str(error)), icon=":material/error:")


def draw_epochs(run: Run, moving: bool) -> None:
    """Draw the epoch table."""
    heading("Epochs", describe_validation(run))
    tables.draw_epoch_table(run.epochs, schedules.epoch_rates(run.config, run.steps_per_epoch))
    if run.epochs:
        draw_downloads(run)


def draw_batch(run: Run, moving: bool) -> None:
    """Draw the batch of the latest step, as the network received it."""
    if not (sets := load_digits()):
        return
    if not (at := _place(run, moving)):
        heading("Batch", "training has not started")
        return
    images, labels = _batch(run.name, str(run.folder), str(run.created), *at, run, sets)
    heading(
        "Batch",
        f"epoch {at[0]}, step {at[1]:,} of {run.steps_per_epoch:,}, as the network received it",
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
    """Epoch and step of the batch to show; each stays for BATCH_SECONDS. None before the first."""
    last = next((event for event in reversed(run.read_events()) if event["kind"] == "batch"), None)
    if last is None:
        return None
    held = st.session_state.get("train_batch")
    if (
        held
        and held[0] == run.name
        and moving
        and time.monotonic() - held[1] < BATCH_SECONDS - POLL / 2
    ):
        return held[2]
    at = (last["epoch"], last["step"])
    st.session_state["train_batch"] = (run.name, time.monotonic(), at)
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
    own = load_own(_run.config, _run.folder)
    batch = batch_at(_run.config, _sets[SETS[0]], epoch, step, own)
    return batch.images, batch.labels


def _about_batch(run: Run, epoch: int, size: int) -> str:
    images = f"The first {BATCH} of {size:,} images" if size > BATCH else f"All {size:,} images"
    config = run.config
    if not transforms_of(config):
        augmented = "not augmented in this run"
    elif epoch > config.augmented_epochs:
        augmented = "not augmented in the last epochs of this run"
    else:
        augmented = "augmented"
    return (
        f"{images} of the step, {augmented}. They are recomputed exactly from the run's settings."
    )


def draw_mistakes(run: Run, moving: bool) -> None:
    """Draw the misclassified validation images with the highest loss."""
    if not (sets := load_digits()):
        return
    if not run.epochs:
        heading("Mistakes", "available after epoch 1")
        return
    predicted, epoch, is_pending = _newest(run, background.predict_validation(run, sets), moving)
    if predicted is None:
        heading("Mistakes", f"predicting with the weights after epoch {len(run.epochs)}")
        return
    predictions = predicted.predictions
    worst = worst_errors(predictions, WORST)
    total = (
        f"{len(predictions.labels):,} of {predicted.total:,}"
        if len(predictions.labels) < predicted.total
        else f"{predicted.total:,}"
    )
    heading(
        "Mistakes",
        f"after epoch {epoch}: {predictions.error_count:,} of {total} validation images, "
        "highest loss first",
    )
    classified = [
        (
            int(predictions.labels[at]),
            int(predictions.predicted[at]),
            100 * predictions.probabilities[at].max(),
        )
        for at in worst
    ]
    draw_gallery(
        predicted.images[worst],
        "Misclassified validation images",
        "worst",
        stacked=True,
        labels=[f"{label} → {prediction}" for label, prediction, _ in classified],
        notes=[f"{probability:.1f} %" for *_, probability in classified],
        alts=[
            f"A {label} classified as {prediction}, probability {probability:.1f} %"
            for label, prediction, probability in classified
        ],
    )
    pending = f" Predictions after epoch {len(run.epochs)} follow." if is_pending else ""
    st.caption(
        "Below each image: its label, the prediction, and the probability of the prediction."
        f"{pending}"
    )


def _newest(
    run: Run, future: Future, moving: bool
) -> tuple[background.ValidationPredictions | None, int, bool]:
    """The newest predictions, their epoch, and whether newer ones are being computed."""
    if not moving:
        with st.spinner("Predicting"):
            return future.result(TIMEOUT), len(run.epochs), False
    if future.done():
        st.session_state["train_predictions"] = (run.name, len(run.epochs), future.result())
    held = st.session_state.get("train_predictions")
    if held and held[0] == run.name:
        return held[2], held[1], not future.done()
    return None, 0, True


def draw_pad(run: Run, moving: bool) -> None:
    """Draw a pad, and what the newest weights predict for the drawing."""
    quiet = (
        f"classified by the weights after epoch {len(run.epochs)}"
        if run.epochs
        else "available after epoch 1"
    )
    heading("Draw", quiet)
    left, right = st.columns([2, 3], gap="large")
    with left:
        strokes = show_digit_pad().strokes
    image = to_mnist(strokes_to_ink(strokes)) if strokes else None
    with right:
        if not run.epochs:
            show_readout(image, None, "Predictions are available after the first epoch.")
            return
        answer, said = networks.predict_digit(run, image)
        show_readout(image, answer, said or "Draw a digit. The prediction changes while you draw.")


def draw_weights(run: Run, moving: bool) -> None:
    """Draw the kernels of the last saved weights, and the sizes of the steps."""
    if not run.epochs:
        heading("Weights", "available after epoch 1")
        return
    heading("Weights", f"after epoch {len(run.epochs)}")
    controls = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
    show_kernels(run, None, "train_kernels", controls, live=moving)
    show_step_sizes(run, "train")


def describe_validation(run: Run) -> str:
    """What the validation figures of a run are measured on."""
    if run.config.holdout:
        return f"validated on {run.config.holdout:,} images held out of the training set"
    return "validated on the 10,000 test images, as in the original"


VIEWS = {
    "Epochs": draw_epochs,
    "Batch": draw_batch,
    "Mistakes": draw_mistakes,
    "Draw": draw_pad,
    "Weights": draw_weights,
}
