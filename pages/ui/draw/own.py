"""The user's own labelled digits in sets: saving, showing and deleting them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.errors import UserError
from core.library import digits as library
from core.runs.digit_file import SavedDigit, check_set_name, to_arrays
from core.runs.run import Run
from core.wording import plural
from pages.ui import access
from pages.ui.components.gallery import draw_gallery
from pages.ui.draw.networks import Runs, select_networks
from pages.ui.draw.own_accuracy import draw_accuracy
from pages.ui.draw.own_import import draw_upload, label_digit, show_preview
from pages.ui.draw.own_teaching import show_teaching
from pages.ui.draw.subject import Subject
from pages.ui.frame import heading
from pages.ui.words import escape_markdown

MAX_SHOWN = 42  # digits, the latest
# Session keys: the selected digit, the gallery, the control of the writer, and that of the set.
_SELECTED, _GALLERY = "draw_own_selected", "draw_own_digits"
_WRITER, _SET = "draw_own_writer", "draw_own_set"
EVERYBODY, NOBODY = "Everybody's", "Without a name"


def show_own_digits(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Show buttons that save the digit, the saved digits, and what networks make of them."""
    st.caption(
        "Collect your own handwriting in a set: draw a digit and press its label, or add pictures. "
        "The digits are stored beside the runs, for everybody who uses this app, until they are "
        "deleted."
    )
    name = _select_set()
    _show_label_buttons(image, subject, name)
    try:
        digits = library.list_digits(name=name)
    except UserError as error:
        st.error(
            f"{escape_markdown(str(error))} Clear the file to start again.",
            icon=":material/error:",
        )
        refusal = access.why_not_manage()
        st.button(
            "Clear",
            on_click=_run_action,
            args=(_clear_all, name),
            disabled=bool(refusal),
            help=refusal or None,
        )
        return
    show_preview(name)
    left, right = st.columns([6, 5], gap="large")
    with left:
        heading("Saved", plural(len(digits), "digit"))
        shown = _select_writer(digits)
        _show_digits(shown, name)
        _show_files(digits, name)
    with right:
        chart = st.container()
        networks = select_networks(runs, run)
        show_teaching(run, digits, name, image if subject.own else None)
    with chart:
        if shown:
            draw_accuracy(networks, shown)
        else:
            st.markdown("## Accuracy")
            st.markdown(":gray[Save some digits to see each network's accuracy on them.]")


def _select_set() -> str:
    """Show the control that selects a set, or names a new one; return its name."""
    session = st.session_state
    held = session.get(_SET, library.DEFAULT)
    options = sorted({library.DEFAULT, *library.list_names(), *([held] if held else [])})
    name = st.selectbox(
        "Set",
        options,
        options.index(library.DEFAULT),
        key=_SET,
        width=240,
        accept_new_options=True,
        persist_state="session",
        help="A person's handwriting, or a kind of digit. Type a name to begin another set.",
    )
    try:
        return check_set_name(name or library.DEFAULT)
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return library.DEFAULT


def _show_label_buttons(image: np.ndarray, subject: Subject, name: str) -> None:
    if not subject.own:
        st.markdown(
            f":gray[This is {subject.title}; your own digits come from the pad or a picture.]"
        )
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="draw_own_labels"
    ):
        st.text_input(
            "Written by",
            key=_WRITER,
            max_chars=40,
            width=180,
            label_visibility="collapsed",
            placeholder="Written by",
            persist_state="session",
            help="Saved with the digit, so that handwritings can be compared.",
        )
        st.markdown("Label", width="content")
        refusal = access.why_not_create()
        for digit in range(10):
            st.button(
                str(digit),
                key=f"draw_own_label_{digit}",
                disabled=bool(refusal) or not image.any(),
                on_click=_run_action,
                args=(_save, image, digit, name),
                help=refusal or f"Save the digit as {digit}.",
            )


def _run_action(action: Callable[..., object], *arguments: Any) -> None:
    """Run the action of a button, and show its error as a message."""
    try:
        action(*arguments)
    except UserError as error:
        st.toast(escape_markdown(str(error)), icon=":material/error:")


