"""What the views of mistakes share: a run's predictions, and one image close up with its probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from core.charts import training as charts
from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.insight.mistakes import LabelError, Predictions, label_errors_for, worst_errors
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui.components.gallery import draw_closeup
from pages.ui.frame import heading

_COUNTS = ("none", "one", "two", "three", "four", "five")


def predictions(run: Run, test: LabelledImages) -> Predictions:
    """What a run's network says of the test images, asked once for all sessions until its weights change.

    Raises:
        RunError: it has no weights, or they don't fit.
    """
    try:
        changed = run.weights_path("last").stat().st_mtime_ns
    except FileNotFoundError:
        raise RunError(f"{run.name} is gone.") from None
    return _predictions(run.name, str(run.folder.parent), changed, len(test.images), test)


@st.cache_resource(max_entries=16, show_spinner="Reading the test images")
def _predictions(
    name: str, folder: str, changed: int, count: int, _test: LabelledImages
) -> Predictions:
    return load_predictions(open_run(name, Path(folder)), test=_test)


def doubts(test: LabelledImages) -> dict[int, LabelError]:
    """The known wrong labels among the test images."""
    return label_errors_for(test.labels)


def one_image(index: int, test: LabelledImages, asked: Mapping[str, Predictions], key: str) -> None:
    """An image close up: its pixels, what networks make of it, and where to go on with it.

    Args:
        index: in the test set.
        test: the images.
        asked: predictions by name of the run, one or two.
        key: of the picture.
    """
    label = int(test.labels[index])
    heading(f"Labelled {label}", f"test image {index:,}")
    draw_closeup(
        test.images[index],
        f"Test image {index}, labelled {label}, 28 by 28 pixels",
        said(index, label, asked),
        key=key,
    )
    odds({name: found.probabilities[index] for name, found in asked.items()}, label)
    if doubt := doubts(test).get(index):
        st.markdown(f":small[:material/help: {votes(doubt)}]")
    with st.container(horizontal=True, gap="medium"):
        st.page_link(
            "pages/draw.py",
            label=":primary[Look closer :material/arrow_forward:]",
            query_params={"digit": f"test-{index}"},
        )
        st.page_link(
            "pages/data.py",
            label=":primary[Find in Data :material/arrow_forward:]",
            query_params={"part": "Digits", "set": "test", "index": str(index)},
        )


def said(index: int, label: int, asked: Mapping[str, Predictions]) -> str:
    """What networks read in an image, as a sentence each."""
    words = []
    for name, found in asked.items():
        read = int(found.predicted[index])
        how = "rightly" if read == label else "wrongly"
        words.append(
            f"{name} reads {read}, {how}, {100 * found.probabilities[index, read]:.1f}\u00a0% sure, "
            f"loss {found.loss[index]:.2f}."
        )
    return " ".join(words)


def votes(doubt: LabelError) -> str:
    """What people said of a doubtful label, in words."""
    neither = f", {_COUNTS[doubt.votes_neither]} both or neither" if doubt.votes_neither else ""
    return (
        f"Is the label right? Of five people who were asked, {_COUNTS[doubt.votes_label]} said {doubt.label}, "
        f"{_COUNTS[doubt.votes_suggested]} {doubt.suggested}{neither}."
    )


def odds(shares: Mapping[str, np.ndarray], label: int) -> None:
    """Ten probabilities as bars, those of two networks below each other.

    Args:
        shares: (10,) probabilities by name of the run.
        label: the digit that is marked as the label.
    """
    rows, places = [], 1 if len(shares) == 1 else 0
    for digit in range(10):
        bars = "".join(
            f'<div class="bar"><i style="width:{100 * each[digit]:.2f}%;background:{_colour(name, shares)}">'
            "</i></div>"
            for name, each in shares.items()
        )
        figures = " | ".join(f"{100 * each[digit]:.{places}f}" for each in shares.values())
        first = any(int(each.argmax()) == digit for each in shares.values())
        quiet = not first and all(each[digit] < 0.0005 for each in shares.values())
        rows.append(
            f'<tr class="{"first" if first else "quiet" if quiet else ""}"><th scope="row">{digit}</th>'
            f'<td class="track" aria-hidden="true">{bars}</td>'
            f'<td class="share{" two" if len(shares) > 1 else ""}">{figures} %</td>'
            f'<td class="word">{"label" if digit == label else ""}</td></tr>'
        )
    names = escape(" and ".join(shares))
    st.html(
        f'<table class="odds" aria-label="Probability of each digit by {names}"><tbody>{"".join(rows)}</tbody>'
        "</table>"
    )


def _colour(name: str, shares: Mapping[str, np.ndarray]) -> str:
    return charts.PALETTE[0] if len(shares) == 1 else charts.colour(name)


def csv(found: Predictions, test: LabelledImages) -> str:
    """The wrong predictions, the highest loss first, as comma-separated values."""
    indices = worst_errors(found)
    suspected = {index: doubt.suggested for index, doubt in doubts(test).items()}
    table = pd.DataFrame(
        {
            "index": indices,
            "label": found.labels[indices],
            "predicted": found.predicted[indices],
            "loss": found.loss[indices].round(6),
            "suspected_label": [suspected.get(int(index)) for index in indices],
        }
    )
    table["suspected_label"] = table["suspected_label"].astype("Int64")
    odds_of = pd.DataFrame(
        found.probabilities[indices].round(6), columns=[f"p{digit}" for digit in range(10)]
    )
    return pd.concat([table, odds_of], axis=1).to_csv(index=False)
