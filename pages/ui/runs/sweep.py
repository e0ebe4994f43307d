"""Details of a sweep on the Runs page: its best run, its settings as lines, and actions."""

from __future__ import annotations

import streamlit as st

from core.experiments.overview import SweepRuns
from core.runs import listing
from pages.ui import tables, words
from pages.ui.runs.dialogs import draw_delete_all, select_runs
from pages.ui.runs.parallel import draw_parallel
from pages.ui.runs.table import MAX_SELECTED
from pages.ui.words import escape_markdown, plural


def show_sweep(sweep: SweepRuns) -> None:
    """Show a sweep's best run, all its runs over their settings, and actions."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(escape_markdown(sweep.name), anchor=False, width="content")
        st.badge(plural(len(sweep.runs), "run"), icon=":material/search:", color="gray")
        st.space("stretch")
        st.page_link(
            "pages/experiments.py",
            label="Experiments",
            icon=":material/science:",
            query_params={"experiment": "Sweep", "sweep": sweep.name},
            help="Progress, importance of the settings, and training the winner.",
        )
    best = sweep.best
    tables.draw_metrics(
        {
            "Best accuracy": words.format_accuracy(best),
            "Parameters": f"{best.parameters:,}",
            "Finished": f"{len(sweep.finished)} of {len(sweep.runs)}",
            "Time": words.format_duration(sum(map(listing.total_seconds, sweep.runs))),
        }
    )
    st.caption(
        f"Best run: {escape_markdown(best.name)}. {words.describe_interval(best)} It is the best "
        "of several, so its accuracy is optimistic."
    )
    draw_parallel(sweep.runs, sweep.name)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        count = min(MAX_SELECTED, len(sweep.runs))
        if st.button(
            f"Select its best {count} runs",
            icon=":material/stacked_line_chart:",
            key="runs_select_sweep",
            type="tertiary",
        ):
            select_runs([run.name for run in sweep.runs[:count]])
            st.rerun()
        draw_delete_all(sweep.runs, "sweep")
