"""The Weights page: every number of a network, and how it came about."""

import streamlit as st

from core.errors import UserError
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.components.rewind import choose_epoch
from pages.ui.frame import page, warn_unknown
from pages.ui.run_boxes import VIEWED, run_titles, select_run
from pages.ui.weights.kernels import show_kernels
from pages.ui.weights.printing import draw_print_menu
from pages.ui.weights.step_sizes import show_step_sizes
from pages.ui.words import escape_markdown


@st.fragment
def show_run(name: str) -> None:
    """Show the weights of a run; a step of the slider reruns only this fragment."""
    run = runs[name]
    epoch = choose_epoch(run, "weights_rewind")
    controls = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
    try:
        show_kernels(run, epoch, "weights_kernels", controls, run.is_live)
        with controls:
            st.space("stretch")
            _draw_fork_link(run, epoch)
            draw_print_menu(run, epoch)
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    show_step_sizes(run, "weights")


def _draw_fork_link(run: Run, epoch: int | None) -> None:
    """Draw a link to Train, to start a run from the weights shown; no link at epoch 0."""
    if epoch == 0:
        return
    link = {"fork": run.name} if epoch is None else {"fork": run.name, "fork_epoch": str(epoch)}
    st.page_link(
        "pages/train.py",
        label="Train on from here",
        icon=":material/fork_right:",
        query_params=link,
    )


page(
    "Weights",
    "Every number that a network has learnt, how often its channels fire, and how its weights "
    "formed.",
)
runs = {run.name: run for run in checkpoints.listed_runs(VIEWED, "run")}
warn_unknown("run", runs, "trained run")
if not runs:
    st.markdown("No run has been trained yet.")
    checkpoints.draw_first_run_link()
    st.stop()
names, titles = list(runs), run_titles(runs.values())
with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
    chosen = select_run(
        "Run",
        names,
        VIEWED,
        titles,
        "final",
        link="run",
        width=220,
        label_visibility="collapsed",
    )
show_run(chosen)
