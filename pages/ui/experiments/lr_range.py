"""The rate finder: a range test set up from a recipe or a run, watched, and its suggestion sent to Train."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.charts import experiments as charts_experiments
from core.config import RunConfig
from core.errors import UserError
from core.experiments import lr_range, lr_range_job
from core.experiments.lr_range_job import RangeTest, Request
from core.recipes import RECIPES
from core.runs.run import Run
from core.training.effects import rate_fields
from pages.ui import dataset, tables, words
from pages.ui.components.chart import draw_chart
from pages.ui.controls import DEFAULT_RECIPE, NEW_RUN, RUN, SLIDER_VALUES, set_controls
from pages.ui.experiments import shared as experiments_parts
from pages.ui.frame import KEPT
from pages.ui.train import fork as train_fork

POLL = 0.5  # seconds
STEPS = (100, 200, 300, 500, 1_000)
FRESH, TRAINED = "fresh weights", "trained weights"


def finder(runs: Sequence[Run]) -> None:
    """Set a range test up, start it, and see what it finds."""
    set_ups = experiments_parts.set_ups(runs)
    names, trained = list(set_ups), {run.name for run in runs if run.epochs}
    with st.container(key="bar", horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox(
            "Set-up",
            names,
            names.index(DEFAULT_RECIPE),
            key="tested",
            width=220,
            help="A recipe, or the settings of a run.",
            **KEPT,
        )
        start = FRESH
        if name in trained:
            start = st.selectbox(
                "Begin with",
                (FRESH, TRAINED),
                key="begin_with",
                width=180,
                **KEPT,
                help="A copy of the run's last weights, or new ones drawn as the run drew its own.",
            )
        steps = st.select_slider(
            "Steps",
            STEPS,
            lr_range.STEPS,
            key="steps",
            width=180,
            **KEPT,
            help="Batches that are trained on. More take longer and follow the loss more closely.",
        )
        asked = st.button("Find", type="primary", icon=":material/search:", key="find_rate")
    config, recipe = set_ups[name]
    request = Request(config, name if start == TRAINED else None, steps)
    if asked and dataset.load_digits():
        try:
            lr_range_job.start(request)
        except UserError as error:
            st.error(str(error), icon=":material/error:")
    try:
        found = lr_range_job.read(request)
    except UserError as error:
        st.error(str(error), icon=":material/error:")
        return
    moving = found is not None and found.state == "running"
    st.fragment(_watch, run_every=POLL if moving else None, key="finding")(request, recipe, moving)


def _watch(request: Request, recipe: str | None, moving: bool) -> None:
    found = lr_range_job.read(request)
    if moving and (found is None or found.state != "running"):
        st.rerun()  # the whole page, which then asks no more
    if found is None:
        experiments_parts.verdict("Which learning rate is the highest that still helps?")
        experiments_parts.method(
            "The test takes a copy of the weights and trains it for a few hundred steps while the rate climbs. Where "
            "the loss is lowest, steps begin to undo each other; a tenth of that rate is a good highest one."
        )
        return
    _answer(found, request, recipe)
    climb = lr_range.learning_rates(request.config, request.steps)
    frame = pd.DataFrame(
        [(point.lr, point.loss, point.smoothed) for point in found.points],
        columns=["lr", "loss", "smoothed"],
        dtype=float,
    )
    suggestion = found.suggestion
    lr, lowest = (suggestion.lr, suggestion.lowest_loss_lr) if suggestion else (None, None)
    draw_chart(
        charts_experiments.range_test(frame, lr, lowest, (climb[0], climb[-1])),
        "range",
        title="Loss",
        subtitle="while the rate climbs; thin: of each batch, thick: smoothed",
        alt=suggestion.explanation
        if suggestion
        else "Loss against learning rate; the test is not done.",
        filename=f"{request.run or request.config.architecture}-rates",
        make_table=lambda: frame,
    )


def _answer(found: RangeTest, request: Request, recipe: str | None) -> None:
    with st.container(key="finding_answer"):
        suggestion = found.suggestion
        if found.state == "running":
            share = len(found.points) / found.steps
            experiments_parts.verdict("The rate is climbing …")
            st.progress(
                share,
                text=f"Step {len(found.points)} of {found.steps}{words.format_remaining(found.seconds_left)}",
            )
        elif suggestion is None:
            experiments_parts.verdict("The test did not come to its end.")
            st.error(found.message, icon=":material/error:")
        elif suggestion.lr is None:
            experiments_parts.verdict("No rate stands out.")
            experiments_parts.method(suggestion.explanation)
        else:
            experiments_parts.verdict(f"A highest learning rate of {suggestion.lr:g}.")
            experiments_parts.method(suggestion.explanation)
            used = ", ".join(
                f"{getattr(request.config, field):g}" for field in _fields(request.config)
            )
            tables.draw_metrics(
                {
                    "Suggested": f"{suggestion.lr:g}",
                    "The set-up's own": used,
                    "Lowest loss at": f"{suggestion.lowest_loss_lr:.2g}",
                }
            )
            if st.button(
                f"Train with {on_ladder(suggestion.lr):g}",
                icon=":material/arrow_forward:",
                key="send",
                help="Takes the set-up to the Train page with this highest learning rate, the nearest on its "
                "scale.",
            ):
                send(request, recipe, suggestion.lr)


def send(request: Request, recipe: str | None, lr: float) -> None:
    """Turn to the Train page with a set-up and a highest rate."""
    config = request.config
    known = recipe if recipe in RECIPES else DEFAULT_RECIPE
    train_fork.drop_fork()
    st.session_state[RUN] = NEW_RUN
    st.session_state["recipe"] = known
    set_controls(config)
    for (
        field,
        values,
    ) in SLIDER_VALUES.items():  # its sliders hold no other values, but for those of the recipe
        value = getattr(config, field)
        if value != getattr(RECIPES[known].config, field):
            st.session_state[field] = min(values, key=lambda each: abs(each - value))
    if request.run is not None:
        train_fork.start_fork(request.run)
    for field in _fields(config):
        st.session_state[field] = on_ladder(lr)
    st.switch_page("pages/train.py", query_params={})


def on_ladder(lr: float) -> float:
    """The nearest rate, by its factor, that Train's slider can stand at."""
    return min(SLIDER_VALUES["max_lr"], key=lambda value: abs(math.log(value / lr)))


def _fields(config: RunConfig) -> list[str]:
    """Where the schedule takes its highest rate from."""
    return ["max_lr"] if "max_lr" in rate_fields(config.schedule) else ["lr"]
