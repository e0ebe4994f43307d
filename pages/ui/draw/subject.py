"""The digits that the Draw page shows, and the digit of MNIST in session and link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

PAD, PICTURE, MNIST = SOURCES = ("Pad", "Picture", "MNIST")
LINK = "digit"  # an MNIST digit in the link, such as test-1234 or train-17
DEFAULT_DIGIT = "test-0"
# Session keys: the digit of MNIST that is shown (empty: none), the last one, the other source.
_DIGIT, LAST_DIGIT, SOURCE = "draw_digit", "draw_last_digit", "draw_source"


@dataclass(frozen=True, eq=False)
class Subject:
    """The digits that are shown.

    Args:
        images: (28, 28) uint8 each, in reading order; empty while there are none.
        settled: the images when the pen was last lifted.
        several: whether they are read as a number.
        label: the label, if known.
        title: what to call them.
        own: whether they were drawn or photographed, not taken from MNIST.
        waiting: text while there are none.
    """

    images: Sequence[np.ndarray] = ()
    settled: Sequence[np.ndarray] = field(default=())
    several: bool = False
    label: int | None = None
    title: str = "the drawing"
    own: bool = True
    waiting: str = "Draw a digit. The prediction changes while you draw."


def linked_digit() -> str:
    """The digit of MNIST that is shown, as in the link; empty if another source is shown."""
    return str(st.session_state.get(_DIGIT, ""))


def show_digit(link: str) -> None:
    """Show a digit of MNIST from the next run of the script on; empty: the other source."""
    st.session_state[_DIGIT] = link
    if link:
        st.query_params[LINK] = st.session_state[LAST_DIGIT] = link
    else:
        st.query_params.pop(LINK, None)


def show_training_digit(index: int) -> None:
    """Show a training image from the next run of the script on."""
    show_digit(f"train-{index}")


def back_button() -> None:
    """Show a button that returns to the pad."""
    st.button("Back to the pad", icon=":material/draw:", on_click=_show_pad_next, type="tertiary")


def sync_link() -> None:
    """Show the digit in the link; without one, put the shown digit into the link."""
    if linked := st.query_params.get(LINK):
        st.session_state[_DIGIT] = linked
    elif shown := st.session_state.get(_DIGIT):
        st.query_params[LINK] = shown


def _show_pad_next() -> None:
    st.session_state[SOURCE] = PAD
    show_digit("")
