"""A digit of MNIST on the Draw page, selected by set and index or by a link."""

from __future__ import annotations

import re

import streamlit as st

from core.errors import UserError
from pages.ui import dataset
from pages.ui.components.gallery import draw_closeup
from pages.ui.draw.subject import Subject, back_button, show_digit
from pages.ui.words import capitalise

SETS = {"test": "test", "train": "training"}  # name in links -> name on pages
_LINK = re.compile(r"(test|train|training)-(\d{1,7})")
_SET, _INDEX = "draw_mnist_set", "draw_mnist_index"


def show_mnist_digit(link: str) -> Subject:
    """Show a digit of MNIST with the controls that select another.

    Args:
        link: the digit as in links, such as test-1234.

    Raises:
        UserError: there is no such digit.
    """
    sets = dataset.load_digits()
    if sets is None:
        return Subject(title="the digit", own=False)
    match = _LINK.fullmatch(link.strip().lower())
    name = match[1].removesuffix("ing") if match else "test"
    digits = sets[SETS[name]]
    last = len(digits.images) - 1
    index = int(match[2]) if match else 0
    _show_controls(name, min(index, last), last)
    if match is None:
        back_button()
        raise UserError(f"{link[:40]!r} is not a digit of MNIST; write test-1234 or train-17.")
    if index > last:
        back_button()
        raise UserError(f"there is no {SETS[name]} image {index:,}; the last one is {last:,}.")
    image, label = digits.images[index], int(digits.labels[index])
    title = f"{SETS[name]} image {index:,}"
    draw_closeup(
        image,
        f"{title}, label {label}, 28 by 28 pixels; arrow keys read their values",
        f"{capitalise(title)}, label {label}. Point at a pixel to see its value.",
    )
    back_button()
    return Subject([image], [image], label=label, title=title, own=False)


def _show_controls(name: str, index: int, last: int) -> None:
    st.session_state[_SET], st.session_state[_INDEX] = SETS[name], index
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.segmented_control(
            "Set",
            list(SETS.values()),
            required=True,
            key=_SET,
            on_change=_store_digit,
            label_visibility="collapsed",
        )
        st.number_input(
            "Index",
            0,
            last,
            key=_INDEX,
            on_change=_store_digit,
            width=140,
            label_visibility="collapsed",
        )


def _store_digit() -> None:
    name = next(link for link, title in SETS.items() if title == st.session_state[_SET])
    show_digit(f"{name}-{int(st.session_state[_INDEX])}")
