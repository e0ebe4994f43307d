"""The test images whose labels are doubtful, and a run's predictions for them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.insight.mistakes import Predictions
from core.runs.run import Run
from core.wording import plural
from pages.ui import tables
from pages.ui.components.gallery import draw_gallery
from pages.ui.frame import heading
from pages.ui.mistakes.shared import label_errors, show_image
from pages.ui.words import escape_markdown

SOURCE = "[Northcutt, Athalye and Mueller, 2021](https://arxiv.org/abs/2103.14749)"
_SELECTED = "mistakes_doubtful_image"  # session key: index of the image shown in detail
_GALLERY = "mistakes_doubtful_images"


@st.fragment
def show_doubtful_labels(run: Run, predictions: Predictions, test: LabelledImages) -> None:
    """Show the known label errors, with the votes of people and the run's predictions."""
    errors = label_errors(test)
    if not errors:
        st.markdown(":gray[No label errors are known for these images.]")
        return
    indices = np.array(sorted(errors))
    wrong = int((~predictions.correct[indices]).sum())
    as_suggested = sum(
        int(predictions.predicted[index]) == error.suggested for index, error in errors.items()
    )
    others, other_errors = len(predictions.labels) - len(errors), predictions.error_count - wrong
    tables.draw_metrics(
        {
            "Doubtful labels": str(len(errors)),
            "Errors among them": str(wrong),
            "Predicted as suspected": str(as_suggested),
            "Accuracy without them": f"{100 - 100 * other_errors / others:.2f}\u00a0%",
        }
    )
    st.markdown(
        f"Learning algorithms found the labels of some images suspicious, and five people looked "
        f"at each. For these {len(errors)} of the 10,000 images fewer than three of them agreed "
        f"with the label ({SOURCE}). {wrong} of them count as errors of "
        f"{escape_markdown(run.label)}, which predicts the suspected digit for {as_suggested}. On "
        f"the other {others:,} images it makes {plural(other_errors, 'error')}.",
        width=720,
    )
    heading("Doubtful labels", "known label errors, by index")
    selected = st.session_state.get(_SELECTED)
    selected = selected if selected in errors else int(indices[0])
    left, right = st.columns([2, 1], gap="large")
    with left:
        draw_gallery(
            test.images[indices],
            "Images with doubtful labels",
            _GALLERY,
            tile=4.25,
            stacked=True,
            labels=[
                f"{errors[index].label} or {errors[index].suggested}" for index in sorted(errors)
            ],
            notes=[f"predicted {predictions.predicted[index]}" for index in indices],
            alts=[
                f"Test image {index}, label {errors[index].label}, suspected to be "
                f"{errors[index].suggested}, predicted {predictions.predicted[index]}"
                for index in indices.tolist()
            ],
            picked=int(np.flatnonzero(indices == selected)[0]),
            on_pick=lambda: _select(indices),
        )
        st.caption("Below each image: its label or the suspected digit, then the prediction.")
    with right, st.container(key="mistakes_detail"):
        show_image(
            selected,
            test,
            {run.name: predictions},
            {run.name: run.label},
            "mistakes_doubtful_closeup",
        )


def _select(indices: np.ndarray) -> None:
    st.session_state[_SELECTED] = int(indices[st.session_state[_GALLERY].picked])
