"""The images on which two runs disagree, and what their number can tell."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.experiments.comparison import of_runs
from core.insight.mistakes import Predictions, sort_by_loss
from pages.ui import tables
from pages.ui.components.gallery import draw_gallery
from pages.ui.frame import KEPT, heading
from pages.ui.mistakes.shared import doubts, one_image

PARTS = ("first right", "second right", "both wrong")
SHOWN = 72


@st.fragment
def two_runs(asked: dict[str, Predictions], test: LabelledImages) -> None:
    """Two runs on the same images.

    Args:
        asked: predictions by name of the run, two of them.
        test: the images.
    """
    (first, one), (second, two) = asked.items()
    answer = of_runs(first, one, second, two)
    found = answer.images
    tables.draw_metrics(
        {
            "Both right": f"{found.both_correct:,}",
            f"Only {first}": f"{len(found.only_first):,}",
            f"Only {second}": f"{len(found.only_second):,}",
            "Both wrong": f"{len(found.both_wrong):,}",
        }
    )
    st.markdown(f"{answer.words} :gray[{answer.method}]".replace(" = ", "\u00a0=\u00a0"), width=760)
    part = st.segmented_control(
        "Images",
        PARTS,
        default=PARTS[0],
        required=True,
        key="split",
        on_change=_afresh,
        label_visibility="collapsed",
        **KEPT,
    )
    chosen = dict(zip(PARTS, (found.only_first, found.only_second, found.both_wrong), strict=True))[
        part
    ]
    titles = dict(
        zip(
            PARTS,
            (
                f"Right by {first}, wrong by {second}",
                f"Right by {second}, wrong by {first}",
                "Wrong by both",
            ),
            strict=True,
        )
    )
    loser = one if part == PARTS[1] else two
    chosen = sort_by_loss(loser, np.isin(np.arange(len(test.images)), chosen))
    heading(titles[part], f"{len(chosen):,}, the highest loss first")
    if not len(chosen):
        st.markdown(":gray[There is none.]")
        return
    picked = st.session_state.get("disputed")
    at = picked if picked in chosen else int(chosen[0])
    shown, known = chosen[:SHOWN], doubts(test)
    left, right = st.columns([2, 1], gap="large")
    with left:
        draw_gallery(
            test.images[shown],
            titles[part],
            "disputed_images",
            tile=4.25,
            stacked=True,
            labels=[str(test.labels[index]) for index in shown],
            notes=[f"{one.predicted[index]} | {two.predicted[index]}" for index in shown],
            alts=[
                f"Test image {index}, labelled {test.labels[index]}: {first} reads {one.predicted[index]}, "
                f"{second} {two.predicted[index]}"
                for index in shown
            ],
            marked=[place for place, index in enumerate(shown) if int(index) in known],
            picked=next((place for place, index in enumerate(shown) if index == at), None),
            on_pick=lambda: st.session_state.update(
                disputed=int(shown[st.session_state["disputed_images"].picked])
            ),
        )
        st.caption(
            f"Below each: the label, then what {first} | {second} read."
            + (f" The first {SHOWN} of {len(chosen):,}." if len(chosen) > SHOWN else "")
        )
    with right, st.container(key="seen"):
        one_image(int(at), test, asked, "disputed_image")


def _afresh() -> None:
    st.session_state.pop("disputed", None)
