"""Train: set up a run, start it, and watch it."""

import streamlit as st

from core.experiments import overview
from core.recipes import RECIPES
from core.runs import store
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.controls import NEW_RUN, RUN, set_recipe
from pages.ui.frame import page
from pages.ui.run_boxes import run_titles, select_run
from pages.ui.train import actions, fork
from pages.ui.train.run import show_run
from pages.ui.train.setup import draw_setup
from pages.ui.words import escape_markdown


def choose_run() -> bool:
    """Show the run, or the set-up of a new one, that a button or the link asks for.

    Returns:
        Whether a button did, such as the one that deleted the run that the link still names.
    """
    pressed = actions.NEXT in st.session_state
    if pressed:
        st.session_state[RUN] = st.session_state.pop(actions.NEXT)
    if recipe := st.query_params.pop("start", None):  # overrides what was set up before
        st.session_state[RUN] = NEW_RUN
        if recipe not in RECIPES:
            st.warning(
                f"There is no recipe {escape_markdown(repr(recipe[:60]))}; the link asks for it.",
                icon=":material/search_off:",
            )
        fork.leave_fork()
        set_recipe(recipe)
    elif fork.read_fork_link():
        st.session_state[RUN] = NEW_RUN
    return pressed


page("Train", "Choose settings, start, watch. A run continues when this page is closed.")
pressed = choose_run()
runs = {run.name: run for run in store.list_runs()}
name = st.query_params.get(RUN, NEW_RUN)
if name not in (NEW_RUN, *runs) and not pressed:
    st.warning(
        f"There is no run {escape_markdown(repr(name[:60]))} here. It may have been renamed or "
        "deleted, or it may be on another machine.",
        icon=":material/search_off:",
    )
# Of a sweep, only its best run is offered, and the one that is shown.
listed = overview.hide_trials(
    [run for run in runs.values() if isinstance(run, Run)], checkpoints.named_runs(RUN, "baseline")
)
offered = {run.name for run in listed} | {
    name for name, run in runs.items() if not isinstance(run, Run)
}
bar = st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small")
with bar:
    shown = select_run(
        "Show",
        [NEW_RUN, *(name for name in runs if name in offered)],
        RUN,
        run_titles(listed),
        NEW_RUN,
        width=240,
        label_visibility="collapsed",
    )
if shown == NEW_RUN:
    draw_setup(bar)
else:
    for key in (fork.FORK, fork.EPOCH):
        st.query_params.pop(key, None)
    others = [run for run in listed if run.epochs]
    show_run(runs[shown], bar, others)
actions.show_messages()
