"""Setting up a run: the controls, what they come to, and the start."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.charts import training as charts
from core.config import RunConfig
from core.errors import UserError
from core.models.architectures import rows_of
from core.models.summary import summarise
from core.recipes import RECIPES
from core.runs import control, creation, run_names, run_queue
from core.runs.run import Run
from core.training.schedules import steps_per_epoch
from pages.ui import tables
from pages.ui.components.chart import draw_chart
from pages.ui.controls import draw_config_controls, draw_recipe_control, sync_rows_with_link
from pages.ui.terms import explain
from pages.ui.train import fork as train_fork
from pages.ui.train.figures import Figure, draw_figures


def draw_setup(bar: DeltaGenerator) -> None:
    """The controls at the left, what they come to at the right, name and start above.

    Args:
        bar: where name and start go.
    """
    parent = train_fork.open_fork_parent()
    sync_rows_with_link(locked=parent is not None)
    left, right = st.columns([2, 3], gap="large")
    with left:
        try:
            if parent is None:
                recipe = draw_recipe_control()
                config = draw_config_controls(RECIPES[recipe].config)
            else:
                train_fork.draw_fork_notice(parent)
                config = draw_config_controls(parent.config, parent.name)
        except UserError as error:
            st.error(str(error))
            return
    wanted = run_names.find_free_name(f"{parent.name}-fork" if parent else f"my-{recipe}")
    with bar:
        st.space("stretch")
        name = st.text_input(
            "Name",
            placeholder=wanted,
            key="name",
            max_chars=60,
            width=220,
            label_visibility="collapsed",
        )
        pressed = st.button("Start", type="primary", icon=":material/play_arrow:")
    with right:
        if pressed:
            _start(config, name.strip() or wanted, parent, None if parent else recipe)
        _preview(config)


def _start(config: RunConfig, name: str, parent: Run | None, recipe: str | None) -> None:
    """Make the run that the controls describe, put it into the queue, and turn to it."""
    try:
        run = (
            creation.create_run(config, name, recipe=recipe)
            if parent is None
            else control.fork(parent.name, name, config.to_dict())
        )
        run_queue.submit(run.name)
    except UserError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.session_state["turn_to"] = run.name
        st.rerun()


def _preview(config: RunConfig) -> None:
    """What the settings come to: network, steps and learning rates."""
    summary = summarise(rows_of(config))
    steps = steps_per_epoch(config.training_images, config.batch_size)
    with st.container(horizontal=True, gap="small"):
        draw_figures(
            [
                Figure("Parameters", f"{summary.total_params:,}", explain("parameters")),
                Figure("Steps per epoch", f"{steps:,}", explain("step")),
                Figure(
                    "Multiply-adds",
                    f"{summary.multiply_adds / 1e6:.2f} M",
                    explain("multiply_adds"),
                ),
            ]
        )
    room = f"{summary.left:,} left of" if summary.left >= 0 else f"{-summary.left:,} more than"
    st.caption(f"{room} the {summary.budget:,} parameters of the goal")
    plan = charts.plan(config, steps)
    draw_chart(
        charts.rate(plan, config.epochs),
        "schedule",
        title="Learning rate",
        subtitle="as the run will go through it",
        help=explain("schedule"),
        alt=f"The {config.schedule} schedule over {config.epochs} epochs.",
        filename=f"{config.schedule}-{config.epochs}-epochs",
        make_table=lambda: plan,
    )
    st.markdown(
        "##### Network :gray[:small[from the image down to ten scores]]",
        help=explain("architecture"),
    )
    tables.draw_summary_table(summary)
