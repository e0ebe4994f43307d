"""Forking on the Train page: a set-up that starts from another run's weights, held by the session and the link."""

from __future__ import annotations

import streamlit as st

from core.config import FIELDS
from core.errors import UserError
from core.recipes import RECIPES
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import words
from pages.ui.controls import DEFAULT_RECIPE, set_controls

FORK = "fork"  # in the link, and in the session


def start_fork(name: str) -> None:
    """Let the next set-up start from a run's weights, with its settings in the controls.

    Raises:
        RunError: there is no such run, or it has no weights yet.
    """
    parent = _with_weights(name)
    # What the link says stands; the session may still hold the settings of something else.
    set_controls(parent.config, keep=[field for field in FIELDS if field in st.query_params])
    st.session_state[FORK] = name


def read_fork_link() -> bool:
    """Take up a fork that the link asks for; tells whether there is a new one."""
    asked = st.query_params.get(FORK)
    if asked is None or asked == st.session_state.get(FORK):
        return False
    try:
        start_fork(asked)
    except UserError as error:
        drop_fork()
        st.error(f"The link's run cannot be forked: {error}", icon=":material/error:")
        return False
    return True


def open_fork_parent() -> Run | None:
    """The run that the set-up starts from, kept in the link; None: random weights, as usual."""
    name = st.session_state.get(FORK)
    if name is None:
        st.query_params.pop(FORK, None)
        return None
    try:
        run = _with_weights(name)
    except UserError as error:
        drop_fork()
        st.error(f"{error} The new run would start from random weights.", icon=":material/error:")
        return None
    if _other_network(run):  # another page has handed one over since
        drop_fork()
        st.info(
            f"No longer a fork of {name}: its weights do not fit this network.",
            icon=":material/info:",
        )
        return None
    st.query_params[FORK] = name
    return run


def draw_fork_notice(run: Run) -> None:
    """Say what the new run starts from, with a way to drop it."""
    with st.container(
        border=True, horizontal=True, wrap=False, vertical_alignment="center", gap="small"
    ):
        st.markdown(
            f":material/fork_right: Starts from the weights of **{run.name}**  \n"
            f":gray[:small[after epoch {len(run.epochs)}, {words.format_accuracy(run)} in validation; the schedule "
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


def drop_fork() -> None:
    """Start from random weights again."""
    st.session_state[FORK] = None
    st.query_params.pop(FORK, None)


def _with_weights(name: str) -> Run:
    run = open_run(name)
    run.weights_path()  # refuses in a sentence where there are none
    return run


def _other_network(run: Run) -> bool:
    return st.session_state.get(
        "architecture", run.config.architecture
    ) != run.config.architecture or st.session_state.get("train_layers", []) != [
        dict(row) for row in run.config.layers
    ]


def _drop(run: Run) -> None:
    st.session_state["recipe"] = run.recipe if run.recipe in RECIPES else DEFAULT_RECIPE
    for field in FIELDS:  # said again, since the defaults of the controls are others from here on
        if field in st.session_state:
            st.session_state[field] = st.session_state[field]
    drop_fork()
