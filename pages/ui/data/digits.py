"""Digits of the dataset: a grid to page through, and one digit close up."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.data.labelled_images import LabelledImages
from core.insight.digits import page_of_digits
from core.task import CLASSES
from pages.ui.components.gallery import draw_closeup, draw_gallery
from pages.ui.frame import KEPT, heading

PAGE = 72  # digits in the grid
ALL = "all"
INDEX = "index"  # key of the control, and its name in the link
_GRID = "data_grid"
NAMES = ("zeros", "ones", "twos", "threes", "fours", "fives", "sixes", "sevens", "eights", "nines")


def draw_class_control() -> int | None:
    """Draw the choice of a class, and return it; None: all classes."""
    name = st.pills(
        "Class",
        [ALL, *map(str, range(CLASSES))],
        default=ALL,
        required=True,
        key="class",
        wrap=True,
        **KEPT,
    )
    return None if name == ALL else int(name)


def draw_index_control(
    digits: LabelledImages, help: str = "Number of the image in the dataset, from 0."
) -> int:
    """Draw the choice of a digit, and return its index."""
    return st.number_input("Index", 0, len(digits) - 1, 0, key=INDEX, help=help, width=150, **KEPT)


@st.fragment
def draw_browser(digits: LabelledImages) -> None:
    """Draw digits in a grid, and the selected one close up."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="picks"):
        digit = draw_class_control()
        index = draw_index_control(digits)
    shown = page_of_digits(digits.labels, digit, index, PAGE)
    left, right = st.columns([7, 3], gap="large")
    with left:
        labels = digits.labels[shown.indices]
        draw_gallery(
            digits.images[shown.indices],
            "Digits of the dataset",
            _GRID,
            alts=[
                f"{label}, {digits.name} image {at}"
                for label, at in zip(labels, shown.indices, strict=True)
            ],
            labels=[str(label) for label in labels],
            notes=[str(at) for at in shown.indices],
            picked=int(np.flatnonzero(shown.indices == shown.selected)[0]),
            on_pick=lambda: _select(int(shown.indices[st.session_state[_GRID].picked])),
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            _draw_page_button("Previous", "chevron_left", shown.previous)
            _draw_page_button("Next", "chevron_right", shown.next)
            st.caption(
                f"{shown.offset + 1:,} to {shown.offset + len(shown.indices):,} of {shown.total:,} "
                + ("digits" if digit is None else NAMES[digit])
            )
    with right, st.container(key="seen"):
        label, image = int(digits.labels[shown.selected]), digits.images[shown.selected]
        heading("An 8" if label == 8 else f"A {label}", f"{digits.name} image {shown.selected:,}")
        draw_closeup(
            image,
            f"{digits.name} image {shown.selected}, a {label}, 28 by 28 pixels; arrow keys read "
            "their values",
            f"Ink on {np.count_nonzero(image)} of 784 pixels. Point at a pixel to read its value.",
        )
        st.page_link(
            "pages/data.py",
            label=":primary[Augment this digit]",
            icon=":material/arrow_forward:",
            icon_position="right",
            query_params={
                "part": "Augmentation",
                "set": digits.name,
                INDEX: str(shown.selected),
                "subject": "this one",
            },
        )


def _draw_page_button(title: str, icon: str, index: int | None) -> None:
    st.button(
        title,
        icon=f":material/{icon}:",
        disabled=index is None,
        on_click=_select,
        args=(index,),
        key=f"data_{icon}",
    )


def _select(index: int) -> None:
    st.session_state[INDEX] = index
