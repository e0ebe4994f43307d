"""Sweeps: setting one up, watching it, what it found and what mattered, and training its winner."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.charts import sweeps as charts_sweeps
from core.config import OPTIMIZERS, RunConfig
from core.data.presets import PRESETS
from core.errors import UserError
from core.experiments import repeats
from core.models.architectures import ARCHITECTURES
from core.runs.run import Run
from core.sweeps import space as sweep_space
from core.sweeps import storage as sweep_storage
from core.sweeps import sweep as sweeps
from core.sweeps import worker as sweep_worker
from core.sweeps.slots import DONE, RUNNING, Trial
from core.sweeps.space import WIDTHS
from core.sweeps.sweep import AIMS, PRUNERS, SAMPLERS, Found, Sweep
from core.training.schedules import SCHEDULES
from pages.ui import dataset
from pages.ui.components.chart import draw_chart
from pages.ui.controls import DEFAULT_RECIPE, field_label
from pages.ui.experiments import shared as experiments_parts
from pages.ui.frame import KEPT, heading
from pages.ui.terms import explain

POLL = 3.0  # seconds
NEW = "new sweep"
SEEDS = 5
SHOWN = 20  # trials that the table shows without scrolling
# What is offered to vary: ranges and values that are worth a try, as one types them, and names to choose among.
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
TYPED = "A range, LOW..HIGH or LOW..HIGH..STEP, with :log behind it where factors count; or values with commas between."
STATES = {sweeps.PRUNED: "ended early", sweeps.OPEN: "waiting"}
PRICES = {"parameters": "parameters", "seconds": "seconds of training"}


def sweep(runs: Sequence[Run]) -> None:
    """The sweeps there are, and a way to begin one."""
    try:
        with st.spinner("Opening the sweeps"):
            names = sweeps.names()
    except UserError as error:
        st.error(str(error), icon=":material/error:")
        return
    chosen = experiments_parts.pick("Sweep", [*names, NEW]) if names else NEW
    if chosen == NEW:
        _new(runs, names)
        return
    try:
        moving = _moves(sweeps.find(chosen))
    except UserError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.fragment(_watch, run_every=POLL if moving else None, key="sweeping")(chosen, moving)


def _new(runs: Sequence[Run], taken: Sequence[str]) -> None:
    if not taken:
        st.markdown(
            ":gray[Hand tuning ends where there are more settings than patience. A sweep trains one run after "
            "the other, each with settings that the runs before it speak for, and compares them on training "
            "images that it keeps back. The test images play no part in it.]",
            width=740,
        )
    set_ups = experiments_parts.set_ups(runs)
    names = list(set_ups)
    with st.container(key="bar", horizontal=True, vertical_alignment="bottom", gap="small"):
        based = st.selectbox(
            "Begin with",
            names,
            names.index(DEFAULT_RECIPE),
            key="swept",
            width=200,
            help="A recipe, or the settings of a run; what isn't varied stays as it is.",
            **KEPT,
        )
        aim = st.selectbox(
            "Look for",
            list(AIMS),
            key="aim",
            width=200,
            **KEPT,
            help="The most accuracy on the held-out images; or what no other beats both in that and in "
            "the fewest parameters or seconds.",
        )
        count = st.number_input(
            "Runs", 1, sweeps.MOST_RUNS, 20, key="sweep_runs", width=110, **KEPT
        )
    config, recipe = set_ups[based]
    texts = _varied()
    with st.expander("More", key="sweep_more"):
        columns = st.columns(5)
        minutes = columns[0].number_input(
            "Minutes",
            0,
            100_000,
            0,
            key="minutes",
            **KEPT,
            help="After so many minutes of work no run is begun any more; 0: no limit.",
        )
        most = columns[1].number_input(
            "Parameters at most",
            0,
            2_000_000,
            0,
            500,
            key="most",
            **KEPT,
            help="Larger networks are drawn again instead of trained; 0: any size.",
        )
        holdout = columns[2].number_input(
            "Hold-out",
            100,
            30_000,
            config.holdout or sweeps.HOLDOUT,
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
            help="How settings are proposed: by what went well so far (tpe, nsga2), by "
            "chance (random), evenly (qmc), or one after the other (grid).",
        )
        pruner = columns[4].selectbox(
            "Pruner",
            PRUNERS,
            key="pruner",
            **KEPT,
            help="Ends runs early that promise little, by how others stood at that epoch. "
            "Only for accuracy alone.",
        )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        wanted = _free_name(f"{based[:30]}-sweep", taken)
        name = st.text_input(
            "Name", placeholder=wanted, key="sweep_name", max_chars=sweeps.MOST_NAME, width=240
        )
        asked = st.button("Start", type="primary", icon=":material/play_arrow:", key="start_sweep")
    if asked and dataset.load_digits():
        _start(
            config.changed(holdout=holdout),
            texts,
            recipe,
            name.strip() or wanted,
            {
                "aim": aim,
                "sampler": sampler,
                "pruner": pruner,
                "runs": count,
                "minutes": minutes,
                "max_parameters": most,
            },
        )


def _free_name(wanted: str, taken: Sequence[str]) -> str:
    """The name, with a number behind it if another sweep has it."""
    return next(
        name
        for name in (wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 3)))
        if name not in taken
    )


def _varied() -> dict[str, str]:
    """The controls for what is varied; as `sweep_space.typed_space` takes it."""
    options = [*RANGES, *NAMES]
    chosen = st.multiselect(
        "Vary",
        options,
        ["max_lr"],
        key="vary",
        width=740,
        **KEPT,
        help=f"The settings that are searched; {WIDTHS}: the channels of each row of the network.",
    )
    texts = {}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for name in chosen:
            title = "Channels of each row" if name == WIDTHS else field_label(name)
            if name in RANGES:
                texts[name] = st.text_input(
                    title, RANGES[name], key=f"vary_{name}", width=200, help=TYPED, **KEPT
                )
            else:
                texts[name] = ",".join(
                    st.multiselect(
                        title,
                        list(NAMES[name]),
                        key=f"vary_{name}",
                        width=420,
                        help=explain(name),
                        **KEPT,
                    )
                )
    return texts


def _start(
    config: RunConfig, texts: dict[str, str], recipe: str | None, name: str, more: dict[str, object]
) -> None:
    try:
        space = sweep_space.typed_space(
            {each: text for each, text in texts.items() if text}, config
        )
        sweeps.create(
            Sweep.from_dict(
                {
                    "name": name,
                    "config": config.to_dict(),
                    "recipe": recipe,
                    **more,
                    "space": {each: dimension.to_dict() for each, dimension in space.items()},
                }
            )
        )
        if not _shared():
            sweep_worker.start(name)
    except UserError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.session_state["sweep_next"] = name
        st.rerun()


def _watch(name: str, moving: bool) -> None:
    try:
        found = sweeps.find(name)
    except UserError as error:
        st.error(str(error), icon=":material/error:")
        return
    if moving != _moves(found):
        st.rerun()  # the whole page, which then asks no more, or asks again
    _answer(found)
    _actions(found, moving)
    through = [
        trial
        for trial in found.trials
        if trial.accuracy is not None and trial.state in (DONE, sweeps.PRUNED)
    ]
    if through:
        _charts(found, sorted(through, key=lambda trial: (trial.ended is None, trial.ended)))
    heading("Runs", "what was drawn for each, and what came of it")
    table = pd.DataFrame([_row(trial) for trial in found.trials])
    telling = {"Machine": table["Machine"].nunique() > 1, "Why": table["Why"].any()}
    st.dataframe(
        table.drop(columns=[name for name, tells in telling.items() if not tells]),
        hide_index=True,
        key="sweep_table",
        height="content" if len(table) <= SHOWN else "auto",
        column_config={
            "Held-out": st.column_config.NumberColumn(format="%.2f %%"),
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Seconds": st.column_config.NumberColumn(format="%.0f"),
            "Drawn": st.column_config.TextColumn(width="large"),
        },
    )


def _answer(found: Found) -> None:
    best = found.best
    if best is None or best.accuracy is None:
        experiments_parts.verdict("No run is through yet.")
    else:
        experiments_parts.verdict(
            f"{best.accuracy:.2f} % by {best.run}, with {best.parameters:,} parameters."
        )
    done, places = found.count(DONE, sweeps.PRUNED, sweeps.FAILED), found.sweep.places
    seen = ", ".join(
        [
            f"{done} of {places} runs are through",
            *(
                f"{count} {word}"
                for state, word in ((RUNNING, "training"), (sweeps.FAILED, "failed"))
                if (count := found.count(state))
            ),
        ]
    )
    experiments_parts.method(
        (f"{seen}, compared" if found.over else "Compared")
        + f" on {found.sweep.config.holdout:,} training images kept back; being the best of "
        "several, the winner is flattered by them. Varied: "
        f"{sweep_space.told_space(found.sweep.space)}."
    )
    if not found.over:
        st.progress(min(1.0, done / places), text=seen)


def _actions(found: Found, moving: bool) -> None:
    name = found.sweep.name
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if moving and not found.stopped:
            st.button(
                "Stop",
                icon=":material/stop:",
                key="stop_sweep",
                on_click=_do,
                args=(sweeps.stop, name),
                help="The run under way is stopped, and goes on with the sweep.",
            )
        elif not moving and not found.over and not _shared():
            st.button(
                "Go on",
                type="primary",
                icon=":material/play_arrow:",
                key="go_on",
                on_click=_do,
                args=(sweep_worker.start, name),
            )
        if found.best is not None:
            st.button(
                "Train the winner on everything, five seeds",
                icon=":material/emoji_events:",
                key="winner",
                on_click=_do,
                args=(_train_winner, name),
                help="On all 60,000 training images, each run with another seed, and scored on the test images.",
            )
    said = st.session_state.pop("sweep_error", "") or (
        "" if moving or found.over else sweep_worker.last_words(name)
    )
    if said:
        st.error(said, icon=":material/error:")
    if _shared() and not found.over:
        experiments_parts.method("The storage is shared. Each machine that is to work on it runs:")
        st.code(
            f"python -m core sweep work {name} --storage ${sweep_storage.STORAGE}", language=None
        )


def _do(action: object, name: str) -> None:
    try:
        action(name)  # type: ignore[operator]
    except UserError as error:
        st.session_state["sweep_error"] = str(error)


def _train_winner(name: str) -> None:
    group = sweeps.train_winner(name, SEEDS)
    repeats.submit(group)
    st.session_state["group_next"], st.session_state["experiment"] = group.name, "Repeats"


def _charts(found: Found, through: list[Trial]) -> None:
    name, space = found.sweep.name, found.sweep.space
    frame = pd.DataFrame(
        [
            {
                "order": order,
                "accuracy": trial.accuracy,
                "run": trial.run,
                "parameters": trial.parameters,
                "seconds": trial.seconds,
                "drawn": sweep_space.told(trial.params),
                "best": trial.best,
                "state": charts_sweeps.DONE if trial.state == DONE else charts_sweeps.PRUNED,
            }
            for order, trial in enumerate(through, 1)
        ]
    )
    left, right = st.columns(2, gap="large")
    with left:
        draw_chart(
            charts_sweeps.history(frame),
            "history",
            title="History",
            subtitle="each run, and the best so far",
            alt=found.words,
            filename=f"{name}-history",
            subject=name,
            make_table=lambda: frame,
        )
    with right:
        price = AIMS[found.sweep.aim][-1] if len(AIMS[found.sweep.aim]) > 1 else "parameters"
        shown = frame.assign(price=frame[price])
        shown.loc[shown["best"], "state"] = charts_sweeps.BEST
        draw_chart(
            charts_sweeps.front(shown, PRICES[price]),
            "front",
            title=f"Accuracy against {price}",
            subtitle="green: unbeaten in both"
            if len(AIMS[found.sweep.aim]) > 1
            else "green: the best",
            alt=f"Accuracy of {len(frame)} runs against their {price}.",
            filename=f"{name}-front",
            subject=name,
            make_table=lambda: shown,
        )
    left, right = st.columns(2, gap="large")
    titles = {sweep_space.title(each): each for each in space}
    with left:
        shares = _importance(sweep_storage.storage_url(), name, found.count(DONE))
        if len(shares):
            shares = shares.assign(name=[sweep_space.title(each) for each in shares["name"]])
            draw_chart(
                charts_sweeps.importance(shares),
                "importance",
                title="What mattered",
                subtitle="for the accuracy, by PED-ANOVA",
                filename=f"{name}-importance",
                subject=name,
                make_table=lambda: shares,
                alt=", ".join(
                    f"{each}: {share:.0%}" for each, share in shares.itertuples(index=False)
                ),
            )
        title = next(iter(titles))
        if len(titles) > 1:
            title = st.selectbox("Setting to look at", list(titles), key="slice", width=240, **KEPT)
    with right:
        field = titles[title]
        cut = frame.assign(value=[trial.params.get(field) for trial in through])
        if space[field].choices:
            cut["value"] = cut["value"].astype(str)
        draw_chart(
            charts_sweeps.slice_(cut, title, space[field].log),
            "slice",
            title="One setting",
            subtitle="whatever the others were",
            alt=f"Accuracy of {len(frame)} runs against {title}.",
            filename=f"{name}-{field}",
            subject=name,
            make_table=lambda: cut,
        )


@st.cache_data(max_entries=50, show_spinner=False)
def _importance(storage: str, name: str, done: int) -> pd.DataFrame:
    """What mattered, worked out once for so many runs."""
    return pd.DataFrame(list(sweeps.importance(name).items()), columns=["name", "share"])


def _row(trial: Trial) -> dict[str, object]:
    state = STATES.get(trial.state, trial.state) + (" · best" if trial.best else "")
    return {
        "Run": trial.run or f"{trial.place}",
        "State": state,
        "Held-out": trial.accuracy,
        "Parameters": trial.parameters,
        "Seconds": trial.seconds,
        "Drawn": sweep_space.told(trial.params),
        "Machine": trial.machine or "",
        "Why": trial.reason,
    }


def _moves(found: Found) -> bool:
    return bool(found.count(RUNNING)) or sweep_worker.working(found.sweep.name)


def _shared() -> bool:
    """Whether sweeps lie in a storage that other machines reach, and workers are for the operator to start."""
    return bool(os.environ.get(sweep_storage.STORAGE))
