"""Adding pictures to a set of own digits: upload, preview in MNIST's form, and discarding."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from core.errors import UserError
from core.library import digits as library
from core.library.digit_pictures import ENDINGS, Candidate, Skipped, read_files
from core.limits import Limits
from core.runs.digit_file import SavedDigit
from core.wording import plural
from pages.ui import access
from pages.ui.components.gallery import draw_gallery
from pages.ui.frame import heading
from pages.ui.words import escape_markdown

MAX_SHOWN = 300  # digits of a preview
MAX_SECONDS = 30.0  # that reading takes before the remaining pictures are skipped
MAX_SKIPPED_SHOWN = 20
# Session keys: what was read, the result of the last import or its error, how many uploads there
# were, and the gallery.
_PREVIEW, _RESULT, _ERROR = "draw_own_preview", "draw_own_result", "draw_own_error"
_COUNT, _GALLERY = "draw_own_uploads", "draw_own_candidates"


@dataclass
class _Preview:
    """Digits that were read and are not added yet."""

    digits: list[Candidate]
    skipped: list[Skipped]
    discarded: list[tuple[int, Candidate]] = field(default_factory=list)
    """The latest last, each with its former position."""


def draw_upload() -> None:
    """Draw the menu that reads pictures and zip files."""
    refusal = access.why_not_create()
    with st.popover(
        "Add pictures",
        type="tertiary",
        icon=":material/upload:",
        disabled=bool(refusal),
        help=refusal or None,
    ):
        # A new key empties the uploader after each upload.
        key = f"draw_own_file_{st.session_state.setdefault(_COUNT, 0)}"
        st.file_uploader(
            "Pictures of one digit each, or a zip file of them",
            [*(ending[1:] for ending in ENDINGS), "zip", "json"],
            accept_multiple_files=True,
            max_upload_size=Limits.from_environment().max_upload_mb,
            key=key,
            on_change=_read,
            args=(key,),
            help="The label is the folder that a picture is in, 0 to 9, or the digit that its name "
            "begins with, such as 7-anna.png. You see all digits before they are added.",
        )


def show_preview(name: str) -> None:
    """Show the digits that were read and are not added yet, and the result of the last import.

    Args:
        name: of the set that they are added to.
    """
    session = st.session_state
    if error := session.get(_ERROR):
        st.error(escape_markdown(error), icon=":material/error:")
    if result := session.get(_RESULT):
        st.markdown(f":material/check: {escape_markdown(result)}")
    preview: _Preview | None = session.get(_PREVIEW)
    if preview is None:
        return
    with st.container(border=True, key="draw_own_preview_box"):
        count = len(preview.digits)
        heading("Preview", f"{plural(count, 'digit')} in MNIST's form")
        if count:
            st.caption("Click a digit that was cropped wrongly to discard it.")
            shown = preview.digits[:MAX_SHOWN]
            draw_gallery(
                np.stack([digit.image for digit in shown]),
                "Digits to add; a click discards one",
                _GALLERY,
                labels=[label_digit(digit) for digit in shown],
                alts=[f"{digit.label} from {digit.source}" for digit in shown],
                on_pick=_discard,
            )
            if count > MAX_SHOWN:
                st.caption(f"The first {MAX_SHOWN} of {count:,}.")
        _show_skipped(preview.skipped)
        _show_buttons(preview, name)


def label_digit(digit: Candidate | SavedDigit) -> str:
    """Return what a gallery writes below a digit: its label, and whose handwriting it is."""
    return f"{digit.label} {digit.writer}" if digit.writer else str(digit.label)


def _show_skipped(skipped: list[Skipped]) -> None:
    if not skipped:
        return
    with st.expander(f"{plural(len(skipped), 'file')} skipped", icon=":material/info:"):
        lines = [f"{item.source[-80:]}: {item.reason}" for item in skipped[:MAX_SKIPPED_SHOWN]]
        if len(skipped) > MAX_SKIPPED_SHOWN:
            lines.append(f"and {len(skipped) - MAX_SKIPPED_SHOWN:,} more")
        st.caption("  \n".join(map(escape_markdown, lines)))


def _show_buttons(preview: _Preview, name: str) -> None:
    with st.container(horizontal=True, gap="small"):
        refusal = access.why_not_create()
        st.button(
            f"Add {plural(len(preview.digits), 'digit')} to {escape_markdown(name)}",
            key="draw_own_add",
            type="primary",
            disabled=bool(refusal) or not preview.digits,
            help=refusal or None,
            on_click=_add,
            args=(name,),
        )
        st.button("Cancel", key="draw_own_cancel", type="tertiary", on_click=_cancel)
        if preview.discarded:
            st.button(
                f"Undo, {len(preview.discarded)} discarded",
                key="draw_own_undo",
                icon=":material/undo:",
                type="tertiary",
                on_click=_undo,
            )


def _read(key: str) -> None:
    session = st.session_state
    files = session[key]
    if not files:
        return
    session[_RESULT] = session[_ERROR] = ""
    session[_COUNT] += 1
    try:
        access.check_create()
        reading = read_files([(file.name, file.getvalue()) for file in files], MAX_SECONDS)
    except UserError as error:
        session[_ERROR] = f"Nothing was read: {error}"
        return
    session[_PREVIEW] = _Preview(reading.digits, reading.skipped)


def _discard() -> None:
    preview: _Preview = st.session_state[_PREVIEW]
    position = int(st.session_state[_GALLERY].picked)
    if position < len(preview.digits):
        preview.discarded.append((position, preview.digits.pop(position)))


def _undo() -> None:
    preview: _Preview = st.session_state[_PREVIEW]
    if preview.discarded:
        preview.digits.insert(*preview.discarded.pop())


def _cancel() -> None:
    st.session_state.pop(_PREVIEW, None)
    st.session_state[_ERROR] = ""


def _add(name: str) -> None:
    session = st.session_state
    preview: _Preview = session[_PREVIEW]
    try:
        access.check_create()
        owner = access.owner_name()
        digits = [
            library.make_digit(digit.image, digit.label, owner=owner, writer=digit.writer)
            for digit in preview.digits
        ]
        added = library.add_digits(digits, name=name)
    except UserError as error:
        session[_ERROR] = f"Nothing was added: {error}"
        return
    session.pop(_PREVIEW)
    session[_ERROR] = ""
    session[_RESULT] = f"New digits: {added} of {len(digits)}."
