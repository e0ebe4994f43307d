"""The errors of one run: the confusion matrix, accuracy by digit, and the images behind a cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.charts import mistakes as charts
from core.data.labelled_images import LabelledImages
from core.errors import UserError
from core.experiments.scores import TEST_IMAGES
from core.experiments.statistics import wilson_interval
from core.insight import mistakes
from core.insight.forward_pass import run_forward
from core.insight.learning import Learning, describe_epoch
from core.insight.mistakes import Predictions
from core.runs.run import Run
from core.task import TEST_SETS
from pages.ui import checkpoints, tables
from pages.ui.components.gallery import draw_gallery
from pages.ui.components.layers import draw_layers
from pages.ui.components.matrix import draw_confusion_matrix
from pages.ui.components.rewind import choose_epoch
from pages.ui.frame import KEPT, heading
from pages.ui.mistakes.learning import (
    BY_LOSS,
    HELP,
    ORDERS,
    describe_order,
    load_run_learning,
    note_learning,
    select_images,
    summarise_learning,
)
from pages.ui.mistakes.shared import errors_csv, label_errors, predict_test_images, show_image
from pages.ui.words import escape_markdown

ANY = "any"
PAGE = 56  # images of a page
CONFIDENT = 0.9  # probability
DIGITS = tuple(map(str, range(10)))
# Keys of the filters, and their names in the link.
LABEL, PREDICTED, ORDER, IMAGE = "labelled", "read", "sort", "image"
LAYERS = "follow"
LAYERS_HELP = (
    "The outputs of every row for this image, and how each value arises, from the score back to "
    "the pixels."
)
_CONFIDENT_ERRORS = f"Errors above {100 * CONFIDENT:.0f}\u00a0%"
_DOUBTFUL = "Doubtful labels"
_METRIC_HELP = {
    _CONFIDENT_ERRORS: "Errors whose wrong prediction has a probability above "
    f"{100 * CONFIDENT:.0f}\u00a0%.",
    _DOUBTFUL: "How many of the test images with a doubtful label are among the errors. The view "
    "“doubtful labels” shows them.",
}
_GALLERY, _MATRIX = "mistakes_images", "mistakes_matrix"


@st.fragment
def show_one_run(run: Run, predictions: Predictions, test: LabelledImages) -> None:
    """Show the errors of a run: their number, by digit, and one by one."""
    try:
        epoch = choose_epoch(run, "mistakes_rewind")
        if epoch is not None:
            predictions = predict_test_images(run, test, epoch)
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    counts = mistakes.confusion_matrix(predictions.labels, predictions.predicted)
    _draw_metrics(run, predictions, test, epoch)
    left, right = st.columns([7, 5], gap="large")
    st.space("small")
    title, filters = st.container(), st.container()
    with filters:  # before the matrix, which shows what they are set to
        label, predicted, order, image = _show_filters(len(test.images))
        learning = load_run_learning(run, test) if order != BY_LOSS else None
    with left:
        heading("Confusion matrix", "labels in rows, predictions in columns; click a cell")
        draw_confusion_matrix(counts, (_digit(label), _digit(predicted)), _store_cell, key=_MATRIX)
    with right:
        heading("By digit", "with 95 % intervals")
        _draw_by_digit(counts)
        st.caption(
            "Recall: share of a digit's images that are predicted as this digit. Precision: share "
            "of the predictions of a digit that are correct."
        )
    if learning is None:
        indices = mistakes.sort_by_loss(predictions, _filter(predictions, label, predicted))
        words = _describe_filters(label, predicted, len(indices))
    else:
        indices = select_images(order, learning, predictions, _digit(label), _digit(predicted))
        words = describe_order(order, label, predicted, len(indices))
    with title:
        heading(*words)
        if learning is not None:
            st.caption(summarise_learning(learning))
    _show_images(run, predictions, test, indices, image, learning)
    if len(indices) or image is not None:
        selected = int(indices[0]) if image is None else image
        _show_layers(run, epoch, test, selected)


def _show_layers(run: Run, epoch: int | None, test: LabelledImages, index: int) -> None:
    """Show how the network arrives at its prediction for the selected image."""
    if not st.toggle("Follow the computation", key=LAYERS, help=LAYERS_HELP, **KEPT):
        return
    heading("Layers", f"how test image {index:,} is classified")
    try:
        model = checkpoints.load_cached_model(run, "last" if epoch is None else epoch)
        forward = run_forward(model, test.images[index])
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    draw_layers(forward, key="mistakes_layers")


def _digit(value: str) -> int | None:
    return int(value) if value in DIGITS else None


def _show_filters(total: int) -> tuple[str, str, str, int | None]:
    """Show the filters; returns label, prediction, order, and the index of a single image."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        options = (ANY, *DIGITS)
        label = st.selectbox(
            "Label", options, key=LABEL, on_change=_deselect_image, width=100, **KEPT
        )
        predicted = st.selectbox(
            "Prediction", options, key=PREDICTED, on_change=_deselect_image, width=100, **KEPT
        )
        order = st.selectbox(
            "Order", ORDERS, key=ORDER, on_change=_deselect_image, width=190, help=HELP, **KEPT
        )
        image = st.number_input(
            "Test image",
            0,
            total - 1,
            None,
            key=IMAGE,
            placeholder="index",
            help="Index in the test set, counted from 0, of any image.",
            width=150,
            **KEPT,
        )
    return label, predicted, order, image


