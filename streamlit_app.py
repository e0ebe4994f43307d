"""Home: the goal and who reaches it, what is running, three ways to start, and all runs as a picture."""

import streamlit as st

from core.experiments import overview
from core.runs import run_queue
from core.runs.progress import estimate_progress
from core.runs.run import DamagedRun, Run
from core.runs.store import list_runs
from pages.ui import words
from pages.ui.frame import draw_digit_strip, page
from pages.ui.home import runs as home_runs


@st.fragment(run_every=2.0)
def running() -> None:
    run_queue.start_waiting()
    live = [
        run
        for run in list_runs()
        if isinstance(run, Run) and (run.is_live or run.state == "queued")
    ]
    for run in sorted(live, key=lambda run: not run.is_live):
        now, so_far = estimate_progress(run), words.format_accuracy(run) if run.last else ""
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link(
                    "pages/train.py",
                    label=f"**{run.name}**",
                    icon=words.state_badge(run.state)[1],
                    query_params={"run": run.name},
                )
                st.space("stretch")
                st.markdown(f"{so_far} :gray[{words.describe_progress(run, now)}]", width="content")
            st.progress(now.share)
    if live:
        st.space("xsmall")


def ways(runs: list[Run]) -> None:
    """Three ways to start: watch, train, draw."""
    drawing = (
        "Sketch one and see what the trained networks take it for, stroke by stroke."
        if any(run.epochs for run in runs)
        else "See your writing as a network would: 28 by 28 pixels."
    )
    final = next((run for run in runs if run.name == "final" and run.last), None)
    to = f"to {words.format_accuracy(final)}" if final else "towards 99.4\u00a0%"
    for column, (title, text, link, file, settings) in zip(
        st.columns(3, gap="medium"),
        (
            (
                "Watch the story",
                "How a first network became one of a quarter of its size, and what each change bought.",
                "Story",
                "story",
                {},
            ),
            (
                "Train the Final recipe",
                f"3,762 parameters and 15 epochs on the real 60,000 images, {to}.",
                "Train",
                "train",
                {"start": "final"},
            ),
            ("Draw a digit", drawing, "Draw", "draw", {}),
        ),
        strict=True,
    ):
        with column.container(border=True, height="stretch"):
            st.markdown(f"##### {title}")
            st.markdown(text)
            st.space("stretch")
            st.page_link(
                f"pages/{file}.py",
                label=f":primary[{link} :material/arrow_forward:]",
                query_params=settings,
            )


page("Home", "", heading="99.4\u00a0% with fewer than 8,000 parameters")
draw_digit_strip()
st.markdown(
    "That is the goal: a network small enough to print on a page which, after 15 epochs, "
    "misreads at most 60 of 10,000 handwritten digits that it has never seen.",
    width=640,
)
everything = list_runs()
runs = [run for run in everything if isinstance(run, Run)]
entries = overview.folded(runs, runs, "newest")
home_runs.open_selected(entries)
home_runs.draw_goal_badges(entries)
st.space("small")
running()
ways(runs)
st.space("small")
home_runs.draw_frontier(entries)
home_runs.draw_recent_runs(runs, entries, [each for each in everything if isinstance(each, DamagedRun)])
