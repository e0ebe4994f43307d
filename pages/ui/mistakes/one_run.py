"""What one run gets wrong: the confusion matrix, and the images behind its cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.charts import mistakes as charts
from core.data.labelled_images import LabelledImages
from core.experiments.statistics import wilson
from core.insight import mistakes
from core.insight.mistakes import Predictions
from core.runs.run import Run
from pages.ui import tables
from pages.ui.components.gallery import draw_gallery
from pages.ui.components.matrix import draw_confusion_matrix
from pages.ui.frame import KEPT, heading
from pages.ui.mistakes.shared import csv, doubts, one_image

ANY = "any"
PAGE = 56
SURE = 0.9
_DIGITS = tuple(map(str, range(10)))


@st.fragment
def one_run(run: Run, found: Predictions, test: LabelledImages) -> None:
    """The mistakes of a run: counted, by digit, and one by one."""
    counts = mistakes.confusion_matrix(found.labels, found.predicted)
    _figures(run, found, test)
    left, right = st.columns([7, 5], gap="large")
    st.space("small")
    title, filters = (
        st.container(),
        st.container(horizontal=True, vertical_alignment="bottom", gap="medium"),
    )
    with filters:  # before the matrix, which shows what they are set to
        label = st.selectbox(
            "Label", (ANY, *_DIGITS), key="labelled", on_change=_afresh, width=100, **KEPT
        )
        answer = st.selectbox(
            "Read as", (ANY, *_DIGITS), key="read", on_change=_afresh, width=100, **KEPT
        )
        image = st.number_input(
            "Test image",
            0,
            len(test.images) - 1,
            None,
            key="image",
            placeholder="index",
            help="Place in the test set, counted from 0: any image, also one that is read rightly.",
            width=150,
            **KEPT,
        )
    with left:
        heading("Confusion", "label down, answer across; a click shows the images")
        draw_confusion_matrix(
            counts,
            tuple(int(each) if each in _DIGITS else None for each in (label, answer)),
            _pick_cell,
        )
    with right:
        heading("By digit", "with 95 % intervals")
        _by_digit(counts)
        st.caption(
            "Recall: of a digit's images, those read rightly. Precision: of a digit's answers, those that are "
            "right."
        )
    chosen = mistakes.sort_by_loss(found, _chosen(found, label, answer))
    with title:
        heading(*_title(label, answer, len(chosen)))
    _images(run, found, test, chosen, image)


def _figures(run: Run, found: Predictions, test: LabelledImages) -> None:
    total, wrong = len(found.labels), ~found.correct
    sure = int((found.probabilities.max(axis=1)[wrong] > SURE).sum())
    low, high = wilson(total - found.error_count, total)
    figures = {
        f"Wrong of {total:,}": f"{found.error_count:,}",
        "Right": f"{100 - 100 * found.error_count / total:.2f}\u00a0%",
        f"Wrong, over {100 * SURE:.0f}\u00a0% sure": f"{sure:,}",
    }
    if known := doubts(test):
        figures["With a doubtful label"] = (
            f"{sum(bool(wrong[index]) for index in known)} of {len(known)}"
        )
    tables.draw_metrics(figures)
    still = (
        f" It is still training; these are its weights after epoch {run.epochs[-1].epoch}."
        if run.is_live
        else ""
    )
    st.caption(
        f"As for any {total:,} images, chance has a share in it: the 95 % interval goes from {low:.2f} to "
        f"{high:.2f} %.{still}"
    )


def _by_digit(counts: np.ndarray) -> None:
    right = counts.diagonal()
    rows = []
    for measure, totals in (
        (charts.RECALL, counts.sum(axis=1)),
        (charts.PRECISION, counts.sum(axis=0)),
    ):
        for digit in range(10):
            if totals[digit]:
                low, high = wilson(int(right[digit]), int(totals[digit]))
                rows.append((digit, measure, 100 * right[digit] / totals[digit], low, high))
    frame = pd.DataFrame(rows, columns=["digit", "measure", "share", "low", "high"])
    recall = frame[frame["measure"] == charts.RECALL].set_index("digit")["share"]
    st.altair_chart(
        charts.by_digit(frame),
        key="by_digit",
        alt="Recall of each digit: "
        + ", ".join(f"{digit}: {share:.1f} %" for digit, share in recall.items()),
    )


def _pick_cell() -> None:
    """Show the images of the cell that was clicked, or all mistakes when it was shown already."""
    label, answer = map(str, st.session_state["matrix"].picked)
    if (st.session_state.get("labelled"), st.session_state.get("read")) == (label, answer):
        label = answer = ANY
    st.session_state.update({"labelled": label, "read": answer, "image": None})


def _afresh() -> None:
    """Begin with the first image: another filter shows others."""
    st.session_state["image"] = None


def _images(
    run: Run, found: Predictions, test: LabelledImages, chosen: np.ndarray, image: int | None
) -> None:
    if not len(chosen) and image is None:
        st.markdown(":gray[There is none.]")
        return
    at = int(chosen[0]) if image is None else image
    left, right = st.columns([2, 1], gap="large")
    with left:
        _grid(found, test, chosen, at)
        st.download_button(
            "Mistakes (CSV)",
            lambda: csv(found, test),
            f"{run.name}-mistakes.csv",
            "text/csv",
            icon=":material/download:",
            type="tertiary",
            key="save_mistakes",
            on_click="ignore",
        )
    with right, st.container(key="seen"):
        one_image(at, test, {run.name: found}, "mistake")


def _chosen(found: Predictions, label: str, answer: str) -> np.ndarray:
    """Which images two filters let through: mistakes, unless they ask for one digit read as itself."""
    chosen = found.correct if label == answer != ANY else ~found.correct
    for value, wanted in ((found.labels, label), (found.predicted, answer)):
        if wanted != ANY:
            chosen = chosen & (value == int(wanted))
    return chosen


def _title(label: str, answer: str, count: int) -> tuple[str, str]:
    """What the filters show, in words."""
    order = f"{count:,}, the highest loss first"
    if label == answer != ANY:
        return f"{label} read rightly", f"{count:,}, the least sure first"
    if label == answer:
        return "All mistakes", order
    if answer == ANY:
        return f"{label} read wrongly", order
    return (f"Wrongly read as {answer}" if label == ANY else f"{label} read as {answer}"), order


def _grid(found: Predictions, test: LabelledImages, chosen: np.ndarray, at: int) -> None:
    """One page of the chosen images, the one with the image in question if it is among them."""
    place = int(np.argmax(chosen == at)) if at in chosen else None
    first = (place or 0) // PAGE * PAGE
    shown = chosen[first : first + PAGE]
    known = doubts(test)
    answers = found.predicted[shown]
    sure = [
        f"{100 * found.probabilities[index, read]:.0f}\u00a0%"
        for index, read in zip(shown, answers, strict=True)
    ]
    draw_gallery(
        test.images[shown],
        "Images, the highest loss first",
        "mistakes",
        tile=4.25,
        stacked=True,
        labels=[
            f"{label} → {read}" for label, read in zip(found.labels[shown], answers, strict=True)
        ],
        notes=[f"{each}, {index}" for each, index in zip(sure, shown, strict=True)],
        alts=[
            f"Test image {index}, labelled {found.labels[index]}, read as {found.predicted[index]}, {each} sure"
            + (", its label is in doubt" if index in known else "")
            for each, index in zip(sure, shown, strict=True)
        ],
        marked=[where for where, index in enumerate(shown) if int(index) in known],
        picked=None if place is None else place - first,
        on_pick=lambda: _go(int(shown[st.session_state["mistakes"].picked])),
    )
    legend = "Below each: label → what was read, how sure of it, index."
    if known:
        legend += " ? marks a label that most people doubted."
    st.caption(legend)
    if len(chosen) > PAGE:
        with st.container(horizontal=True, vertical_alignment="center"):
            _step("Earlier", "chevron_left", chosen, first - PAGE)
            _step("Later", "chevron_right", chosen, first + PAGE)
            st.caption(f"{first + 1:,} to {first + len(shown):,} of {len(chosen):,}")


def _step(title: str, icon: str, chosen: np.ndarray, to: int) -> None:
    there = 0 <= to < len(chosen)
    st.button(
        title,
        icon=f":material/{icon}:",
        disabled=not there,
        on_click=_go,
        key=icon,
        args=(int(chosen[to]) if there else 0,),
    )


def _go(index: int) -> None:
    st.session_state["image"] = index
