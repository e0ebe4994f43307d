"""Forking on Train: a new run that starts from the weights of another run."""

from __future__ import annotations

import streamlit as st

from core.config import FIELDS
from core.errors import UserError
from core.insight.learning import describe_epoch
from core.recipes import RECIPES
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import access, words
from pages.ui.controls import CUSTOM_ROWS, DEFAULT_RECIPE, set_controls
from pages.ui.words import escape_markdown

# In the link and in the session: the parent, and the epoch whose weights it gives; None: the last.
FORK, EPOCH = "fork", "fork_epoch"


def start_fork(name: str, epoch: int | None = None) -> None:
    """Set up the next run as a fork of another: set the controls to the other run's settings.

    Args:
        name: of the other run.
        epoch: whose weights it starts from; None: the last.

    Raises:
        AccessError: whoever uses this session may not fork it.
        RunError: there is no such run, or it has no weights yet.
    """
    access.check_change_runs([name])
    parent = _open_with_weights(name, epoch)
    # Settings in the link stay; settings of the session may belong to something else.
    set_controls(parent.config, keep=[field for field in FIELDS if field in st.query_params])
    st.session_state[FORK], st.session_state[EPOCH] = name, epoch


def read_fork_link() -> bool:
    """Start the fork that the link asks for. Returns whether there was a new one."""
    name, text = st.query_params.get(FORK), st.query_params.get(EPOCH, "")
    epoch = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
    if name is None or (name, epoch) == (st.session_state.get(FORK), chosen_epoch()):
        return False
    try:
        start_fork(name, epoch)
    except UserError as error:
        drop_fork()
        st.error(
            f"The run in the link cannot be forked: {escape_markdown(str(error))}",
            icon=":material/error:",
        )
        return False
    return True


def chosen_epoch() -> int | None:
    """The epoch of the parent whose weights the new run starts from; None: the last."""
    epoch: int | None = st.session_state.get(EPOCH)
    return epoch


def open_fork_parent() -> Run | None:
    """The run whose weights the new run starts from; None: it starts from random weights."""
    name = st.session_state.get(FORK)
    if name is None:
        st.query_params.pop(FORK, None)
        return None
    try:
        run = _open_with_weights(name, chosen_epoch())
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
    if (epoch := chosen_epoch()) is not None:
        st.query_params[EPOCH] = str(epoch)
    return run


def draw_fork_notice(run: Run) -> None:
    """Draw a notice that names the parent of the fork, with a button that drops the fork."""
    with st.container(
        border=True, horizontal=True, wrap=False, vertical_alignment="center", gap="small"
    ):
        st.markdown(
            f":material/fork_right: Starts from the weights of **{escape_markdown(run.label)}**  \n"
            f":gray[:small[{_describe_weights(run)}; the schedule starts from the beginning]]",
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
    st.session_state[FORK] = st.session_state[EPOCH] = None
    for key in (FORK, EPOCH):
        st.query_params.pop(key, None)


def _open_with_weights(name: str, epoch: int | None) -> Run:
    run = open_run(name)
    run.weights_path("last" if epoch is None else epoch)  # raises an error if there are none
    return run


def _describe_weights(run: Run) -> str:
    epoch = chosen_epoch()
    if epoch is not None:
        return describe_epoch(epoch)
    return f"{describe_epoch(len(run.epochs))}, {words.describe_accuracy(run)}"


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
