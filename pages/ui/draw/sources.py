"""The sources of digits on the Draw page: the pad, a picture, MNIST; one digit, or a number."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.drawing.preparation import to_mnist
from core.drawing.segmentation import segment_strokes
from core.drawing.strokes import strokes_to_ink
from pages.ui.components.pad import Strokes, show_digit_pad
from pages.ui.draw.mnist import show_mnist_digit
from pages.ui.draw.picture import show_picture
from pages.ui.draw.subject import (
    DEFAULT_DIGIT,
    LAST_DIGIT,
    MNIST,
    PAD,
    PICTURE,
    SOURCE,
    SOURCES,
    Subject,
    linked_digit,
    show_digit,
    sync_link,
)
from pages.ui.frame import KEPT

ONE, NUMBER = READINGS = ("one digit", "a number")
WIDE = 2.5  # aspect ratio of the pad for a number


def select_source() -> tuple[str, bool]:
    """Show the controls for the source, one of SOURCES, and for whether it has several digits."""
    sync_link()
    own_source = st.session_state.get(SOURCE, PAD)
    st.session_state["source"] = MNIST if linked_digit() else own_source
    with st.container(horizontal=True, gap="medium", key="draw_sources"):
        source = st.segmented_control(
            "Source",
            SOURCES,
            required=True,
            key="source",
            label_visibility="collapsed",
            on_change=_store_source,
        )
        reading = ONE
        if source != MNIST:
            reading = st.segmented_control(
                "Read as",
                READINGS,
                default=ONE,
                required=True,
                key="reading",
                label_visibility="collapsed",
                **KEPT,
            )
    return source or PAD, reading == NUMBER


def show_subject(source: str, several: bool) -> Subject:
    """Show a source, with its controls.

    Raises:
        UserError: the picture or the link is wrong.
    """
    if source == MNIST:
        return show_mnist_digit(linked_digit())
    return show_picture(several) if source == PICTURE else _show_pad(several)


def _store_source() -> None:
    source = st.session_state["source"]
    if source == MNIST:
        show_digit(st.session_state.get(LAST_DIGIT, DEFAULT_DIGIT))
    else:
        show_digit("")
        st.session_state[SOURCE] = source


def _show_pad(several: bool) -> Subject:
    if several:
        drawing = show_digit_pad(
            "number",
            WIDE,
            "Write a number",
            "Drawing pad. Write a number with mouse, pen or finger, its digits side by side. With "
            "the keyboard: arrow keys move the pen, and the space bar lowers and lifts it.",
        )
    else:
        drawing = show_digit_pad()
    images = _read_strokes(drawing.strokes, several)
    unchanged = drawing.settled == drawing.strokes
    settled = images if unchanged else _read_strokes(drawing.settled, several)
    return Subject(images, settled, several)


def _read_strokes(strokes: Strokes, several: bool) -> list[np.ndarray]:
    """The 28x28 images of what was drawn."""
    if several:
        return segment_strokes(strokes, WIDE)
    return [to_mnist(strokes_to_ink(strokes))] if strokes else []
