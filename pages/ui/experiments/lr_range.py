"""The learning rate range test: setting it up, watching it, and training with its suggestion."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.charts import experiments as charts
from core.config import RunConfig
from core.errors import UserError
from core.experiments import lr_range, lr_range_job
from core.experiments.lr_range_job import RangeTest, Request
from core.recipes import RECIPES
from core.runs.run import Run
from core.training.effects import rate_fields
from pages.ui import access, dataset, tables, words
from pages.ui.components.chart import draw_chart
from pages.ui.controls import (
    DEFAULT_RECIPE,
    NEW_RUN,
    RUN,
    SLIDER_VALUES,
    set_controls,
)
from pages.ui.experiments import shared
from pages.ui.frame import KEPT
from pages.ui.polling import poll
from pages.ui.run_boxes import run_titles, select_run
from pages.ui.train import fork
from pages.ui.words import escape_markdown

POLL = 0.5  # seconds
STEPS = (100, 200, 300, 500, 1_000)
FRESH, TRAINED = "fresh weights", "trained weights"


def show_lr_range(runs: Sequence[Run]) -> None:
    """Show the controls of a range test, and its result."""
    configs = shared.starting_configs(runs)
    names, trained = list(configs), {run.name for run in runs if run.epochs}
    with st.container(key="bar", horizontal=True, vertical_alignment="bottom", gap="small"):
        name = select_run(
            "Set-up",
            names,
            "tested",
            run_titles(runs),
            DEFAULT_RECIPE,
            width=220,
            help="A recipe, or the settings of a run.",
        )
        weights = FRESH
        if name in trained:
            weights = st.selectbox(
                "Start from",
                (FRESH, TRAINED),
                key="begin_with",
                width=180,
                **KEPT,
                help="New random weights, or a copy of the run's last weights.",
            )
        steps = st.select_slider(
            "Steps",
            STEPS,
            lr_range.STEPS,
            key="steps",
            width=180,
            **KEPT,
            help="Number of training steps. More steps take longer and give a smoother curve.",
        )
        refusal = access.why_not_create()
        started = st.button(
            "Start",
            type="primary",
            icon=":material/search:",
            key="experiments_start_range",
            disabled=bool(refusal),
            help=refusal or None,
        )
    config, recipe = configs[name]
    request = Request(config, name if weights == TRAINED else None, steps)
    try:
        if started and dataset.load_digits():
            access.check_create()
            lr_range_job.start(request)
        test = lr_range_job.read(request)
    except UserError as error:
        shared.show_error(error)
        return
    running = test is not None and test.state == "running"
    poll(_watch, POLL if running else None, key="experiments_lr_range")(
        request, name, recipe, running
    )


def _watch(request: Request, name: str, recipe: str | None, running: bool) -> None:
    test = lr_range_job.read(request)
    if running and (test is None or test.state != "running"):
        st.rerun()  # the whole page, which then stops polling
    if test is None:
        shared.show_headline("Which peak learning rate is the highest that still helps?")
        shared.show_explanation(
            "The range test trains a copy of the weights for a few hundred steps while the "
            "learning rate rises. Beyond the rate with the lowest loss, training becomes unstable; "
            "a tenth of that rate is a good peak."
        )
        return
    _show_result(test, request, recipe)
    rates = lr_range.learning_rates(request.config, request.steps)
    frame = pd.DataFrame(
        [(point.lr, point.loss, point.smoothed) for point in test.points],
        columns=["lr", "loss", "smoothed"],
        dtype=float,
    )
    suggestion = test.suggestion
    draw_chart(
        charts.lr_range_chart(
            frame,
            suggestion.lr if suggestion else None,
            suggestion.lowest_loss_lr if suggestion else None,
            (rates[0], rates[-1]),
            (name, max(getattr(request.config, field) for field in _peak_fields(request.config))),
        ),
        "range",
        title="Loss",
        subtitle="by learning rate; thin: single batches, thick: smoothed",
        alt=suggestion.explanation if suggestion else "Loss by learning rate; not finished.",
        filename=f"{request.run or request.config.architecture}-rates",
        make_table=lambda: frame,
    )


def _show_result(test: RangeTest, request: Request, recipe: str | None) -> None:
    with st.container(key="experiments_range_result"):
        suggestion = test.suggestion
        if test.state == "running":
            shared.show_headline("The test is running …")
            st.progress(
                len(test.points) / test.steps,
                text=f"Step {len(test.points)} of {test.steps}"
                f"{words.format_remaining(test.seconds_left)}",
            )
        elif suggestion is None:
            shared.show_headline("The test failed.")
            st.error(escape_markdown(test.message), icon=":material/error:")
        elif suggestion.lr is None:
            shared.show_headline("The test is inconclusive.")
            shared.show_explanation(suggestion.explanation)
        else:
            shared.show_headline(f"Suggested peak learning rate: {suggestion.lr:g}")
            shared.show_explanation(suggestion.explanation)
            current = ", ".join(
                f"{getattr(request.config, field):g}" for field in _peak_fields(request.config)
            )
            metrics = {"Suggested": f"{suggestion.lr:g}", "Set-up": current}
            if suggestion.lowest_loss_lr is not None:
                metrics["Lowest loss at"] = f"{suggestion.lowest_loss_lr:.2g}"
            tables.draw_metrics(metrics)
            if st.button(
                f"Train with {nearest_slider_rate(suggestion.lr):g}",
                icon=":material/arrow_forward:",
                key="experiments_train_with_rate",
                help="Opens Train with these settings and the nearest value of its slider.",
            ):
                open_train_page(request, recipe, suggestion.lr)


def open_train_page(request: Request, recipe: str | None, lr: float) -> None:
    """Open the Train page with the settings of a range test and a peak learning rate."""
    config = request.config
    known = recipe if recipe in RECIPES else DEFAULT_RECIPE
    fork.drop_fork()
    st.session_state[RUN] = NEW_RUN
    st.session_state["recipe"] = known
    set_controls(config)
    # A slider has its own values and the recipe's; any other value moves to the nearest.
    for field, values in SLIDER_VALUES.items():
        value = getattr(config, field)
        if value != getattr(RECIPES[known].config, field):
            st.session_state[field] = min(values, key=lambda other: abs(other - value))
    if request.run is not None:
        fork.start_fork(request.run)
    for field in _peak_fields(config):
        st.session_state[field] = nearest_slider_rate(lr)
    st.switch_page("pages/train.py", query_params={})


def nearest_slider_rate(lr: float) -> float:
    """The value of Train's slider that is nearest to a rate, on a logarithmic scale."""
    return min(SLIDER_VALUES["max_lr"], key=lambda value: abs(math.log(value / lr)))


def _peak_fields(config: RunConfig) -> list[str]:
    """The config's fields from which its schedule takes the peak learning rate."""
    return ["max_lr"] if "max_lr" in rate_fields(config.schedule) else ["lr"]
