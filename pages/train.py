"""Train: set up a run, start it, and watch it."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.config import RunConfig
from core.errors import UserError
from core.models.architectures import rows_of
from core.models.summary import summarise
from core.runs import queue, store
from core.runs.run import Run
from core.training.schedules import steps_per_epoch
from pages.ui import tables
from pages.ui.controls import config_controls, keep_own, take
from pages.ui.frame import KEPT, page
from pages.ui.live import watch

NEW = "new run"


def start(recipe: str, config: RunConfig, name: str) -> None:
    """Make the run that the controls describe, put it into the queue, and turn to it."""
    try:
        run = store.create(config, name.strip() or store.free_name(f"my-{recipe}"), recipe=recipe)
        queue.submit(run.name)
    except UserError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.session_state["started"] = run.name
        st.rerun()


def set_up(bar: DeltaGenerator) -> None:
    keep_own()
    left, right = st.columns([2, 3], gap="large")
    with left:
        try:
            recipe, config = config_controls()
        except UserError as error:
            st.error(str(error))
            return
    with bar:
        st.space("stretch")
        name = st.text_input("Name", placeholder=store.free_name(f"my-{recipe}"), key="name", max_chars=60, width=220,
                             label_visibility="collapsed")
        pressed = st.button("Start", type="primary", icon=":material/play_arrow:")
    with right:
        if pressed:
            start(recipe, config, name)
        preview(config)


def preview(config: RunConfig) -> None:
    """What the settings come to: network, steps and learning rates."""
    summary = summarise(rows_of(config))
    steps = steps_per_epoch(60_000 - config.holdout, config.batch_size)
    figures = {"Parameters": f"{summary.total_params:,}", "Steps per epoch": f"{steps:,}",
               "Multiply-adds per image": f"{summary.multiply_adds / 1e6:.2f} M"}
    tables.figures(figures)
    room = f"{summary.left:,} left of" if summary.left >= 0 else f"{-summary.left:,} more than"
    st.caption(f"{room} the {summary.budget:,} parameters of the goal")
    st.markdown("##### Learning rate :gray[:small[as the run will go through it]]")
    st.altair_chart(charts.rate(charts.plan(config, steps), config.epochs), key="schedule",
                    alt=f"The {config.schedule} schedule over {config.epochs} epochs.")
    st.markdown("##### Network :gray[:small[from the image down to ten scores]]")
    tables.summary_table(summary)


page("Train", "Choose, start, watch. A run goes on in a process of its own, whatever happens to this page.")
names = [run.name for run in store.list_runs() if isinstance(run, Run)]
if "started" in st.session_state:
    st.session_state["run"] = st.session_state.pop("started")
if recipe := st.query_params.pop("start", None):  # a link that begins anew, whatever was set before
    st.session_state["run"] = NEW
    take(recipe)
bar = st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small")
shown = bar.selectbox("Show", [NEW, *names], key="run", width=240, label_visibility="collapsed", **KEPT)
if shown == NEW:
    set_up(bar)
else:
    watch(shown, bar)
