"""What can be done with the run shown on Train: stop, pause, resume, and the rest behind "More"."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.errors import UserError
from core.runs import control, status, trash
from core.runs.run import DamagedRun, Run
from pages.ui import access
from pages.ui.controls import NEW_RUN
from pages.ui.train import fork
from pages.ui.words import escape_markdown

NEXT = "train_next"  # what the page shows next: the name of a run, or NEW_RUN
_MENU, _MESSAGE, _CONFIRM = "train_menu", "train_message", "train_confirm"
_RERUN = "train_rerun"


def draw_action_buttons(run: Run) -> None:
    """Draw the buttons for what can be done with a run in its state."""
    request = status.read_request(run.folder) if run.is_live else None
    if run.is_live or run.state in ("queued", "paused"):
        _button(
            "Stop", "stop", control.stop, run, "Stops within two seconds. It can be resumed later."
        )
    if run.is_live and request not in ("pause", "pause-after-epoch"):
        _button("Pause", "pause", control.pause, run, "Lets the next run in the queue start.")
    elif run.is_live:
        _button("Resume", "play_arrow", control.resume, run, "Cancels the pause.")
    if run.can_resume:
        _button("Resume", "play_arrow", control.resume, run, "Continues exactly where it stopped.")
    # The popover's state is kept, so that a click inside can close it.
    with (
        st.popover("More", icon=":material/more_horiz:", key=_MENU, on_change="rerun"),
        st.container(key="menu", gap="xxsmall"),
    ):
        _draw_menu(run)


def _draw_menu(run: Run) -> None:
    can_train = run.is_live or run.can_resume
    _button(
        "One epoch",
        "skip_next",
        control.step,
        run,
        "Finishes the current epoch, or trains the next one, then pauses."
        if can_train
        else f"The run is {run.state}: it has no epochs left.",
        disabled=not can_train,
        quiet=True,
    )
    _button(
        "Fork",
        "fork_right",
        _fork,
        run,
        "Sets up a new run that starts from these weights."
        if run.epochs
        else "There are no weights yet: they are saved at the end of each epoch.",
        disabled=not run.epochs,
        quiet=True,
    )
    if run.epochs:
        st.page_link(
            "pages/draw.py",
            label="Draw a digit",
            icon=":material/draw:",
            query_params={"network": run.name},
        )
    draw_delete_button(run, quiet=True)


def draw_delete_button(run: Run | DamagedRun, quiet: bool = False) -> None:
    """Draw the button that asks for confirmation before a run is deleted."""
    live = isinstance(run, Run) and run.is_live
    _button(
        "Delete",
        "delete",
        _ask_for_confirmation,
        run,
        "Stop the run first." if live else "Asks for confirmation and can be undone.",
        disabled=live,
        quiet=quiet,
    )


def _button(
    title: str,
    icon: str,
    act: Callable[[str], object],
    run: Run | DamagedRun,
    help: str,
    *,
    disabled: bool = False,
    quiet: bool = False,
) -> None:
    refusal = access.why_not_change(run.owner)
    st.button(
        title,
        icon=f":material/{icon}:",
        help=refusal or help,
        key=f"train_{icon}",
        disabled=disabled or bool(refusal),
        type="tertiary" if quiet else "secondary",
        on_click=_do,
        args=(act, run.name),
    )


def _do(act: Callable[[str], object], name: str) -> None:
    st.session_state[_MENU] = False
    try:
        access.check_change_runs([name])
        act(name)
    except UserError as error:
        st.session_state[_MESSAGE] = (str(error), ":material/error:")
    st.session_state[_RERUN] = True


def _rerun_page() -> None:
    st.session_state[_RERUN] = True


def _fork(name: str) -> None:
    fork.start_fork(name)
    st.session_state[NEXT] = NEW_RUN


def _ask_for_confirmation(name: str) -> None:
    st.session_state[_CONFIRM] = name


def rerun_page_after_action() -> None:
    """Rerun the whole page if a button in this fragment changed something. Call it first."""
    if st.session_state.pop(_RERUN, False):
        st.rerun()


def show_messages() -> None:
    """Show the result of the last action, and the dialog that it asks for."""
    st.session_state.pop(_RERUN, None)
    if message := st.session_state.pop(_MESSAGE, None):
        st.toast(escape_markdown(message[0]), icon=message[1])
    if name := st.session_state.pop(_CONFIRM, None):
        _confirm_delete(name)


@st.dialog("Move to the bin?", icon=":material/delete:")
def _confirm_delete(name: str) -> None:
    rerun_page_after_action()
    st.markdown(f"**{escape_markdown(name)}** moves to the bin. The Runs page can restore it.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key="train_cancel", on_click=_rerun_page)
        st.button(
            "Delete", type="primary", key="train_delete_now", on_click=_do, args=(_delete, name)
        )


def _delete(name: str) -> None:
    access.check_change_runs([name])
    trash.delete(name)
    st.session_state[NEXT] = NEW_RUN
    st.session_state[_MESSAGE] = (
        f"{name} is in the bin.",
        ":material/delete:",
    )
