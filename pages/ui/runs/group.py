"""Details of a group of repeated runs on the Runs page."""

from __future__ import annotations

import streamlit as st

from core.experiments.repeats import Group
from core.reports import report as reports
from core.runs import listing
from pages.ui import tables, words
from pages.ui.runs.dialogs import draw_delete_all, select_runs
from pages.ui.runs.table import MAX_SELECTED
from pages.ui.words import escape_markdown


def show_group(group: Group) -> None:
    """Show a group's mean over its seeds, links to its runs, and actions."""
    _show_heading(group)
    stats, interval = group.statistics, group.interval
    mean = deviation = half_width = "–"
    if stats:
        mean = f"{stats.mean:.2f}\u00a0%"
        if interval:
            deviation = f"{stats.deviation:.2f}"
            half_width = f"± {(interval[1] - interval[0]) / 2:.2f}"
    tables.draw_metrics(
        {
            "Mean": mean,
            "Standard deviation": deviation,
            "95 % interval": half_width,
            "Parameters": f"{group.runs[0].parameters:,}",
            "Time": words.format_duration(sum(listing.total_seconds(run) for run in group.runs)),
        }
    )
    st.caption(escape_markdown(group.summary))
    st.caption(escape_markdown(group.shared))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for run in group.runs:
            st.page_link(
                "pages/train.py",
                label=f"Seed {run.config.seed}: {words.format_score(run)}",
                icon=words.state_badge(run.state)[1],
                query_params={"run": run.name},
                help=f"{escape_markdown(run.name)}: {run.state}",
            )
    _show_actions(group)


def _show_heading(group: Group) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(escape_markdown(group.name), anchor=False, width="content")
        st.badge(
            f"{len(group.finished)} of {len(group.runs)} seeds",
            icon=":material/casino:",
            color="gray",
        )
        if goal := words.describe_goal(group):
            st.badge(
                goal,
                icon=":material/flag:",
                color="green",
                help="The mean of the group reaches the goal, not only its best run.",
            )
        st.space("stretch")
        st.page_link(
            "pages/experiments.py",
            label="Experiments",
            icon=":material/science:",
            query_params={"experiment": "Repeats", "group": group.name},
            help="Add seeds, or compare groups.",
        )


def _show_actions(group: Group) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Select its runs",
            icon=":material/stacked_line_chart:",
            key="runs_select_group",
            type="tertiary",
        ):
            select_runs([run.name for run in group.runs[:MAX_SELECTED]])
            st.rerun()
        if group.finished:
            st.download_button(
                "Report (Markdown)",
                lambda: reports.write_markdown(group),
                f"{group.name}-report.md",
                "text/markdown",
                key="runs_group_report",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )
        draw_delete_all(group.runs, "group")
