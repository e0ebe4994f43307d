"""What the views of the Mistakes page share: a run's predictions and one image in detail."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from core.charts import style
from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.insight.learning import NEVER
from core.insight.mistakes import LabelError, Predictions, label_errors_for, worst_errors
from core.runs.evaluation import predict_run
from core.runs.prediction_cache import load_learning, load_predictions
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui.components.gallery import draw_closeup
from pages.ui.frame import heading

NEGLIGIBLE = 0.0005  # probabilities below it are drawn pale


def predict_test_images(run: Run, test: LabelledImages, epoch: int | None = None) -> Predictions:
    """Predict labelled images with a run's network; cached until its weights change.

    Args:
        run: the run.
        test: the test images, or the run's validation images.
        epoch: whose weights predict; None: the last.

    Raises:
        RunError: the run has no weights, or they do not fit its network.
    """
    try:
        changed = run.weights_path("last" if epoch is None else epoch).stat().st_mtime_ns
    except FileNotFoundError:
        raise RunError(f"{run.name} is gone.") from None
    place, images = str(run.folder.parent), (test.name, len(test.images))
    if epoch is not None:
        return _predict_epoch(run.name, place, epoch, changed, images, test)
    return _predict(run.name, place, changed, images, test)


@st.cache_resource(max_entries=16, show_spinner="Classifying the test images")
def _predict(
    name: str, folder: str, changed: int, images: tuple[str, int], _test: LabelledImages
) -> Predictions:
    return load_predictions(open_run(name, Path(folder)), test=_test)


@st.cache_resource(max_entries=64, show_spinner=False)  # 400 kB each
def _predict_epoch(
    name: str,
    folder: str,
    epoch: int,
    changed: int,
    images: tuple[str, int],
    _test: LabelledImages,
) -> Predictions:
    return predict_run(open_run(name, Path(folder)), _test, epoch)


def label_errors(test: LabelledImages) -> dict[int, LabelError]:
    """The known label errors among the test images, by index."""
    return label_errors_for(test.labels)


def show_image(
    index: int,
    test: LabelledImages,
    predictions: Mapping[str, Predictions],
    titles: Mapping[str, str],
    key: str,
) -> None:
    """Show one image in detail: its pixels, the predicted probabilities, and links to other pages.

    Args:
        index: index in the test set.
        test: the test images.
        predictions: predictions by name of the run, of one run or two.
        titles: what to call them, by name.
        key: key of the component.
    """
    label = int(test.labels[index])
    heading(f"Label {label}", f"test image {index:,}")
    draw_closeup(
        test.images[index],
        f"Test image {index}, label {label}, 28 by 28 pixels",
        describe_predictions(index, label, predictions, titles),
        key=key,
    )
    draw_probabilities(
        {name: predicted.probabilities[index] for name, predicted in predictions.items()},
        label,
        " and ".join(titles[name] for name in predictions),
    )
    if error := label_errors(test).get(index):
        st.markdown(f":small[:material/help: {describe_votes(error)}]")
    if test.name == "test":  # the other pages have MNIST's images only
        wrong = [name for name, found in predictions.items() if found.predicted[index] != label]
        _show_links(index, next(iter(wrong or predictions)))


def _show_links(index: int, network: str) -> None:
    """Show links to pages that look closer at a test image, with the network whose mistake it is.

    Args:
        index: index in MNIST's test set.
        network: name of the run.
    """
    with st.container(horizontal=True, gap="medium"):
        st.page_link(
            "pages/draw.py",
            label=":primary[Open in Draw]",
            icon=":material/arrow_forward:",
            icon_position="right",
            query_params={"digit": f"test-{index}", "network": network},
        )
        st.page_link(
            "pages/data.py",
            label=":primary[Open in Data]",
            icon=":material/arrow_forward:",
            icon_position="right",
            query_params={"part": "Digits", "set": "test", "index": str(index)},
        )


def describe_predictions(
    index: int, label: int, predictions: Mapping[str, Predictions], titles: Mapping[str, str]
) -> str:
    """Describe what each network predicts for an image, in one sentence each; args as above."""
    sentences = []
    for name, predicted in predictions.items():
        digit = int(predicted.predicted[index])
        verdict = "correct" if digit == label else "wrong"
        sentences.append(
            f"{titles[name]} predicts {digit} ({verdict}) with probability "
            f"{100 * predicted.probabilities[index, digit]:.1f}\u00a0%; "
            f"loss {predicted.loss[index]:.2f}."
        )
    return " ".join(sentences)


def describe_votes(error: LabelError) -> str:
    """Describe how five people voted on a doubtful label."""
    votes = [
        f"{error.votes_label} of 5 people agreed with the label {error.label}",
        f"{error.votes_suggested} said {error.suggested}",
    ]
    if error.votes_neither:
        votes.append(f"{error.votes_neither} said both or neither")
    return f"The label is doubtful: {', '.join(votes)}."


def draw_probabilities(probabilities: Mapping[str, np.ndarray], label: int, titles: str) -> None:
    """Draw the ten probabilities as bars, those of two networks below each other.

    Args:
        probabilities: (10,) by name of the run, of one run or two.
        label: the digit that is marked as the label.
        titles: whose probabilities they are, for screen readers.
    """
    single = len(probabilities) == 1
    rows = []
    for digit in range(10):
        bars = "".join(
            f'<div class="bar"><i style="width:{100 * values[digit]:.2f}%;'
            f'background:{style.PALETTE[0] if single else style.run_colour(name)}"></i></div>'
            for name, values in probabilities.items()
        )
        figures = " | ".join(
            f"{100 * values[digit]:.{1 if single else 0}f}" for values in probabilities.values()
        )
        row_class = ""
        if any(int(values.argmax()) == digit for values in probabilities.values()):
            row_class = "first"
        elif digit != label and all(
            values[digit] < NEGLIGIBLE for values in probabilities.values()
        ):
            row_class = "quiet"
        rows.append(
            f'<tr class="{row_class}"><th scope="row">{digit}</th>'
            f'<td class="track" aria-hidden="true">{bars}</td>'
            f'<td class="share{"" if single else " two"}">{figures} %</td>'
            f'<td class="word">{"label" if digit == label else ""}</td></tr>'
        )
    st.html(
        f'<table class="probabilities" aria-label="Probability of each digit by {escape(titles)}">'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def errors_csv(run: Run, predictions: Predictions, test: LabelledImages) -> str:
    """The misclassified images as comma-separated values, those with the highest loss first.

    If the run has kept its epochs, the table also has the first and the last epoch after which each
    image was correct, and the epoch since which it was always correct; empty where there is no such
    epoch.
    """
    indices = worst_errors(predictions)
    suggested = {index: error.suggested for index, error in label_errors(test).items()}
    table = pd.DataFrame(
        {
            "index": indices,
            "label": predictions.labels[indices],
            "predicted": predictions.predicted[indices],
            "loss": predictions.loss[indices].round(6),
            "suspected_label": [suggested.get(int(index)) for index in indices],
        }
    )
    table["suspected_label"] = table["suspected_label"].astype("Int64")
    if 0 in run.list_kept_epochs():
        learning = load_learning(run, test)
        for name, epochs in (
            ("first_correct_epoch", learning.first_correct),
            ("last_correct_epoch", learning.last_correct),
            ("learnt_in_epoch", learning.learnt),
        ):
            table[name] = pd.Series(epochs[indices]).mask(epochs[indices] == NEVER).astype("Int64")
    probabilities = pd.DataFrame(
        predictions.probabilities[indices].round(6), columns=[f"p{digit}" for digit in range(10)]
    )
    return pd.concat([table, probabilities], axis=1).to_csv(index=False)
