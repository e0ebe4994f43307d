"""The charts of a sweep: its history, the objectives, the importance of settings, one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core.charts import sweeps as charts
from core.charts.parallel import parallel_chart
from core.sweeps import space as search_space
from core.sweeps import study
from core.sweeps.slots import DONE, Trial
from core.sweeps.state import SweepState
from core.sweeps.storage import storage_url
from core.sweeps.sweep import AIMS
from core.wording import plural
from pages.ui.components.chart import draw_chart
from pages.ui.frame import KEPT

MIN_LINES = 3  # runs below which lines over all settings say nothing
COSTS = {"parameters": "parameters", "seconds": "seconds of training"}


def draw_charts(sweep: SweepState, trials: Sequence[Trial]) -> None:
    """Draw the charts of a sweep.

    Args:
        sweep: the sweep.
        trials: those that have an accuracy and have ended, at least one, in order of their end.
    """
    frame = _make_frame(trials)
    left, right = st.columns(2, gap="large")
    with left:
        _draw_history(sweep, frame)
    with right:
        _draw_objectives(sweep, frame)
    left, right = st.columns(2, gap="large")
    fields = {search_space.parameter_title(field): field for field in sweep.sweep.space}
    with left:
        _draw_importance(sweep)
        title = next(iter(fields))
        if len(fields) > 1:
            title = st.selectbox("Setting", list(fields), key="slice", width=240, **KEPT)
    with right:
        _draw_setting(sweep, frame, trials, title, fields[title])
    if len(fields) > 1 and len(trials) >= MIN_LINES:
        _draw_all_settings(sweep, trials, fields)


def _make_frame(trials: Sequence[Trial]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "order": order,
                "accuracy": trial.accuracy,
                "run": trial.run,
                "parameters": trial.parameters,
                "seconds": trial.seconds,
                "drawn": search_space.describe_values(trial.params),
                "best": trial.best,
                "state": charts.DONE if trial.state == DONE else charts.PRUNED,
            }
            for order, trial in enumerate(trials, 1)
        ]
    )


def _draw_all_settings(
    sweep: SweepState, trials: Sequence[Trial], fields: Mapping[str, str]
) -> None:
    """Draw every trial as a line over all settings that the sweep varies.

    Args:
        sweep: the sweep.
        trials: those with an accuracy.
        fields: title of each setting -> its field.
    """
    name = sweep.sweep.name
    frame = pd.DataFrame(
        [
            {
                "run": trial.title,
                **{title: trial.params.get(field) for title, field in fields.items()},
                "accuracy": trial.accuracy,
            }
            for trial in trials
        ]
    )
    draw_chart(
        parallel_chart(frame, list(fields), "accuracy", "Accuracy, %"),
        "parallel",
        title="All settings",
        subtitle="a line for each run; from grey to blue: accuracy; green: the best run",
        alt=f"{len(frame)} runs over {', '.join(fields)}.",
        filename=f"{name}-settings",
        subject=name,
        make_table=lambda: frame,
    )


def _draw_history(sweep: SweepState, frame: pd.DataFrame) -> None:
    name = sweep.sweep.name
    draw_chart(
        charts.history_chart(frame),
        "history",
        title="History",
        subtitle="each run, and the best so far",
        alt=sweep.summary,
        filename=f"{name}-history",
        subject=name,
        make_table=lambda: frame,
    )


def _draw_objectives(sweep: SweepState, frame: pd.DataFrame) -> None:
    name, objectives = sweep.sweep.name, AIMS[sweep.sweep.aim]
    cost = objectives[1] if len(objectives) > 1 else "parameters"
    points = frame.assign(price=frame[cost])
    points.loc[points["best"], "state"] = charts.BEST
    draw_chart(
        charts.tradeoff_chart(points, COSTS[cost]),
        "front",
        title=f"Accuracy and {cost}",
        subtitle="green: Pareto front" if len(objectives) > 1 else "green: best run",
        alt=f"Accuracy of {plural(len(frame), 'run')} by {cost}.",
        filename=f"{name}-front",
        subject=name,
        make_table=lambda: points,
    )


def _draw_importance(sweep: SweepState) -> None:
    name = sweep.sweep.name
    shares = _importance(storage_url(), name, sweep.count(DONE))
    if shares.empty:
        return
    draw_chart(
        charts.importance_chart(shares),
        "importance",
        title="Importance",
        subtitle="of each setting for the accuracy, by PED-ANOVA",
        filename=f"{name}-importance",
        subject=name,
        make_table=lambda: shares,
        alt=", ".join(f"{field}: {share:.0%}" for field, share in shares.itertuples(index=False)),
    )


@st.cache_data(max_entries=50, show_spinner=False)
def _importance(storage: str, name: str, finished: int) -> pd.DataFrame:
    """Compute the importance of settings; cached until another run of the sweep is finished."""
    return pd.DataFrame(list(study.read_importance(name).items()), columns=["name", "share"])


def _draw_setting(
    sweep: SweepState, frame: pd.DataFrame, trials: Sequence[Trial], title: str, field: str
) -> None:
    name, dimension = sweep.sweep.name, sweep.sweep.space[field]
    points = frame.assign(value=[trial.params.get(field) for trial in trials])
    if dimension.choices:
        points["value"] = points["value"].astype(str)
    draw_chart(
        charts.slice_chart(points, title, dimension.log),
        "slice",
        title="One setting",
        subtitle="for all values of the others",
        alt=f"Accuracy of {plural(len(frame), 'run')} by {title}.",
        filename=f"{name}-{field}",
        subject=name,
        make_table=lambda: points,
    )
