"""Exports of a run: its network as a file that is checked when it is made, and its reports."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.errors import UserError
from core.exports.c.export import C_FORMATS, CHeader, export_c
from core.exports.export import FORMATS, Export, export
from core.exports.tensorboard import EXTENSION, write_events
from core.reports import report as reports
from core.runs.config_file import write_config
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import checkpoints, dataset
from pages.ui.experiments import shared
from pages.ui.frame import KEPT, heading
from pages.ui.run_boxes import run_titles, select_run
from pages.ui.words import capitalise, escape_markdown

WEIGHTS = ("last", "best")
ALL_FORMATS = {**FORMATS, **C_FORMATS}
REPORTS = (
    (
        "Report (HTML)",
        "-report.html",
        "text/html",
        reports.write_html,
        "With charts and the hardest images, in one file, to read, print or send.",
    ),
    (
        "Report (Markdown)",
        "-report.md",
        "text/markdown",
        reports.write_markdown,
        "Without images, for a repository or an issue.",
    ),
    (
        "Settings (JSON)",
        "-config.json",
        "application/json",
        lambda run: write_config(run.config),
        "For Train, behind “Share”, or for `python -m core train --config`.",
    ),
    (
        "TensorBoard events",
        EXTENSION,
        "application/octet-stream",
        write_events,
        "The curves for TensorBoard: put the file into a folder of its own below its log folder.",
    ),
)


def show_exports(runs: Sequence[Run]) -> None:
    """Show a control for the run, and the files that can be made of it."""
    listed = checkpoints.listed_runs("taken")
    names = [run.name for run in listed]
    if not names:
        shared.show_invitation(
            "A trained run can be exported: its network, a script that trains it, and a report."
        )
        return
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        name = select_run(
            "Run",
            names,
            "taken",
            run_titles(listed),
            "final",
            width=240,
            label_visibility="collapsed",
        )
        which = (
            st.segmented_control(
                "Weights",
                WEIGHTS,
                default=WEIGHTS[0],
                required=True,
                key="weights",
                label_visibility="collapsed",
                **KEPT,
            )
            or WEIGHTS[0]
        )
    run = open_run(name)
    heading("Network", "each file is loaded again and compared with the run on 1,000 test images")
    for format in ALL_FORMATS:
        _show_format(run, format, which)
    heading("Reports and data", "written when you download them")
    for title, ending, mime, write, help in REPORTS:
        name = ending.replace(".", "_")
        with st.container(
            border=True,
            horizontal=True,
            vertical_alignment="center",
            gap="small",
            key=f"experiments_report{name}",
        ):
            st.markdown(f"**{title}**  \n:gray[:small[{help}]]", width="stretch")
            st.download_button(
                "Download",
                partial(write, run),
                f"{run.name}{ending}",
                mime,
                key=f"experiments_save_report{name}",
                on_click="ignore",
                icon=":material/download:",
            )


def _show_format(run: Run, format: str, which: str) -> None:
    """Show one kind of file: a button that makes it, then its check and a download button."""
    about = ALL_FORMATS[format]
    with st.container(
        border=True,
        horizontal=True,
        vertical_alignment="center",
        gap="small",
        key=f"experiments_export_{format}",
    ):
        text, button = st.empty(), st.empty()
        text.markdown(f"**{about.title}**  \n:gray[:small[{about.help}]]", width="stretch")
        requested = st.session_state.setdefault("experiments_exports", set())
        key = (run.name, format, which, checkpoints.weights_time(run, which))
        if key not in requested:
            if not button.button("Make", icon=":material/build:", key=f"experiments_make_{format}"):
                return
            if not dataset.load_digits():
                return
            requested.add(key)
        try:
            made = _export(*key)
        except UserError as error:
            reason = escape_markdown(capitalise(str(error)))
            text.markdown(
                f"**{about.title}**  \n:small[:material/error: {reason}]", width="stretch"
            )
            button.empty()
            return
        text.markdown(
            f"**{about.title}** :gray[{len(made.data) / 1e3:,.1f} kB]  \n"
            f":gray[:small[:material/check: {escape_markdown(made.summary)}]]",
            width="stretch",
        )
        button.download_button(
            "Download",
            made.data,
            made.name,
            about.mime,
            key=f"experiments_save_{format}",
            on_click="ignore",
            icon=":material/download:",
        )


@st.cache_data(max_entries=24, show_spinner="Making and checking the file")
def _export(name: str, format: str, which: str, weights_time: int) -> Export | CHeader:
    run = open_run(name)
    if format in C_FORMATS:
        return export_c(run, which, format.partition("-")[2])
    return export(run, format, which)
