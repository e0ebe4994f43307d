"""One group of repeats: what its seeds reach together, its runs, and the ways from here."""

from __future__ import annotations

import streamlit as st

from core.experiments import overview
from core.experiments.repeats import Group
from core.reports import report as reports
from core.runs import listing
from pages.ui import tables, words
from pages.ui.runs.dialogs import ask_delete, turn_to
from pages.ui.runs.table import MOST


def look_at_group(group: Group) -> None:
    """A group, and what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(group.name, anchor=False, width="content")
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
                help="By its mean, not by its luckiest run.",
            )
        st.space("stretch")
        st.page_link(
            "pages/experiments.py",
            label="Experiments",
            icon=":material/science:",
            query_params={"experiment": "Repeats", "group": group.name},
            help="More seeds, and comparisons.",
        )
    found = overview.validation(group)
    half = (
        (found.interval[1] - found.interval[0]) / 2
        if found and found.deviation is not None
        else None
    )
    tables.draw_metrics(
        {
            "Mean": f"{found.mean:.2f}\u00a0%" if found else "–",
            "Deviation": f"{found.deviation:.2f}" if found and found.deviation is not None else "–",
            "95 % interval": "–" if half is None else f"± {half:.2f}",
            "Parameters": f"{group.runs[0].parameters:,}",
            "Time": words.format_duration(sum(listing.total_seconds(run) for run in group.runs)),
        }
    )
    st.caption(group.words)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for run in group.runs:
            st.page_link(
                "pages/train.py",
                label=f"Seed {run.config.seed}: {words.format_accuracy(run)}",
                icon=words.state_badge(run.state)[1],
                query_params={"run": run.name},
                help=f"{run.name}: {run.state}",
            )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Its runs one by one",
            icon=":material/stacked_line_chart:",
            key="one_by_one",
            type="tertiary",
        ):
            turn_to([run.name for run in group.runs[:MOST]])
            st.rerun()
        if group.finished:
            st.download_button(
                "Report (Markdown)",
                lambda: reports.markdown(group),
                f"{group.name}-report.md",
                "text/markdown",
                key="group_report",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )
        live = any(run.is_live for run in group.runs)
        if st.button(
            "Delete",
            icon=":material/delete:",
            key="delete_group",
            type="tertiary",
            disabled=live,
            help="It trains; stop it first."
            if live
            else "All its runs. Asks first, and can be undone.",
        ):
            ask_delete([run.name for run in group.runs])
