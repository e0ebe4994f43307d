"""Sweeps: selecting one, watching it, its best run, and training its winner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.experiments import repeats
from core.runs.run import Run
from core.sweeps import space as search_space
from core.sweeps import study
from core.sweeps import winner as sweep_winner
from core.sweeps import worker as sweep_worker
from core.sweeps.slots import DONE, FAILED, OPEN, PRUNED, RUNNING, Trial
from core.sweeps.state import SweepState
from core.sweeps.storage import STORAGE
from core.wording import plural
from pages.ui import access
from pages.ui.experiments import shared
from pages.ui.experiments.sweep_charts import draw_charts
from pages.ui.experiments.sweep_setup import show_setup, uses_shared_storage
from pages.ui.frame import heading
from pages.ui.polling import poll
from pages.ui.words import escape_markdown

POLL = 3.0  # seconds
NEW_SWEEP = "new sweep"
SEEDS = 5  # of the winner's group
MAX_ROWS = 20  # of the table without scrolling
STATES = {PRUNED: "pruned", OPEN: "waiting"}
_ERROR = "experiments_sweep_error"  # session key: why the last action failed


def show_sweeps(runs: Sequence[Run]) -> None:
    """Show the selected sweep, or the controls of a new one."""
    try:
        with st.spinner("Loading sweeps"):
            names = study.list_names()
        selected = shared.select_named("Sweep", [*names, NEW_SWEEP]) if names else NEW_SWEEP
        if selected == NEW_SWEEP:
            show_setup(runs, names)
            return
        live = _is_live(study.read(selected))
    except UserError as error:
        shared.show_error(error)
        return
    poll(_watch, POLL if live else None, key="experiments_sweep")(selected, live)


def _is_live(sweep: SweepState) -> bool:
    return bool(sweep.count(RUNNING)) or sweep_worker.is_working(sweep.sweep.name)


def _watch(name: str, live: bool) -> None:
    try:
        sweep = study.read(name)
    except UserError as error:
        shared.show_error(error)
        return
    if live != _is_live(sweep):
        st.rerun()  # the whole page, which then starts or stops polling
    _show_best(sweep)
    _show_actions(sweep, live)
    ended = [
        trial
        for trial in sweep.trials
        if trial.accuracy is not None and trial.state in (DONE, PRUNED)
    ]
    if ended:
        draw_charts(sweep, sorted(ended, key=lambda trial: (trial.ended is None, trial.ended)))
    _draw_table(sweep.trials)


def _draw_table(trials: Sequence[Trial]) -> None:
    heading("Runs", "their settings and results")
    table = pd.DataFrame([_row(trial) for trial in trials])
    hidden = []
    if table["Machine"].nunique() <= 1:
        hidden.append("Machine")
    if not table["Reason"].any():
        hidden.append("Reason")
    st.dataframe(
        table.drop(columns=hidden),
        hide_index=True,
        key="experiments_sweep_table",
        height="content" if len(table) <= MAX_ROWS else "auto",
        column_config={
            "Validation": st.column_config.NumberColumn(format="%.2f %%"),
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Seconds": st.column_config.NumberColumn(format="%.0f"),
            "Settings": st.column_config.TextColumn(width="large"),
        },
    )


def _row(trial: Trial) -> dict[str, object]:
    return {
        "Run": trial.title,
        "State": STATES.get(trial.state, trial.state) + (" · best" if trial.best else ""),
        "Validation": trial.accuracy,
        "Parameters": trial.parameters,
        "Seconds": trial.seconds,
        "Settings": search_space.describe_values(trial.params),
        "Machine": trial.machine or "",
        "Reason": trial.reason,
    }


def _show_best(sweep: SweepState) -> None:
    best = sweep.best
    if best is None or best.accuracy is None:
        shared.show_headline("No run is finished yet.")
    else:
        shared.show_headline(
            f"{best.accuracy:.2f} % by {best.title}, with {best.parameters:,} parameters."
        )
    finished, total = sweep.count(DONE, PRUNED, FAILED), sweep.sweep.slots
    parts = [f"{finished} of {plural(total, 'run')} finished"]
    for state, word in ((RUNNING, "training"), (FAILED, "failed")):
        if count := sweep.count(state):
            parts.append(f"{count} {word}")
    progress = ", ".join(parts)
    shared.show_explanation(
        (f"{progress}. " if sweep.is_over else "")
        + (f"Started by {access.describe_owner(sweep.sweep.owner)}. " if sweep.sweep.owner else "")
        + f"Accuracies are on {sweep.sweep.config.holdout:,} validation images taken from the "
        "training set. The winner's score is optimistic, since it is the best of several. Varied: "
        f"{search_space.describe_space(sweep.sweep.space)}."
    )
    if not sweep.is_over:
        st.progress(min(1.0, finished / total), text=progress)


def _show_actions(sweep: SweepState, live: bool) -> None:
    name = sweep.sweep.name
    refusal = access.why_not_change(sweep.sweep.owner)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if live and not sweep.stopped:
            st.button(
                "Stop",
                icon=":material/stop:",
                key="experiments_stop_sweep",
                on_click=_run_action,
                args=(_stop, name),
                disabled=bool(refusal),
                help=refusal or "Stops the current run too; resuming the sweep resumes it.",
            )
        elif not live and not sweep.is_over and not uses_shared_storage():
            st.button(
                "Resume",
                type="primary",
                icon=":material/play_arrow:",
                key="experiments_resume_sweep",
                on_click=_run_action,
                args=(_resume, name),
                disabled=bool(refusal),
                help=refusal or None,
            )
        if sweep.best is not None:
            st.button(
                f"Train the winner with {SEEDS} seeds",
                icon=":material/emoji_events:",
                key="experiments_train_winner",
                on_click=_run_action,
                args=(_train_winner, name),
                disabled=bool(access.why_not_create()),
                help=access.why_not_create()
                or "On all 60,000 training images, evaluated on the test images.",
            )
    error = st.session_state.pop(_ERROR, "")
    if not error and not live and not sweep.is_over:
        error = sweep_worker.last_error(name)
    if error:
        st.error(escape_markdown(error), icon=":material/error:")
    if uses_shared_storage() and not sweep.is_over:
        shared.show_explanation("The storage is shared. Run this on each machine that helps:")
        st.code(f"python -m core sweep work {name} --storage ${STORAGE}", language=None)


def _run_action(action: Callable[[str], object], name: str) -> None:
    try:
        action(name)
    except UserError as error:
        st.session_state[_ERROR] = str(error)


def _stop(name: str) -> None:
    access.check_change(study.read(name).sweep.owner)
    study.stop(name)


def _resume(name: str) -> None:
    access.check_change(study.read(name).sweep.owner)
    sweep_worker.start(name)


def _train_winner(name: str) -> None:
    access.check_create()
    group = sweep_winner.create_group(name, SEEDS, owner=access.owner_name())
    repeats.submit(group)
    shared.open_next("group", group.name)
    st.session_state["experiment"] = "Repeats"
