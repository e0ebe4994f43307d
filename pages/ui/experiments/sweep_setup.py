"""The controls that set up a new sweep."""

from __future__ import annotations

import os
from collections.abc import Sequence

import streamlit as st

from core.config import OPTIMIZERS, RunConfig
from core.data.presets import PRESETS
from core.errors import UserError
from core.models.architectures import ARCHITECTURES
from core.runs.run import Run
from core.sweeps import space as search_space
from core.sweeps import study
from core.sweeps import worker as sweep_worker
from core.sweeps.space import WIDTHS
from core.sweeps.storage import STORAGE
from core.sweeps.sweep import AIMS, HOLDOUT, MAX_NAME, MAX_RUNS, PRUNERS, SAMPLERS, Sweep
from core.training.schedules import SCHEDULES
from pages.ui import access, dataset
from pages.ui.controls import DEFAULT_RECIPE, field_label
from pages.ui.experiments import shared
from pages.ui.frame import KEPT
from pages.ui.run_boxes import run_titles, select_run
from pages.ui.terms import explain

# Settings that can be varied: with suggested ranges, as typed, or with the names to choose from.
RANGES = {
    WIDTHS: "4..16..2",
    "max_lr": "0.02..0.3:log",
    "lr": "0.005..0.1:log",
    "batch_size": "32,64,128,256",
    "epochs": "5..15",
    "momentum": "0.8..0.98",
    "weight_decay": "0.00001..0.001:log",
    "ema_decay": "0,0.99,0.999",
    "dropout": "0..0.1",
    "label_smoothing": "0..0.1",
    "augment_fraction": "0.5..1",
}
NAMES = {
    "architecture": ARCHITECTURES,
    "augmentation": PRESETS,
    "schedule": SCHEDULES,
    "optimizer": OPTIMIZERS,
}
RANGE_HELP = (
    "A range, LOW..HIGH or LOW..HIGH..STEP, followed by :log for a logarithmic scale; or values "
    "separated by commas."
)


def uses_shared_storage() -> bool:
    """Whether other machines reach the sweeps; their workers are then started by hand."""
    return bool(os.environ.get(STORAGE))


def show_setup(runs: Sequence[Run], taken: Sequence[str]) -> None:
    """Show the controls of a new sweep, and start it.

    Args:
        runs: runs whose settings can be the base.
        taken: names of existing sweeps.
    """
    if not taken:
        st.markdown(
            ":gray[A sweep searches settings automatically. It trains one run after the other, "
            "with settings chosen from earlier results, and compares them on validation images "
            "taken from the training set. The test images play no part in it. On a GPU, runs that "
            "differ only in numbers such as the learning rate train together.]",
            width=740,
        )
    configs = shared.starting_configs(runs)
    names = list(configs)
    with st.container(key="bar", horizontal=True, vertical_alignment="bottom", gap="small"):
        base = select_run(
            "Base",
            names,
            "swept",
            run_titles(runs),
            DEFAULT_RECIPE,
            width=200,
            help="A recipe, or the settings of a run. What is not varied keeps its value.",
        )
        aim = st.selectbox(
            "Objective",
            list(AIMS),
            key="aim",
            width=200,
            **KEPT,
            help="The highest validation accuracy; or the runs that no other run beats in both "
            "accuracy and the number of parameters or seconds.",
        )
        count = st.number_input("Runs", 1, MAX_RUNS, 20, key="sweep_runs", width=110, **KEPT)
    config, recipe = configs[base]
    space = _show_space()
    options, holdout = _show_options(config)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        default_name = _free_name(f"{base[:30]}-sweep", taken)
        name = st.text_input(
            "Name",
            placeholder=default_name,
            key="experiments_sweep_name",
            max_chars=MAX_NAME,
            width=240,
        )
        refusal = access.why_not_create()
        started = st.button(
            "Start",
            type="primary",
            icon=":material/play_arrow:",
            key="experiments_start_sweep",
            disabled=bool(refusal),
            help=refusal or None,
        )
    if started and dataset.load_digits():
        values = {
            "name": name.strip() or default_name,
            "recipe": recipe,
            "aim": aim,
            "runs": count,
            **options,
        }
        _start(config.changed(holdout=holdout), space, values)


def _free_name(name: str, taken: Sequence[str]) -> str:
    """The name, followed by a number if another sweep has it."""
    candidates = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _show_space() -> dict[str, str]:
    """Show the controls for what is varied; return texts for `search_space.parse_space`."""
    fields = st.multiselect(
        "Vary",
        [*RANGES, *NAMES],
        ["max_lr"],
        key="vary",
        width=740,
        **KEPT,
        help=f"The settings to search; {WIDTHS}: the channels of each row of the network.",
    )
    texts = {}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for field in fields:
            title = "Channels of each row" if field == WIDTHS else field_label(field)
            if field in RANGES:
                texts[field] = st.text_input(
                    title, RANGES[field], key=f"vary_{field}", width=200, help=RANGE_HELP, **KEPT
                )
            else:
                names = st.multiselect(
                    title,
                    list(NAMES[field]),
                    key=f"vary_{field}",
                    width=420,
                    help=explain(field),
                    **KEPT,
                )
                texts[field] = ",".join(names)
    return texts


def _show_options(config: RunConfig) -> tuple[dict[str, object], int]:
    """Show the other controls; returns fields of the sweep, and the number of validation images."""
    with st.expander("More", key="experiments_sweep_more"):
        columns = st.columns(5)
        minutes = columns[0].number_input(
            "Minutes",
            0,
            100_000,
            0,
            key="minutes",
            **KEPT,
            help="No run is started after this much training time; 0: no limit.",
        )
        max_parameters = columns[1].number_input(
            "Max. parameters",
            0,
            2_000_000,
            0,
            500,
            key="most",
            **KEPT,
            help="Larger networks are not trained; 0: no limit.",
        )
        holdout = columns[2].number_input(
            "Hold-out",
            100,
            30_000,
            config.holdout or HOLDOUT,
            1_000,
            key="sweep_holdout",
            help=explain("holdout"),
            **KEPT,
        )
        sampler = columns[3].selectbox(
            "Sampler",
            SAMPLERS,
            key="sampler",
            **KEPT,
            help="How settings are proposed: from earlier results (tpe, nsga2), at random "
            "(random), evenly (qmc), or all combinations (grid).",
        )
        pruner = columns[4].selectbox(
            "Pruner",
            PRUNERS,
            key="pruner",
            **KEPT,
            help="Stops runs early that are worse than others at the same epoch. Only for the "
            "objective accuracy.",
        )
    options = {
        "minutes": minutes,
        "max_parameters": max_parameters,
        "sampler": sampler,
        "pruner": pruner,
    }
    return options, holdout


def _start(config: RunConfig, texts: dict[str, str], values: dict[str, object]) -> None:
    try:
        access.check_create()
        typed = {field: text for field, text in texts.items() if text}
        space = search_space.parse_space(typed, config)
        sweep = Sweep.from_dict(
            {
                **values,
                "owner": access.owner_name(),
                "config": config.to_dict(),
                "space": {field: dimension.to_dict() for field, dimension in space.items()},
            }
        )
        study.create(sweep)
        if not uses_shared_storage():
            sweep_worker.start(sweep.name)
    except UserError as error:
        shared.show_error(error)
    else:
        shared.open_next("sweep", sweep.name)
        st.rerun()