def _save(image: np.ndarray, label: int, set_name: str) -> None:
    access.check_create()
    # As it is now: the button may be pressed together with the end of typing.
    writer = " ".join(st.session_state.get(_WRITER, "").split()) or None
    library.save_digit(image, label, owner=access.owner_name(), writer=writer, name=set_name)


def _select_writer(digits: Sequence[SavedDigit]) -> list[SavedDigit]:
    """Show the control that selects a handwriting, if there are several; return its digits."""
    writers = sorted({digit.writer or "" for digit in digits})
    if len(writers) < 2:
        return list(digits)
    names = [EVERYBODY, *(writer or NOBODY for writer in writers)]
    selected = st.selectbox(
        "Handwriting",
        names,
        key="draw_own_writer_shown",
        width=240,
        label_visibility="collapsed",
    )
    if selected == EVERYBODY:
        return list(digits)
    return [digit for digit in digits if (digit.writer or NOBODY) == selected]


def _delete(key: str, name: str) -> None:
    digits = library.list_digits(name=name)
    access.check_change(*(digit.owner for digit in digits if digit.key == key))
    library.delete(key, name=name)


def _clear_all(name: str) -> None:
    access.check_manage()
    library.clear(name=name)


def _clear_own(name: str) -> None:
    """Delete the digits of whoever is signed in; without sign-in, all digits."""
    access.check_create()
    library.clear(owner=access.owner_name(), name=name)


def _show_digits(digits: Sequence[SavedDigit], name: str) -> None:
    if not digits:
        st.markdown(":gray[None yet. Draw a digit and press its label.]")
        return
    latest = list(digits)[::-1][:MAX_SHOWN]
    selected = next(
        (
            position
            for position, digit in enumerate(latest)
            if digit.key == st.session_state.get(_SELECTED)
        ),
        None,
    )
    images, _ = to_arrays(latest)
    draw_gallery(
        images,
        "Your digits",
        _GALLERY,
        picked=selected,
        labels=[label_digit(digit) for digit in latest],
        alts=[_describe(digit) for digit in latest],
        on_pick=lambda: _select(latest),
    )
    if len(digits) > MAX_SHOWN:
        st.caption(f"The latest {MAX_SHOWN} of {len(digits):,}.")
    chosen = None if selected is None else latest[selected]
    refusal = access.why_not_change(chosen.owner) if chosen else ""
    st.button(
        "Delete selected",
        icon=":material/delete:",
        type="tertiary",
        disabled=chosen is None or bool(refusal),
        help=refusal or None,
        on_click=_run_action,
        args=(_delete, chosen.key if chosen else "", name),
    )


def _describe(digit: SavedDigit) -> str:
    writer = f" by {digit.writer}" if digit.writer else ""
    owner = access.describe_owner(digit.owner)
    return f"{digit.label}{writer}, saved {digit.saved:%d %B %Y}{f' by {owner}' if owner else ''}"


def _select(digits: Sequence[SavedDigit]) -> None:
    position = int(st.session_state[_GALLERY].picked)
    st.session_state[_SELECTED] = digits[position].key if position < len(digits) else None


def _show_files(digits: Sequence[SavedDigit], name: str) -> None:
    with st.container(horizontal=True, gap="small"):
        if digits:
            st.download_button(
                "Save as a file",
                lambda: library.export_digits(name=name),
                f"{name}-digits.zip",
                "application/zip",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )
        draw_upload()
        _show_clearing(digits, access.why_not_create(), name)


def _show_clearing(digits: Sequence[SavedDigit], refusal: str, name: str) -> None:
    person = access.owner_name()
    own = sum(person in (None, digit.owner) for digit in digits)
    if own:
        title, which = ("Delete all", "all") if person is None else ("Delete mine", "your")
        with st.popover(
            title,
            type="tertiary",
            icon=":material/delete_sweep:",
            disabled=bool(refusal),
            help=refusal or None,
        ):
            st.markdown(f"Delete {which} {plural(own, 'digit')}? This cannot be undone.")
            st.button("Delete them", type="primary", on_click=_run_action, args=(_clear_own, name))
