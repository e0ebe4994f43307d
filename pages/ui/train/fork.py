"""Forking on the Train page: a set-up that starts from another run's weights, held by the session and the link."""

from __future__ import annotations

import streamlit as st

from core.config import FIELDS
from core.errors import UserError
from core.recipes import RECIPES
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import words
from pages.ui.controls import START_RECIPE, take_config

NAME = "fork"  # in the link, and in the session


def begin(name: str) -> None:
    """Let the next set-up start from a run's weights, with its settings in the controls.

    Raises:
        RunError: there is no such run, or it has no weights yet.
    """
    parent = _with_weights(name)
    # What the link says stands; the session may still hold the settings of something else.
    take_config(parent.config, but=[field for field in FIELDS if field in st.query_params])
    st.session_state[NAME] = name


def arrived() -> bool:
    """Take up a fork that the link asks for; tells whether there is a new one."""
    asked = st.query_params.get(NAME)
    if asked is None or asked == st.session_state.get(NAME):
        return False
    try:
        begin(asked)
    except UserError as error:
        forget()
        st.error(f"The link's run cannot be forked: {error}", icon=":material/error:")
        return False
    return True


def parent() -> Run | None:
    """The run that the set-up starts from, kept in the link; None: random weights, as usual."""
    name = st.session_state.get(NAME)
    if name is None:
        st.query_params.pop(NAME, None)
        return None
    try:
        run = _with_weights(name)
    except UserError as error:
        forget()
        st.error(f"{error} The new run would start from random weights.", icon=":material/error:")
        return None
    if _other_network(run):  # another page has handed one over since
        forget()
        st.info(
            f"No longer a fork of {name}: its weights do not fit this network.",
            icon=":material/info:",
        )
        return None
    st.query_params[NAME] = name
    return run


def said(run: Run) -> None:
    """Say what the new run starts from, with a way to drop it."""
    with st.container(
        border=True, horizontal=True, wrap=False, vertical_alignment="center", gap="small"
    ):
        st.markdown(
            f":material/fork_right: Starts from the weights of **{run.name}**  \n"
            f":gray[:small[after epoch {len(run.epochs)}, {words.accuracy(run)} in validation; the schedule "
            "begins anew]]",
            width="stretch",
        )
        st.button(
            "Drop",
            key="drop_fork",
            icon=":material/close:",
            type="tertiary",
            on_click=_drop,
            args=(run,),
            help="Start from random weights instead; the settings stay.",
        )


def forget() -> None:
    """Start from random weights again."""
    st.session_state[NAME] = None
    st.query_params.pop(NAME, None)


def _with_weights(name: str) -> Run:
    run = open_run(name)
    run.weights_path()  # refuses in a sentence where there are none
    return run


def _other_network(run: Run) -> bool:
    return st.session_state.get(
        "architecture", run.config.architecture
    ) != run.config.architecture or st.session_state.get("own_layers", []) != [
        dict(row) for row in run.config.layers
    ]


def _drop(run: Run) -> None:
    st.session_state["recipe"] = run.recipe if run.recipe in RECIPES else START_RECIPE
    for field in FIELDS:  # said again, since the defaults of the controls are others from here on
        if field in st.session_state:
            st.session_state[field] = st.session_state[field]
    forget()
