"""Messages and confirmation dialogs of the Runs page, kept in the session across reruns."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.runs import trash
from core.runs.run import Run
from core.runs.store import list_runs
from pages.ui import access
from pages.ui.run_boxes import run_titles
from pages.ui.words import escape_markdown

SELECTED = "select"  # key of the selected runs, also their name in the link
_MESSAGES, _DIALOG, _NEXT = "runs_messages", "runs_dialog", "runs_next_selection"
_EMPTY_BIN = "empty the bin"


def add_message(text: str, error: bool = False) -> None:
    """Show a message at the end of this run of the script, or of the next one."""
    icon = ":material/error:" if error else ":material/check:"
    st.session_state.setdefault(_MESSAGES, []).append((text, icon))


def show_messages() -> None:
    """Show the messages that have been added."""
    for text, icon in st.session_state.pop(_MESSAGES, []):
        st.toast(escape_markdown(text), icon=icon)


def select_runs(names: Sequence[str]) -> None:
    """Select these runs at the next run of the script."""
    st.session_state[_NEXT] = list(names)


def apply_selection() -> None:
    """Apply what `select_runs` stored; call it before the widget of the selection is made."""
    if _NEXT in st.session_state:
        st.session_state[SELECTED] = st.session_state.pop(_NEXT)


def confirm_delete(names: Sequence[str]) -> None:
    """Ask whether to move runs to the bin.

    As a button's callback this runs before the script, so the dialog also opens where a cut
    connection ends the script early.
    """
    st.session_state[_DIALOG] = list(names)


def draw_delete_all(runs: Sequence[Run], kind: str) -> None:
    """Draw the button that asks whether to delete all of these runs.

    Args:
        runs: of one group or sweep.
        kind: what they are, "group" or "sweep".
    """
    live = any(run.is_live for run in runs)
    refusal = access.why_not_change(*(run.owner for run in runs))
    if live:
        help = refusal or f"A run of the {kind} is training; stop it first."
    else:
        help = refusal or f"Deletes all runs of the {kind}. Asks first, and can be undone."
    st.button(
        "Delete",
        icon=":material/delete:",
        key=f"runs_delete_{kind}",
        type="tertiary",
        disabled=live or bool(refusal),
        help=help,
        on_click=confirm_delete,
        args=([run.name for run in runs],),
    )


def confirm_empty_bin() -> None:
    """Ask whether to remove everything in the bin for good."""
    st.session_state[_DIALOG] = _EMPTY_BIN


def show_dialog() -> None:
    """Show the open dialog, if any.

    Streamlit closes a dialog that a rerun does not open again, and a live run reruns the page now
    and then, so the open dialog is kept in the session until it is answered.
    """
    opened = st.session_state.get(_DIALOG)
    if opened == _EMPTY_BIN:
        _empty_bin_dialog()
    elif opened:
        _delete_dialog(opened)


def _close() -> None:
    st.session_state.pop(_DIALOG, None)


@st.dialog("Move to the bin?", icon=":material/delete:", on_dismiss=_close)
def _delete_dialog(names: Sequence[str]) -> None:
    titles = run_titles(run for run in list_runs() if isinstance(run, Run))
    listed = ", ".join(escape_markdown(titles.get(name, name)) for name in names)
    what = f"**{listed}** moves" if len(names) == 1 else f"{len(names)} runs move ({listed})"
    st.markdown(f"{what} to the bin. The bin at the end of this page can restore it.")
    if _confirm("Delete"):
        deleted = []
        for name in names:
            try:
                access.check_change_runs([name])
                trash.delete(name)
            except UserError as error:
                add_message(str(error), error=True)
            else:
                deleted.append(name)
        if deleted:
            what = (
                f"{titles.get(deleted[0], deleted[0])} is"
                if len(deleted) == 1
                else f"{len(deleted)} runs are"
            )
            add_message(f"{what} in the bin.")
        select_runs([name for name in st.session_state.get(SELECTED, []) if name not in names])
        st.rerun()


@st.dialog("Empty the bin?", icon=":material/delete_forever:", on_dismiss=_close)
def _empty_bin_dialog() -> None:
    items = trash.list_trash()
    megabytes = sum(item.bytes for item in items) / 1e6
    st.markdown(
        f"{'1 run' if len(items) == 1 else f'{len(items):,} runs'} ({megabytes:,.1f} MB) will be "
        "removed for good."
    )
    if _confirm("Remove for good"):
        try:
            access.check_manage()
            trash.empty()
        except UserError as error:
            add_message(str(error), error=True)
        else:
            add_message("The bin is empty.")
        st.rerun()


def _confirm(action: str) -> bool:
    """Show two buttons, both of which close the dialog; return whether it was confirmed."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        cancelled = st.button("Cancel", key="runs_cancel")
        confirmed = st.button(action, key="runs_confirm", type="primary")
    if cancelled or confirmed:
        _close()
    if cancelled:
        st.rerun()
    return confirmed
