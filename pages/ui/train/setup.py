"""Setting up a new run: its settings, a preview of the network and the schedule, and the start."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.charts import training as charts
from core.config import RunConfig
from core.errors import RunError, UserError
from core.experiments import time_estimate
from core.models.architectures import rows_of
from core.models.summary import summarise
from core.recipes import RECIPES
from core.runs import control, creation, run_names, run_queue
from core.runs.run import Run
from core.runs.store import list_runs
from core.training.schedules import steps_per_epoch
from pages.ui import access, checkpoints, tables
from pages.ui.components.chart import draw_chart
from pages.ui.controls import draw_config_controls, sync_rows_with_link
from pages.ui.terms import explain
from pages.ui.train import fork, lesson
from pages.ui.train.actions import NEXT
from pages.ui.train.figures import Figure, draw_figures
from pages.ui.train.lesson import Lesson
from pages.ui.train.link import warn_impossible_settings
from pages.ui.train.recipes import draw_recipe_control
from pages.ui.words import escape_markdown, format_duration, plural


def draw_setup(bar: DeltaGenerator) -> None:
    """Draw the controls, with a preview beside them, and start the run that they describe.

    Args:
        bar: container for the name and the start button.
    """
    parent = fork.open_fork_parent()
    plan = lesson.open_lesson()
    sync_rows_with_link(locked=parent is not None)
    left, right = st.columns([2, 3], gap="large")
    with left:
        lesson.draw_lesson(plan)
        try:
            if parent is None:
                recipe = plan.recipe or draw_recipe_control()
                base = plan.fix(RECIPES[recipe].config)
                warn_impossible_settings(base)
                config = draw_config_controls(base, only=plan.controls)
            else:
                fork.draw_fork_notice(parent)
                base = plan.fix(parent.config)
                config = draw_config_controls(base, parent.name, only=plan.controls)
        except UserError as error:
            st.error(escape_markdown(str(error)))
            return
    wanted = plan.prefix or (f"{parent.name}-fork" if parent else f"my-{recipe}")
    with bar:
        st.space("stretch")
        name = st.text_input(
            "Name",
            st.session_state.get(lesson.PUPIL, "") if plan.prefix else "",
            placeholder="Your name" if plan.asks_name else run_names.find_free_name(wanted),
            key="train_name",
            max_chars=60,
            width=220,
            label_visibility="collapsed",
        )
        refusal = access.why_not_create()
        pressed = st.button(
            "Start",
            type="primary",
            icon=":material/play_arrow:",
            disabled=bool(refusal),
            help=refusal or None,
        )
        lesson.draw_link_menu(config, None if parent else recipe, parent)
    with right:
        if pressed:
            _start(config, name.strip(), wanted, parent, None if parent else recipe, plan)
        _preview(config)


def _start(
    config: RunConfig,
    text: str,
    wanted: str,
    parent: Run | None,
    recipe: str | None,
    plan: Lesson,
) -> None:
    """Create the run that the controls describe, add it to the queue, and show it.

    Args:
        config: the settings.
        text: the name that the user gave it; empty: none.
        wanted: its name without one, with a number where that is taken.
        parent: the run to start from, or None.
        recipe: the recipe that the settings came from, or None.
        plan: what the link asks for.
    """
    try:
        access.check_create()
        if plan.asks_name and not text:
            raise RunError("Enter your name first, beside Start.")
        name, title = run_names.name_and_title(text, plan.prefix) if text else (wanted, None)
        owner = access.owner_name()
        if parent is None:
            run = creation.create_run(
                config,
                name,
                recipe=recipe,
                owner=owner,
                title=title,
                tags=plan.tags,
                number_if_taken=title is not None or not text,
            )
        else:
            access.check_change_runs([parent.name])
            epoch = fork.chosen_epoch()
            run = control.fork(
                parent.name,
                name,
                config.to_dict(),
                "last" if epoch is None else epoch,
                owner=owner,
                title=title,
                tags=plan.tags,
                number_if_taken=title is not None or not text,
            )
        run_queue.submit(run.name)
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    else:
        if plan.prefix:
            st.session_state[lesson.PUPIL] = text
        st.session_state[NEXT] = run.name
        st.rerun()


def _preview(config: RunConfig) -> None:
    """Draw what the settings mean: size of the network, steps, learning rates, layers."""
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
    budget = f"the goal's budget of {summary.budget:,} parameters"
    size = (
        f"{summary.left:,} below {budget}"
        if summary.left >= 0
        else f"{-summary.left:,} over {budget}"
    )
    st.caption(f"{size}{_describe_time(config)}")
    plan = charts.planned_rates(config, steps)
    draw_chart(
        charts.learning_rate_chart(plan, config.epochs),
        "schedule",
        title="Learning rate",
        subtitle="planned",
        help=explain("schedule"),
        alt=f"The {config.schedule} schedule over {plural(config.epochs, 'epoch')}.",
        filename=f"{config.schedule}-{config.epochs}-epochs",
        make_table=lambda: plan,
    )
    st.markdown(
        "## Network :gray[:small[from the image to ten scores]]",
        help=explain("architecture"),
    )
    tables.draw_summary_table(summary)


def _describe_time(config: RunConfig) -> str:
    """How long the run will take here, as the end of a sentence; empty: nothing was measured."""
    own = [run for run in list_runs() if isinstance(run, Run) and not checkpoints.is_shipped(run)]
    seconds = time_estimate.estimate_seconds(config, own)
    return f"; about {format_duration(seconds)} on this machine" if seconds is not None else ""