def _draw_metrics(
    run: Run, predictions: Predictions, test: LabelledImages, epoch: int | None
) -> None:
    total, wrong = len(predictions.labels), ~predictions.correct
    confident = int((predictions.probabilities.max(axis=1)[wrong] > CONFIDENT).sum())
    low, high = wilson_interval(total - predictions.error_count, total)
    metrics = {
        "Errors": f"{predictions.error_count:,}",
        "Accuracy": f"{100 - 100 * predictions.error_count / total:.2f}\u00a0%",
        _CONFIDENT_ERRORS: f"{confident:,}",
    }
    if doubtful := label_errors(test):
        errors = sum(bool(wrong[index]) for index in doubtful)
        metrics[_DOUBTFUL] = f"{errors} of {len(doubtful)}"
    tables.draw_metrics(metrics, _METRIC_HELP)
    live = ""
    if epoch is not None:
        live = f" With the weights as they were {describe_epoch(epoch)}."
    elif run.is_live:
        live = f" The run is still training; these are its weights after epoch {len(run.epochs)}."
    st.caption(
        f"On {total:,} {TEST_SETS.get(test.name, TEST_IMAGES)}. 95 % confidence interval of the "
        f"accuracy: {low:.2f} to {high:.2f} %.{live}"
    )


def _draw_by_digit(counts: np.ndarray) -> None:
    correct = counts.diagonal()
    rows = []
    for measure, totals in (
        (charts.RECALL, counts.sum(axis=1)),
        (charts.PRECISION, counts.sum(axis=0)),
    ):
        for digit in range(10):
            if totals[digit]:
                low, high = wilson_interval(int(correct[digit]), int(totals[digit]))
                rows.append((digit, measure, 100 * correct[digit] / totals[digit], low, high))
    frame = pd.DataFrame(rows, columns=["digit", "measure", "share", "low", "high"])
    recall = frame[frame["measure"] == charts.RECALL].set_index("digit")["share"]
    st.altair_chart(
        charts.class_accuracy_chart(frame),
        key="mistakes_by_digit",
        alt="Recall of each digit: "
        + ", ".join(f"{digit}: {share:.1f} %" for digit, share in recall.items()),
    )


def _store_cell() -> None:
    """Filter by the cell that was clicked; a second click shows all errors again."""
    cell = tuple(map(str, st.session_state[_MATRIX].picked))
    if (st.session_state.get(LABEL), st.session_state.get(PREDICTED)) == cell:
        cell = (ANY, ANY)
    st.session_state.update({LABEL: cell[0], PREDICTED: cell[1], IMAGE: None})


def _deselect_image() -> None:
    st.session_state[IMAGE] = None


def _select_image(index: int) -> None:
    st.session_state[IMAGE] = index


