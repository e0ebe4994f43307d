"""When a run learnt the test images: orders of the images on Mistakes, and their words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.errors import UserError
from core.insight.learning import NEVER, Learning
from core.insight.mistakes import Predictions
from core.runs.prediction_cache import load_learning
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui.words import escape_markdown, plural

BY_LOSS, LEARNT_LAST, FORGOTTEN, NEVER_LEARNT = ORDERS = (
    "highest loss",
    "learnt last",
    "forgotten",
    "never correct",
)
HELP = (
    "Highest loss: the errors after the chosen epoch. The others look at the predictions after "
    "every kept epoch. Learnt last: always correct from a late epoch on. Forgotten: errors at the "
    "end that were correct before. Never correct: errors after every epoch."
)
_TITLES = {
    LEARNT_LAST: ("Learnt", "the last learnt first"),
    FORGOTTEN: ("Forgotten", "the last correct first"),
    NEVER_LEARNT: ("Never correct", "highest loss first"),
}


def load_run_learning(run: Run, test: LabelledImages) -> Learning | None:
    """Compute what a run predicted after each kept epoch; None, with an error, if it cannot be.

    It is computed once, on the disk and for all sessions, until an epoch is added.
    """
    if 0 not in run.list_kept_epochs():
        st.info(
            "This run has not kept the weights of its epochs, so when it learnt a digit is not "
            "known. New runs keep them.",
            icon=":material/info:",
        )
        return None
    try:
        changed = tuple(
            (epoch, run.weights_path(epoch).stat().st_mtime_ns) for epoch in run.list_kept_epochs()
        )
        return _load(run.name, str(run.folder.parent), changed, len(test.images), test)
    except OSError:
        st.error(f"{escape_markdown(run.name)} is gone.", icon=":material/error:")
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    return None


@st.cache_resource(max_entries=8, show_spinner="Classifying the test images after every epoch")
def _load(
    name: str,
    folder: str,
    changed: tuple[tuple[int, int], ...],
    count: int,
    _test: LabelledImages,
) -> Learning:
    return load_learning(open_run(name, Path(folder)), _test)


def select_images(
    order: str,
    learning: Learning,
    predictions: Predictions,
    label: int | None,
    predicted: int | None,
) -> np.ndarray:
    """Return the indices of the images of an order, filtered by label and final prediction.

    Args:
        order: one of ORDERS but the first.
        learning: of the run.
        predictions: after the chosen epoch; ties are sorted by their loss.
        label, predicted: digits; None: any.
    """
    at_end = learning.predicted[-1]
    epochs, chosen = {
        LEARNT_LAST: (learning.learnt, learning.learnt > 0),
        FORGOTTEN: (
            learning.last_correct,
            (learning.learnt == NEVER) & (learning.first_correct != NEVER),
        ),
        NEVER_LEARNT: (learning.first_correct, learning.first_correct == NEVER),
    }[order]
    for values, digit in ((learning.labels, label), (at_end, predicted)):
        if digit is not None:
            chosen = chosen & (values == digit)
    indices = np.flatnonzero(chosen)
    return indices[np.lexsort((-predictions.loss[indices], -epochs[indices]))]


def describe_order(order: str, label: str, predicted: str, count: int) -> tuple[str, str]:
    """Return the heading of the images, and its explanation."""
    title, words = _TITLES[order]
    digits = [f"label {label}"] if label.isdigit() else []
    digits += [f"predicted {predicted} at the end"] if predicted.isdigit() else []
    return title, ", ".join([f"{count:,}", *digits, words])


def summarise_learning(learning: Learning) -> str:
    """Return how many images were learnt, forgotten and never correct."""
    wrong = learning.learnt == NEVER
    never = int((learning.first_correct == NEVER).sum())
    relearnt = int(((learning.forgotten > 0) & ~wrong).sum())
    return (
        f"Over {plural(len(learning.epochs), 'kept epoch')}: {int((~wrong).sum()):,} images are "
        f"correct at the end, {relearnt:,} of them after they had been forgotten; "
        f"{int(wrong.sum()) - never:,} were correct once and are forgotten, {never:,} never were."
    )


def note_learning(learning: Learning, index: int) -> str:
    """Return in a few words when an image was learnt, or when it was last correct."""
    if learning.learnt[index] != NEVER:
        return f"learnt in {learning.learnt[index]}"
    last = learning.last_correct[index]
    return "never" if last == NEVER else f"correct in {last}"
