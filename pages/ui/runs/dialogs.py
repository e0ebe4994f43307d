"""Questions before something goes, and words about what was done; they outlive the run of the script that says them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.runs import trash

TICKED = "select"  # the box of selected runs, and its name in the link
_SAID, _ASKED, _NEXT = "runs_said", "runs_asked", "runs_next"
EMPTY = "empty the bin"


def say(text: str, wrong: bool = False) -> None:
    """Have something told at the next drawing of the page."""
    st.session_state.setdefault(_SAID, []).append(
        (text, ":material/error:" if wrong else ":material/check:")
    )


def turn_to(names: Sequence[str]) -> None:
    """Have these runs selected from the next drawing of the page on."""
    st.session_state[_NEXT] = list(names)


def begin() -> None:
    """First on the page: select what was turned to."""
    if _NEXT in st.session_state:
        st.session_state[TICKED] = st.session_state.pop(_NEXT)


def end() -> None:
    """Last on the page: tell what was done, and keep asking what was asked."""
    for text, icon in st.session_state.pop(_SAID, []):
        st.toast(text, icon=icon)
    asked = st.session_state.get(_ASKED)
    if asked == EMPTY:
        _empty()
    elif asked:
        _delete(asked)


def ask_delete(names: Sequence[str]) -> None:
    """Ask whether runs are to go into the bin."""
    st.session_state[_ASKED] = list(names)


def ask_empty() -> None:
    """Ask whether all in the bin is to be removed."""
    st.session_state[_ASKED] = EMPTY


# A question that the page stops asking is closed, and a run that trains draws the page anew now and then; so what is
# asked stands in the session until it is answered.
def _dismissed() -> None:
    st.session_state.pop(_ASKED, None)


@st.dialog("Put into the bin?", icon=":material/delete:", on_dismiss=_dismissed)
def _delete(names: Sequence[str]) -> None:
    what = (
        f"**{names[0]}** goes" if len(names) == 1 else f"{len(names)} runs go ({', '.join(names)})"
    )
    st.markdown(
        f"{what} to the bin with weights and table. The end of this page brings back what is in the bin."
    )
    if _answered("Delete"):
        for name in names:
            try:
                trash.delete(name)
            except UserError as error:
                say(str(error), wrong=True)
            else:
                say(f"{name} is in the bin.")
        kept = [name for name in st.session_state.get(TICKED, []) if name not in names]
        turn_to(kept)
        st.rerun()


@st.dialog("Empty the bin?", icon=":material/delete_forever:", on_dismiss=_dismissed)
def _empty() -> None:
    there = trash.list_trash()
    st.markdown(
        f"{'1 run' if len(there) == 1 else f'{len(there):,} runs'} and "
        f"{sum(item.bytes for item in there) / 1e6:,.1f} MB are removed for good."
    )
    if _answered("Remove for good"):
        try:
            trash.empty()
        except UserError as error:
            say(str(error), wrong=True)
        else:
            say("The bin is empty.")
        st.rerun()


def _answered(yes: str) -> bool:
    """Two buttons; tells whether it is a yes."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        kept = st.button("Keep", key="keep")
        agreed = st.button(yes, key="agree", type="primary")
    if kept or agreed:
        _dismissed()
    if kept:
        st.rerun()
    return agreed