def _filter(predictions: Predictions, label: str, predicted: str) -> np.ndarray:
    """Which images (N,) the filters let through: errors, or on the diagonal correct predictions."""
    chosen = predictions.correct if label == predicted != ANY else ~predictions.correct
    for values, digit in ((predictions.labels, label), (predictions.predicted, predicted)):
        if digit != ANY:
            chosen = chosen & (values == int(digit))
    return chosen


def _describe_filters(label: str, predicted: str, count: int) -> tuple[str, str]:
    """The heading of the images, and its explanation."""
    if label == predicted != ANY:
        return f"{label} predicted correctly", f"{count:,}, lowest probability first"
    order = f"{count:,}, highest loss first"
    if label == predicted:
        return "All errors", order
    if predicted == ANY:
        return f"Errors on {label}", order
    return (
        f"Wrongly predicted as {predicted}" if label == ANY else f"{label} predicted as {predicted}"
    ), order


def _show_images(
    run: Run,
    predictions: Predictions,
    test: LabelledImages,
    indices: np.ndarray,
    image: int | None,
    learning: Learning | None,
) -> None:
    if not len(indices) and image is None:
        st.markdown(":gray[There are none.]")
        return
    selected = int(indices[0]) if image is None else image
    left, right = st.columns([2, 1], gap="large")
    with left:
        _draw_page(predictions, test, indices, selected, learning)
        st.download_button(
            "Errors (CSV)",
            lambda: errors_csv(run, predictions, test),
            f"{run.name}-mistakes.csv",
            "text/csv",
            icon=":material/download:",
            type="tertiary",
            key="mistakes_save",
            on_click="ignore",
        )
    with right, st.container(key="mistakes_detail"):
        show_image(
            selected, test, {run.name: predictions}, {run.name: run.label}, "mistakes_closeup"
        )
        if learning is not None:
            st.caption(learning.describe(selected))


def _draw_page(
    predictions: Predictions,
    test: LabelledImages,
    indices: np.ndarray,
    selected: int,
    learning: Learning | None,
) -> None:
    """Draw one page of images: the page of the selected one, or the first."""
    position = int(np.argmax(indices == selected)) if selected in indices else None
    first = (position or 0) // PAGE * PAGE
    shown = indices[first : first + PAGE]
    doubtful = label_errors(test)
    digits = predictions.predicted[shown]
    probabilities = [
        f"{100 * predictions.probabilities[index, digit]:.0f}\u00a0%"
        for index, digit in zip(shown, digits, strict=True)
    ]
    draw_gallery(
        test.images[shown],
        "Images, highest loss first" if learning is None else "Images, in the chosen order",
        _GALLERY,
        tile=4.25,
        stacked=True,
        labels=[
            f"{label} → {digit}"
            for label, digit in zip(predictions.labels[shown], digits, strict=True)
        ],
        notes=[
            f"{share}, {index}" if learning is None else note_learning(learning, int(index))
            for share, index in zip(probabilities, shown, strict=True)
        ],
        alts=[
            f"Test image {index}, label {predictions.labels[index]}, predicted "
            f"{predictions.predicted[index]} with probability {share}"
            + (", doubtful label" if index in doubtful else "")
            for share, index in zip(probabilities, shown, strict=True)
        ],
        marked=[place for place, index in enumerate(shown) if int(index) in doubtful],
        picked=None if position is None else position - first,
        on_pick=lambda: _select_image(int(shown[st.session_state[_GALLERY].picked])),
    )
    legend = "Below each image: label → prediction, its probability, index."
    if learning is not None:
        legend = "Below each image: label → prediction, the epoch it was learnt in or last correct."
    if doubtful:
        legend += " ? marks a doubtful label."
    st.caption(legend)
    if len(indices) > PAGE:
        with st.container(horizontal=True, vertical_alignment="center"):
            _page_button("Previous", "chevron_left", indices, first - PAGE)
            _page_button("Next", "chevron_right", indices, first + PAGE)
            st.caption(f"{first + 1:,} to {first + len(shown):,} of {len(indices):,}")


def _page_button(title: str, icon: str, indices: np.ndarray, first: int) -> None:
    exists = 0 <= first < len(indices)
    st.button(
        title,
        icon=f":material/{icon}:",
        disabled=not exists,
        on_click=_select_image,
        key=f"mistakes_{icon}",
        args=(int(indices[first]) if exists else 0,),
    )
