"""The test images whose labels are in doubt, and what a run makes of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.insight.mistakes import Predictions
from core.runs.run import Run
from pages.ui import tables
from pages.ui.components.gallery import draw_gallery
from pages.ui.frame import heading
from pages.ui.mistakes.shared import doubts, one_image

SOURCE = "[Northcutt, Athalye and Mueller, 2021](https://arxiv.org/abs/2103.14749)"


@st.fragment
def labels(run: Run, found: Predictions, test: LabelledImages) -> None:
    """The known wrong labels, with what people and the run say of them."""
    known = doubts(test)
    if not known:
        st.markdown(":gray[Nothing is known of the labels of these images.]")
        return
    indices = np.array(sorted(known))
    wrong = int((~found.correct[indices]).sum())
    sides = sum(int(found.predicted[index]) == doubt.suggested for index, doubt in known.items())
    rest, missed = len(found.labels) - len(known), found.error_count - wrong
    tables.draw_metrics(
        {
            "Labels in doubt": str(len(known)),
            "Read otherwise": str(wrong),
            "Read as suspected": str(sides),
            "Right without them": f"{100 - 100 * missed / rest:.2f}\u00a0%",
        }
    )
    st.markdown(
        f"Images that learning algorithms had found suspicious were shown to five people each; these are the "
        f"{len(known)} of the 10,000 whose label fewer than three of the five kept ({SOURCE}). Here "
        f"{run.name} is counted wrong {wrong} times, {sides} times for reading what the label was suspected "
        f"to be. Without them it is wrong on {missed} of {rest:,}.",
        width=720,
    )
    heading("Labels in doubt", "the known wrong labels of the test set, in its order")
    at = st.session_state.get("doubted")
    at = at if at in known else int(indices[0])
    left, right = st.columns([2, 1], gap="large")
    with left:
        draw_gallery(
            test.images[indices],
            "Images whose labels are in doubt",
            "doubtful",
            tile=4.25,
            stacked=True,
            labels=[
                f"{known[index].label} or {known[index].suggested}" for index in indices.tolist()
            ],
            notes=[f"read as {found.predicted[index]}" for index in indices],
            alts=[
                f"Test image {index}, labelled {known[index].label}, suspected to be a {known[index].suggested}, "
                f"read as {found.predicted[index]}"
                for index in indices.tolist()
            ],
            picked=int(np.flatnonzero(indices == at)[0]),
            on_pick=lambda: st.session_state.update(
                doubted=int(indices[st.session_state["doubtful"].picked])
            ),
        )
        st.caption("Below each: the label or what it was suspected to be, then what was read.")
    with right, st.container(key="seen"):
        one_image(at, test, {run.name: found}, "doubtful_image")
