"""The board: who trains what, how far each run is, and the best results."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.experiments import board as boards
from core.runs import run_queue
from core.runs.progress import estimate_progress
from core.runs.run import Run
from core.runs.store import list_runs
from core.runs.waiting import estimate_waiting
from pages.ui import words
from pages.ui.controls import RUN, field_label
from pages.ui.polling import poll
from pages.ui.runs.columns import colour_dot
from pages.ui.runs.table import MAX_SELECTED
from pages.ui.tables import curve_column, thin_curve
from pages.ui.words import escape_markdown, plural

POLL = 3.0  # seconds
BEST = 6  # runs that are compared when none is selected
ROW_HEIGHT, HEADER_HEIGHT = 36, 38  # pixels
COLUMNS = {
    "": st.column_config.ImageColumn(width=40, help="The run's colour in every chart."),
    "Place": st.column_config.NumberColumn(width=60),
    "Name": st.column_config.TextColumn(width=170),
    "Accuracy": st.column_config.NumberColumn(
        format="%.2f %%", width=85, help="Validation accuracy after the last finished epoch."
    ),
    "Errors": st.column_config.NumberColumn(
        format="localized", width=75, help="Images that were misclassified."
    ),
    "Progress": st.column_config.ProgressColumn(
        format="percent", min_value=0, max_value=1, width=90
    ),
    "State": st.column_config.TextColumn(width=150),
}
LAST_COLUMNS = {  # behind the settings in which the runs differ
    "Curve": curve_column(),
    "Parameters": st.column_config.NumberColumn(format="localized", width=90),
}


def draw_board(board: str) -> None:
    """Draw a board, which updates itself while one of its runs trains or is queued."""
    live = any(run.is_live or run.state == "queued" for run in _members(board)[0])
    poll(_watch, POLL if live else None, key="board_runs")(board, live)


def _members(board: str) -> tuple[list[Run], list[Run]]:
    """The board's runs, and all runs."""
    runs = [run for run in list_runs() if isinstance(run, Run)]
    return boards.select_board(runs, board), runs


def _watch(board: str, live: bool) -> None:
    run_queue.start_waiting()
    members, runs = _members(board)
    if live and not any(run.is_live or run.state == "queued" for run in members):
        st.rerun()  # the whole page, which then stops polling
    if not members:
        st.markdown(f":gray[No run has the tag or the prefix {escape_markdown(board[:60])} yet.]")
        return
    st.markdown(_describe(members))
    waiting = estimate_waiting(runs)
    differing = boards.differing_settings(members)
    table = pd.DataFrame([_row(place, run, differing) for place, run in enumerate(members, 1)])
    table["State"] = [
        words.describe_waiting(waiting[run.name])
        if run.name in waiting
        else words.describe_progress(run, estimate_progress(run))
        if run.is_live
        else run.state
        for run in members
    ]
    # A selection is one of rows, so it does not outlive their order.
    key = f"board_table_{zlib.crc32('/'.join(run.name for run in members).encode())}"
    st.dataframe(
        table[[*COLUMNS, *map(field_label, differing), *LAST_COLUMNS]],
        key=key,
        hide_index=True,
        height=ROW_HEIGHT * len(members) + HEADER_HEIGHT,
        row_height=ROW_HEIGHT,
        selection_mode="multi-row",
        on_select="rerun",
        column_config=COLUMNS | LAST_COLUMNS,
        placeholder="",
        alt=f"The runs of {board}, the most accurate first.",
    )
    selected = [members[row] for row in st.session_state[key].selection.rows]
    _draw_compare(members, selected[:MAX_SELECTED])


def _draw_compare(members: Sequence[Run], selected: Sequence[Run]) -> None:
    trained = [run for run in members if run.epochs]
    compared = list(selected) or trained[:BEST]
    if len(selected) == 1:
        run = selected[0]
        if st.button(
            f"Open {escape_markdown(run.label)}",
            type="primary",
            icon=":material/arrow_forward:",
            key="board_open",
            help="Opens the run on Train, with its curves and what follows from them.",
        ):
            st.switch_page("pages/train.py", query_params={RUN: run.name})
    if len(compared) < 2:
        return
    what = f"these {len(compared)}" if selected else f"the best {len(compared)}"
    if st.button(
        f"Compare {what}",
        type="primary",
        icon=":material/stacked_line_chart:",
        key="board_compare",
        help="Opens Runs with their curves and settings side by side.",
    ):
        st.switch_page("pages/runs.py", query_params={"select": [run.name for run in compared]})


def _describe(members: Sequence[Run]) -> str:
    parts = [plural(len(members), "run")]
    for state, word in (("live", "training"), ("queued", "queued"), ("finished", "finished")):
        count = sum(run.is_live if state == "live" else run.state == state for run in members)
        if count:
            parts.append(f"{count} {word}")
    best = members[0]
    text = ", ".join(parts)
    if best.last:
        text += f". Best: **{escape_markdown(best.label)}** with {words.format_accuracy(best)}"
    return f"{text}."


def _row(place: int, run: Run, differing: Sequence[str]) -> dict[str, object]:
    row: dict[str, object] = {
        "": colour_dot(run.name),
        "Place": place if run.last else None,
        "Name": run.label,
        "Accuracy": run.last.val_accuracy if run.last else None,
        "Errors": run.last.val_errors if run.last else None,
        "Progress": len(run.epochs) / run.config.epochs,
        "Curve": thin_curve(run),
        "Parameters": run.parameters,
    }
    for name in differing:
        value = getattr(run.config, name)
        row[field_label(name)] = ("custom" if value else "") if isinstance(value, tuple) else value
    return row
