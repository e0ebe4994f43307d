"""The sentence below the network's name where a drawing does not look like a digit."""

from __future__ import annotations

import streamlit as st

from core.insight.familiarity import MESSAGE, looks_like_digit
from pages.ui.draw.subject import Subject

HELP = (
    "The networks of this app know only digits, so their probabilities cannot show this. "
    "Instead, the directions of the drawing's edges in 25 regions are compared with those of "
    "MNIST's training digits and of random strokes. Of MNIST's test digits about one in 25 is "
    "unusual enough to get this message too."
)


def show_familiarity(subject: Subject, position: int) -> str:
    """Say so where the selected digit does not look like one; a digit with a label is not judged.

    It is judged when the pen is lifted. The place is kept free where nothing is said, so that
    nothing moves while somebody draws.

    Returns:
        What was said; "" for nothing.
    """
    if subject.label is not None or not subject.own:
        return ""
    settled = subject.settled
    message = ""
    if settled and not looks_like_digit(settled[min(position, len(settled) - 1)]):
        message = MESSAGE
    with st.container(key="draw_familiarity"):
        st.caption(message or "&nbsp;", help=HELP if message else None)
    return message
