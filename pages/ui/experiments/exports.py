"""A run as a file for elsewhere, each made and checked when it is asked for, and its reports."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.exports.export import FORMATS, Export, export
from core.reports import report as reports
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import checkpoints, dataset
from pages.ui.experiments import shared as experiments_parts
from pages.ui.frame import KEPT, heading

WEIGHTS = ("last", "best")
REPORTS = (
    (
        "Report as a page",
        ".html",
        "text/html",
        reports.html,
        "With charts and the hardest images, in one file: to read, to print, to send.",
    ),
    (
        "Report as Markdown",
        ".md",
        "text/markdown",
        reports.markdown,
        "The same without pictures: for a repository or an issue.",
    ),
)


def exports(runs: Sequence[Run]) -> None:
    """Pick a run, and take it along."""
    names = [run.name for run in checkpoints.trained_runs()]
    if not names:
        experiments_parts.nothing_yet(
            "A trained run leaves here as a file for elsewhere: its network, a script that trains it, its report."
        )
        return
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        name = st.selectbox(
            "Run",
            names,
            names.index("final") if "final" in names else 0,
            key="taken",
            width=240,
            label_visibility="collapsed",
            **KEPT,
        )
        which = st.segmented_control(
            "Weights",
            WEIGHTS,
            default=WEIGHTS[0],
            required=True,
            key="weights",
            label_visibility="collapsed",
            **KEPT,
        )
    run = open_run(name)
    heading("The network", "loaded again and compared on 1,000 test images before it is handed out")
    for format in FORMATS:
        _network(run, format, which)
    heading("The report", "written when it is asked for")
    for title, ending, mime, write, help in REPORTS:
        with st.container(
            border=True,
            horizontal=True,
            vertical_alignment="center",
            gap="small",
            key=f"as_{ending[1:]}",
        ):
            st.markdown(f"**{title}**  \n:gray[:small[{help}]]", width="stretch")
            st.download_button(
                "Download",
                lambda write=write: write(run),
                f"{run.name}-report{ending}",
                mime,
                key=f"save_report{ending}",
                on_click="ignore",
                icon=":material/download:",
            )


def _network(run: Run, format: str, which: str) -> None:
    known = FORMATS[format]
    with st.container(
        border=True, horizontal=True, vertical_alignment="center", gap="small", key=f"as_{format}"
    ):
        said = st.empty()
        said.markdown(f"**{known.title}**  \n:gray[:small[{known.help}]]", width="stretch")
        asked = st.session_state.setdefault("made_exports", set())
        changed = checkpoints.weights_time(run, which)
        key = (run.name, format, which, changed)
        place = st.empty()
        if key not in asked:
            if not place.button("Make", icon=":material/build:", key=f"make_{format}"):
                return
            if not dataset.load_digits():
                return
            asked.add(key)
        try:
            made = _made(*key)
        except UserError as error:
            said.markdown(
                f"**{known.title}**  \n:small[:material/error: {str(error)[:1].upper()}{str(error)[1:]}]",
                width="stretch",
            )
            place.empty()
            return
        said.markdown(
            f"**{known.title}** :gray[{len(made.data) / 1e3:,.1f} kB]  \n"
            f":gray[:small[:material/check: {made.check.summary}]]",
            width="stretch",
        )
        place.download_button(
            "Download",
            made.data,
            made.name,
            known.mime,
            key=f"save_{format}",
            on_click="ignore",
            icon=":material/download:",
        )


@st.cache_data(max_entries=24, show_spinner="Making and checking the file")
def _made(name: str, format: str, which: str, changed: int) -> Export:
    return export(open_run(name), format, which)
