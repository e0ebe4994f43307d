"""Forking on Train: a new run that starts from the weights of another run."""

from __future__ import annotations

import streamlit as st

from core.config import FIELDS
from core.errors import UserError
from core.recipes import RECIPES
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import access, words
from pages.ui.controls import CUSTOM_ROWS, DEFAULT_RECIPE, set_controls
from pages.ui.words import escape_markdown

FORK = "fork"  # in the link and in the session


def start_fork(name: str) -> None:
    """Set up the next run as a fork of another: set the controls to the other run's settings.

    Raises:
        AccessError: whoever uses this session may not fork it.
        RunError: there is no such run, or it has no weights yet.
    """
    access.check_change_runs([name])
    parent = _open_with_weights(name)
    # Settings in the link stay; settings of the session may belong to something else.
    set_controls(parent.config, keep=[field for field in FIELDS if field in st.query_params])
    st.session_state[FORK] = name


def read_fork_link() -> bool:
    """Start the fork that the link asks for. Returns whether there was a new one."""
    name = st.query_params.get(FORK)
    if name is None or name == st.session_state.get(FORK):
        return False
    try:
        start_fork(name)
    except UserError as error:
        drop_fork()
        st.error(
            f"The run in the link cannot be forked: {escape_markdown(str(error))}",
            icon=":material/error:",
        )
        return False
    return True


def open_fork_parent() -> Run | None:
    """The run whose weights the new run starts from; None: it starts from random weights."""
    name = st.session_state.get(FORK)
    if name is None:
        st.query_params.pop(FORK, None)
        return None
    try:
        run = _open_with_weights(name)
    except UserError as error:
        drop_fork()
        st.error(
            f"{escape_markdown(str(error))} The new run would start from random weights.",
            icon=":material/error:",
        )
        return None
    if _has_other_network(run):  # another page has chosen a network in the meantime
        drop_fork()
        st.info(
            f"No longer a fork of {escape_markdown(name)}: the weights do not fit the network.",
            icon=":material/info:",
        )
        return None
    st.query_params[FORK] = name
    return run


def draw_fork_notice(run: Run) -> None:
    """Draw a notice that names the parent of the fork, with a button that drops the fork."""
    with st.container(
        border=True, horizontal=True, wrap=False, vertical_alignment="center", gap="small"
    ):
        st.markdown(
            f":material/fork_right: Starts from the weights of **{escape_markdown(run.name)}**  \n"
            f":gray[:small[after epoch {len(run.epochs)}, {words.describe_accuracy(run)}; the "
            "schedule starts from the beginning]]",
            width="stretch",
        )
        st.button(
            "Drop",
            key="train_drop_fork",
            icon=":material/close:",
            type="tertiary",
            on_click=_drop_and_keep_settings,
            args=(run,),
            help="Start from random weights instead, with the same settings.",
        )


def leave_fork() -> None:
    """Drop a fork together with the network and augmentation that came with it."""
    if st.session_state.get(FORK):
        for key, _ in CUSTOM_ROWS.values():
            st.session_state[key] = []
    drop_fork()


def drop_fork() -> None:
    """Start the new run from random weights again."""
    st.session_state[FORK] = None
    st.query_params.pop(FORK, None)


def _open_with_weights(name: str) -> Run:
    run = open_run(name)
    run.weights_path()  # raises an error if there are none
    return run


def _has_other_network(run: Run) -> bool:
    key, _ = CUSTOM_ROWS["architecture"]
    name = st.session_state.get("architecture", run.config.architecture)
    rows = st.session_state.get(key, [])
    return name != run.config.architecture or rows != [dict(row) for row in run.config.layers]


def _drop_and_keep_settings(run: Run) -> None:
    st.session_state["recipe"] = run.recipe if run.recipe in RECIPES else DEFAULT_RECIPE
    for field in FIELDS:  # set again, because the controls' defaults are others from here on
        if field in st.session_state:
            st.session_state[field] = st.session_state[field]
    drop_fork()
