"""The runs that are training or queued, with their progress."""

from __future__ import annotations

import streamlit as st

from core.runs import run_queue
from core.runs.progress import estimate_progress
from core.runs.run import Run
from core.runs.store import list_runs
from core.runs.waiting import estimate_waiting
from pages.ui import words
from pages.ui.controls import RUN
from pages.ui.polling import poll
from pages.ui.words import escape_markdown

POLL = 2.0  # seconds


def draw_live_runs() -> None:
    """Draw a card for each run that is training or queued, and keep the cards up to date."""
    poll(_draw_cards, POLL, key="home_live")()


def _draw_cards() -> None:
    run_queue.start_waiting()
    runs = {run.name: run for run in list_runs() if isinstance(run, Run)}
    waiting = estimate_waiting(list(runs.values()))
    live = [*(run for run in runs.values() if run.is_live), *(runs[name] for name in waiting)]
    for run in live:
        now, accuracy = estimate_progress(run), words.describe_accuracy(run) if run.last else ""
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link(
                    "pages/train.py",
                    label=f"**{escape_markdown(run.label)}**",
                    icon=words.state_badge(run.state)[1],
                    query_params={RUN: run.name},
                )
                st.space("stretch")
                progress = escape_markdown(words.describe_progress(run, now, waiting.get(run.name)))
                st.markdown(f"{accuracy} :gray[{progress}]", width="content")
            st.progress(now.share)
    if live:
        st.space("xsmall")
