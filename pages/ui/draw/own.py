"""The user's own labelled digits: saving them, and the accuracy of networks on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import UserError
from core.experiments.statistics import wilson_interval
from core.library import digits as library
from core.runs.digit_file import SavedDigit, to_arrays
from core.runs.run import Run
from core.wording import plural
from pages.ui import access, checkpoints
from pages.ui.components.chart import draw_chart
from pages.ui.components.gallery import draw_gallery
from pages.ui.draw.networks import Runs, predict_images, select_networks
from pages.ui.draw.subject import Subject
from pages.ui.frame import heading
from pages.ui.words import escape_markdown

MAX_SHOWN = 60  # digits, the latest
FEW = 100  # digits, below which the intervals are wide
MAX_MEGABYTES = 4
# Session keys: the selected digit, the last imported file, and the result of the import.
_SELECTED, _IMPORTED, _RESULT = "draw_own_selected", "draw_own_imported", "draw_own_result"
_GALLERY, _FILE, _WRITER = "draw_own_digits", "draw_own_file", "draw_own_writer"
EVERYBODY, NOBODY = "Everybody's", "Without a name"


def show_own_digits(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Show buttons that save the digit, the saved digits, and the accuracy of networks on them."""
    st.caption(
        "Collect a test set in your own handwriting: draw a digit and press its label. The digits "
        "are stored beside the runs, for everybody who uses this app, until they are deleted."
    )
    _show_label_buttons(image, subject)
    try:
        digits = library.list_digits()
    except UserError as error:
        st.error(
            f"{escape_markdown(str(error))} Clear the file to start again.",
            icon=":material/error:",
        )
        refusal = access.why_not_manage()
        st.button(
            "Clear",
            on_click=_run_action,
            args=(_clear_all,),
            disabled=bool(refusal),
            help=refusal or None,
        )
        return
    left, right = st.columns([6, 5], gap="large")
    with left:
        heading("Saved", plural(len(digits), "digit"))
        shown = _select_writer(digits)
        _show_digits(shown)
        _show_files(digits)
    with right:
        chart = st.container()
        networks = select_networks(runs, run)
    with chart:
        if shown:
            _draw_accuracy(networks, shown)
        else:
            st.markdown("## Accuracy")
            st.markdown(":gray[Save some digits to see each network's accuracy on them.]")


def _show_label_buttons(image: np.ndarray, subject: Subject) -> None:
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
                args=(_save, image, digit),
                help=refusal or f"Save the digit as {digit}.",
            )


def _run_action(action: Callable[..., object], *arguments: Any) -> None:
    """Run the action of a button, and show its error as a message."""
    try:
        action(*arguments)
    except UserError as error:
        st.toast(escape_markdown(str(error)), icon=":material/error:")


def _save(image: np.ndarray, label: int) -> None:
    access.check_create()
    # As it is now: the button may be pressed together with the end of typing.
    name = " ".join(st.session_state.get(_WRITER, "").split()) or None
    library.save_digit(image, label, owner=access.owner_name(), writer=name)


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


def _delete(key: str) -> None:
    access.check_change(*(digit.owner for digit in library.list_digits() if digit.key == key))
    library.delete(key)


def _clear_all() -> None:
    access.check_manage()
    library.clear()


def _clear_own() -> None:
    """Delete the digits of whoever is signed in; without sign-in, all digits."""
    access.check_create()
    library.clear(owner=access.owner_name())


def _show_digits(digits: Sequence[SavedDigit]) -> None:
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
    images, labels = to_arrays(latest)
    draw_gallery(
        images,
        "Your digits",
        _GALLERY,
        picked=selected,
        labels=[
            f"{label} {digit.writer}" if digit.writer else str(label)
            for label, digit in zip(labels, latest, strict=True)
        ],
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
        args=(_delete, chosen.key if chosen else ""),
    )


def _describe(digit: SavedDigit) -> str:
    writer = f" by {digit.writer}" if digit.writer else ""
    owner = access.describe_owner(digit.owner)
    return f"{digit.label}{writer}, saved {digit.saved:%d %B %Y}{f' by {owner}' if owner else ''}"


def _select(digits: Sequence[SavedDigit]) -> None:
    position = int(st.session_state[_GALLERY].picked)
    st.session_state[_SELECTED] = digits[position].key if position < len(digits) else None


def _show_files(digits: Sequence[SavedDigit]) -> None:
    with st.container(horizontal=True, gap="small"):
        if digits:
            st.download_button(
                "Save as a file",
                library.export_digits,
                "my-digits.json",
                "application/json",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )
        refusal = access.why_not_create()
        with st.popover(
            "Add from a file",
            type="tertiary",
            icon=":material/upload:",
            disabled=bool(refusal),
            help=refusal or None,
        ):
            file = st.file_uploader(
                "A file saved on this page", "json", key=_FILE, max_upload_size=MAX_MEGABYTES
            )
            if file is not None and st.session_state.get(_IMPORTED) != file.file_id:
                st.session_state[_IMPORTED] = file.file_id
                _import(file.getvalue())
            if result := st.session_state.get(_RESULT):
                st.caption(result)
        _show_clearing(digits, refusal)


def _show_clearing(digits: Sequence[SavedDigit], refusal: str) -> None:
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
            st.button("Delete them", type="primary", on_click=_run_action, args=(_clear_own,))


def _import(data: bytes) -> None:
    try:
        access.check_create()
        total, added = library.import_digits(data, owner=access.owner_name())
    except UserError as error:
        st.session_state[_RESULT] = f":red[{escape_markdown(str(error))}]"
        return
    st.session_state[_RESULT] = (
        f"New digits: {added} of {total}." if total else "The file has no digits."
    )
    st.rerun()  # to show the new digits


def _draw_accuracy(runs: Sequence[Run], digits: Sequence[SavedDigit]) -> None:
    """Draw the accuracy of networks on the saved digits."""
    from core.charts import draw as charts

    key = "".join(digit.key for digit in digits)
    rows, errors = [], []
    for run in runs:
        try:
            correct = _count_correct(run.name, checkpoints.weights_time(run), key, run, digits)
        except UserError as error:
            errors.append(str(error))
            continue
        low, high = wilson_interval(correct, len(digits))
        rows.append(
            {
                "run": run.name,
                "correct": correct,
                "total": len(digits),
                "accuracy": 100 * correct / len(digits),
                "low": low,
                "high": high,
            }
        )
    if rows:
        frame = pd.DataFrame(rows)
        lines = [
            f"{row['run']}: {row['correct']} of {row['total']} correct, {row['accuracy']:.1f} % "
            f"({row['low']:.1f} to {row['high']:.1f})"
            for row in rows
        ]
        draw_chart(
            charts.accuracy_interval_chart(frame),
            "accuracy",
            title="Accuracy",
            subtitle="with 95 % intervals",
            alt="; ".join(lines),
            filename="-".join(frame["run"])[:100] + "-own-digits",
            subject="Own digits",
            make_table=lambda: frame,
        )
        st.caption("  \n".join(escape_markdown(line.replace(" %", "\u00a0%")) for line in lines))
        if len(digits) < FEW:
            st.caption(
                "With few digits the intervals (Wilson) are wide. Where two intervals overlap "
                "much, there is no clear difference between the networks."
            )
    for message in errors:
        st.caption(escape_markdown(message))


@st.cache_data(max_entries=128, show_spinner=False)
def _count_correct(
    name: str, weights_time: int, key: str, _run: Run, _digits: Sequence[SavedDigit]
) -> int:
    images, labels = to_arrays(_digits)
    return int((predict_images(_run, images).argmax(axis=1) == labels).sum())
