"""What a person does with the run they look at: stop, pause, go on, and behind "More" the rest."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.errors import UserError
from core.runs import control, status, trash
from core.runs.run import DamagedRun, Run
from pages.ui.train import fork as train_fork

MENU = "more_actions"
SET_UP = ""  # what the page is turned to that is no run


def draw_action_buttons(run: Run) -> None:
    """What can be done with a run in its state."""
    asked = status.read_request(run.folder) if run.is_live else None
    if run.is_live or run.state in ("queued", "paused"):
        _button(
            "Stop", "stop", control.stop, run, "Ends it within a second or two; it can go on later."
        )
    if run.is_live and asked not in ("pause", "pause-after-epoch"):
        _button("Pause", "pause", control.pause, run, "Frees its place until you let it go on.")
    elif run.is_live:
        _button("Go on", "play_arrow", control.resume, run, "Takes the pause back.")
    if run.can_resume:
        _button("Go on", "play_arrow", control.resume, run, "From exactly where it was left.")
    # Its state is kept, so that a click in it can close it.
    with (
        st.popover("More", icon=":material/more_horiz:", key=MENU, on_change="rerun"),
        st.container(key="menu", gap="xxsmall"),
    ):
        _rest(run)


def _rest(run: Run) -> None:
    goes = run.is_live or run.can_resume
    _button(
        "One epoch",
        "skip_next",
        control.step,
        run,
        "Does one epoch, or the rest of the one under way, and pauses."
        if goes
        else f"It is {run.state}: no epoch is left to do.",
        disabled=not goes,
        quiet=True,
    )
    _button(
        "Fork",
        "fork_right",
        _fork,
        run,
        "Sets up a new run that starts from these weights."
        if run.epochs
        else "It has no weights yet; they are saved at the end of each epoch.",
        disabled=not run.epochs,
        quiet=True,
    )
    if run.epochs:
        st.page_link(
            "pages/draw.py",
            label="Draw with it",
            icon=":material/draw:",
            query_params={"network": run.name},
        )
    draw_delete_button(run, quiet=True)


def draw_delete_button(run: Run | DamagedRun, quiet: bool = False) -> None:
    """The button that asks whether a run is to be deleted."""
    live = isinstance(run, Run) and run.is_live
    _button(
        "Delete",
        "delete",
        _ask_later,
        run,
        "It trains; stop it first." if live else "Asks first, and can be undone.",
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
    st.button(
        title,
        icon=f":material/{icon}:",
        help=help,
        key=f"act_{icon}",
        disabled=disabled,
        type="tertiary" if quiet else "secondary",
        on_click=_do,
        args=(act, run.name),
    )


def _do(act: Callable[[str], object], name: str) -> None:
    st.session_state[MENU] = False
    try:
        act(name)
    except UserError as error:
        st.session_state["told"] = (str(error), ":material/error:")
    st.session_state["whole_page"] = True


def _fork(name: str) -> None:
    train_fork.start_fork(name)
    st.session_state["turn_to"] = SET_UP


def _ask_later(name: str) -> None:
    st.session_state["ask_delete"] = name


def rerun_page_after_action() -> None:
    """In a fragment, first: what a button has done is for the whole page to show."""
    if st.session_state.pop("whole_page", False):
        st.rerun()


def show_messages() -> None:
    """Tell how what was asked for went, and ask what has to be asked."""
    st.session_state.pop("whole_page", None)
    if told := st.session_state.pop("told", None):
        st.toast(told[0], icon=told[1])
    if name := st.session_state.pop("ask_delete", None):
        _ask(name)


@st.dialog("Delete this run?", icon=":material/delete:")
def _ask(name: str) -> None:
    rerun_page_after_action()
    st.markdown(
        f"**{name}** goes to the bin with its weights and its table. "
        "On the Runs page you can bring it back, or empty the bin."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Keep it", key="keep", on_click=_do, args=(lambda name: None, name))
        st.button("Delete", type="primary", key="delete", on_click=_do, args=(_delete, name))


def _delete(name: str) -> None:
    trash.delete(name)
    st.session_state["turn_to"] = SET_UP
    st.session_state["told"] = (
        f"{name} is in the bin. The Runs page brings it back.",
        ":material/delete:",
    )
