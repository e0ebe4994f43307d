"""What Home shows of the runs: who reaches the goal, all of them by size, and the newest in a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.charts import home as charts
from core.experiments import overview
from core.experiments.overview import Entry
from core.experiments.repeats import Group
from core.runs.run import DamagedRun, Run
from core.task import GOAL_EPOCHS, PARAMETER_BUDGET
from pages.ui import checkpoints

SHOWN, DAMAGED, REACHED = 8, 5, 3
_OPENED = "opened"


def open_selected(entries: Sequence[Entry]) -> None:
    """Turn to what was clicked, if anything was."""
    opened = st.session_state.pop(_OPENED, None)
    if (entry := next((entry for entry in entries if entry.name == opened), None)) is not None:
        st.switch_page(**entry_page(entry))


def draw_goal_badges(entries: Sequence[Entry]) -> None:
    """A badge for each group and run that reaches the goal, groups first, or how near the nearest comes."""
    good = [entry for entry in entries if overview.reaches_goal(entry)]
    good.sort(key=lambda entry: (isinstance(entry, Run), -overview.accuracy(entry)))
    near = [
        entry
        for entry in entries
        if overview.accuracy(entry) is not None
        and overview.members(entry)[0].parameters < PARAMETER_BUDGET
        and overview.members(entry)[0].config.epochs <= GOAL_EPOCHS
    ]
    if good:
        with st.container(horizontal=True, gap="small", key="reached"):
            for entry in good[:REACHED]:
                colour, by = (
                    ("gray", "one run")
                    if isinstance(entry, Run)
                    else ("green", f"mean of {len(entry.finished)} seeds")
                )
                st.page_link(
                    **entry_page(entry),
                    label=f":{colour}-badge[:material/flag: {entry.name} reaches it, "
                    f"{overview.accuracy(entry):.2f}\u00a0%, {by}]",
                )
            if len(good) > REACHED:
                st.caption(f"and {len(good) - REACHED} more")
    elif near:
        best = max(near, key=overview.accuracy)
        st.markdown(
            f":gray[No run reaches it yet; {best.name} comes nearest, with "
            f"{overview.accuracy(best):.2f}\u00a0%.]"
        )


def entry_page(entry: Entry) -> dict[str, object]:
    """Where an entry is looked at: a run where it trains, a group among the runs."""
    if isinstance(entry, Run):
        return {"page": "pages/train.py", "query_params": {"run": entry.name}}
    return {"page": "pages/runs.py", "query_params": {"select": overview.key(entry)}}


def draw_frontier(entries: Sequence[Entry]) -> None:
    """All runs with an accuracy, repeats as their mean, by how large their networks are."""
    rows = [
        (entry.name, overview.members(entry)[0].parameters, accuracy, _kind(entry))
        for entry in entries
        if (accuracy := overview.accuracy(entry)) is not None
    ]
    if not rows:
        return
    frame = pd.DataFrame(rows, columns=["run", "parameters", "accuracy", "kind"])
    best = frame.loc[frame["accuracy"].idxmax()]
    several = (
        ", square: the mean of several seeds"
        if any(isinstance(entry, Group) for entry in entries)
        else ""
    )
    st.markdown(
        f"##### Accuracy for its size :gray[:small[diamond: came with the app, dot: your own{several}, line: "
        "the best so far. A click opens a run]]"
    )
    st.altair_chart(
        charts.frontier(frame, PARAMETER_BUDGET),
        key="frontier",
        on_select=_pick,
        selection_mode=charts.PICKED,
        alt=f"Accuracy against parameters of {len(frame):,} runs; the most accurate is {best['run']} with "
        f"{best['accuracy']:.2f} % and {best['parameters']:,} parameters.",
    )


def _kind(entry: Entry) -> str:
    if isinstance(entry, Group):
        return charts.GROUP
    return charts.SHIPPED if checkpoints.is_shipped(entry) else charts.OWN


def _pick() -> None:
    """Remember the run whose point was clicked."""
    points = st.session_state["frontier"].selection.get(charts.PICKED)
    if points:
        st.session_state[_OPENED] = points[0]["run"]


def draw_recent_runs(
    runs: Sequence[Run], entries: Sequence[Entry], damaged: Sequence[DamagedRun]
) -> None:
    """The newest runs in a table, and what cannot be read."""
    st.subheader("Runs so far", anchor=False)
    if not runs:
        st.markdown(":gray[Nothing trained yet. Start with the Final recipe, a few minutes here.]")
    else:
        st.session_state["listed"] = [entry.name for entry in entries[:SHOWN]]
        st.dataframe(
            pd.DataFrame([_row(entry) for entry in entries[:SHOWN]]),
            hide_index=True,
            key="runs",
            on_select=_follow,
            selection_mode="single-cell",
            column_config={
                "Validation": st.column_config.NumberColumn(
                    format="%.2f %%", help="After the last epoch; of a group the mean."
                ),
                "Best": st.column_config.NumberColumn(
                    format="%.2f %%", help="Chosen among the epochs."
                ),
                "Parameters": st.column_config.NumberColumn(format="localized"),
                "Curve": st.column_config.LineChartColumn(
                    y_min=95, y_max=101, help="Validation accuracy by epoch."
                ),
            },
        )
        if len(entries) > SHOWN:
            st.page_link(
                "pages/runs.py", label=f":primary[All {len(runs):,} runs :material/arrow_forward:]"
            )
    for each in damaged[:DAMAGED]:
        st.caption(f":material/error: {each.name} cannot be read: {each.reason}")
    if len(damaged) > DAMAGED:
        st.caption(f":material/error: {len(damaged) - DAMAGED:,} more cannot be read.")


def _row(entry: Entry) -> dict[str, object]:
    """A run's row, or a group's with means."""
    runs, found = overview.members(entry), overview.validation(entry)
    best = [run.best.val_accuracy for run in overview.counted(entry) if run.best]
    alone = isinstance(entry, Run)
    return {
        "Run": entry.name,
        "Validation": found.mean if found else None,
        "Parameters": runs[0].parameters,
        "Best": sum(best) / len(best) if best else None,
        "State": _state(entry) if alone else f"{len(entry.finished)} of {len(runs)} seeds",
        "Goal": "" if not overview.reaches_goal(entry) else "by one run" if alone else "reached",
        "Curve": list(overview.curve(entry, lambda row: row.val_accuracy)["value"]),
    }


def _state(run: Run) -> str:
    done = f"{len(run.epochs)} of {run.config.epochs} epochs"
    return f"{run.config.epochs} epochs" if run.state == "finished" else f"{run.state}, {done}"


def _follow() -> None:
    cells = st.session_state["runs"].selection.cells
    if cells:
        st.session_state[_OPENED] = st.session_state["listed"][cells[0][0]]
