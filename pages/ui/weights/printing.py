"""The controls that take a network's numbers along: on paper, or as a table."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.errors import UserError
from core.exports.network_sheet import MIME, draw_sheet, sheet_to_pdf
from core.insight.weights import read_weights, weights_csv
from core.runs.loading import load_model
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import checkpoints
from pages.ui.words import escape_markdown

# Parameters; only for networks at least this large is it checked whether they fit a page.
LARGE = 4_000


def draw_print_menu(run: Run, epoch: int | None) -> None:
    """Draw a menu with the network's numbers as files.

    Args:
        run: with at least one epoch.
        epoch: whose weights; None: the last.
    """
    which = "last" if epoch is None else epoch
    stem = run.name if epoch is None else f"{run.name}-epoch-{epoch}"
    with st.popover("Print", icon=":material/print:"):
        refusal = _find_refusal(run.name, checkpoints.weights_time(run), run.parameters)
        if refusal:
            st.markdown(escape_markdown(refusal))
        else:
            st.markdown(
                "One page with every number of this network, its rows, its score and its settings."
            )
            for ending, mime in MIME.items():
                st.download_button(
                    f"One page ({ending.upper()})",
                    partial(_make, run.name, which, ending),
                    f"{stem}.{ending}",
                    mime,
                    key=f"weights_save_{ending}",
                    on_click="ignore",
                    icon=":material/print:",
                )
        st.download_button(
            "All numbers (CSV)",
            lambda: weights_csv(read_weights(load_model(open_run(run.name), which))),
            f"{stem}-weights.csv",
            "text/csv",
            key="weights_save_csv",
            on_click="ignore",
            icon=":material/table:",
        )


@st.cache_data(max_entries=64, show_spinner=False)
def _find_refusal(name: str, changed: int, parameters: int) -> str:
    """Say why a network cannot be printed; empty where it can. Networks below LARGE always fit."""
    if parameters < LARGE:
        return ""
    try:
        draw_sheet(open_run(name))
    except UserError as error:
        return str(error)
    return ""


def _make(name: str, which: str | int, ending: str) -> bytes:
    page = draw_sheet(open_run(name), which)
    return sheet_to_pdf(page) if ending == "pdf" else page.encode()
