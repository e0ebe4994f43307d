"""Train: set up a run, start it, and watch it."""

import streamlit as st

from core.runs import store
from core.runs.run import Run
from pages.ui.controls import set_recipe
from pages.ui.frame import KEPT, page
from pages.ui.train import actions as train_actions
from pages.ui.train import fork as train_fork
from pages.ui.train.run import show_run
from pages.ui.train.setup import draw_setup

NEW = "new run"


def turn() -> None:
    """Turn to the run, or to the set-up, that a button or the link has asked for."""
    if "turn_to" in st.session_state:
        st.session_state["run"] = st.session_state.pop("turn_to") or NEW
    if recipe := st.query_params.pop(
        "start", None
    ):  # a link that begins anew, whatever was set before
        st.session_state["run"] = NEW
        train_fork.drop_fork()
        set_recipe(recipe)
    elif train_fork.read_fork_link():
        st.session_state["run"] = NEW


page(
    "Train",
    "Choose, start, watch. A run goes on in a process of its own, whatever happens to this page.",
)
turn()
runs = {each.name: each for each in store.list_runs()}
gone = st.query_params.get("run", NEW)
if gone not in (NEW, *runs):
    st.warning(
        f"There is no run {gone[:60]!r} here: it was renamed or deleted, or lives on another machine.",
        icon=":material/search_off:",
    )
bar = st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small")
shown = bar.selectbox(
    "Show", [NEW, *runs], key="run", width=240, label_visibility="collapsed", **KEPT
)
if shown == NEW:
    draw_setup(bar)
else:
    st.query_params.pop(train_fork.FORK, None)
    show_run(
        runs[shown],
        bar,
        [name for name, run in runs.items() if isinstance(run, Run) and run.epochs],
    )
train_actions.show_messages()
