"""Home: the goal, what is running, three ways to start, and the runs so far."""

import base64
from pathlib import Path

import pandas as pd
import streamlit as st

from core.runs import queue
from core.runs.progress import progress
from core.runs.run import Damaged, Run
from core.runs.store import list_runs
from pages.ui import words
from pages.ui.frame import page

STRIP = Path(__file__).parent / "pages" / "ui" / "digits.png"
SHOWN = 8


def goal() -> None:
    pixels = base64.b64encode(STRIP.read_bytes()).decode()
    st.html(f'<div class="strip" role="img" aria-label="Ten handwritten digits, 0 to 9" '
            f'style="mask-image: url(data:image/png;base64,{pixels})"></div>')


@st.fragment(run_every=2.0)
def running() -> None:
    queue.pump()
    live = [run for run in list_runs() if isinstance(run, Run) and (run.is_live or run.state == "queued")]
    for run in sorted(live, key=lambda run: not run.is_live):
        now, so_far = progress(run), words.accuracy(run) if run.last else ""
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link("pages/train.py", label=f"**{run.name}**", icon=words.badge(run.state)[1],
                             query_params={"run": run.name})
                st.space("stretch")
                st.markdown(f"{so_far} :gray[{words.standing(run, now)}]", width="content")
            st.progress(now.share)
    if live:
        st.space("xsmall")


def ways(runs: list[Run]) -> None:
    drawing = ("Sketch one and see what the trained networks take it for, stroke by stroke."
               if any(run.epochs for run in runs) else "See your writing as a network would: 28 by 28 pixels.")
    final = next((run for run in runs if run.name == "final" and run.last), None)
    reached = f"to {words.accuracy(final)}" if final else "towards 99.4\u00a0%"
    for column, (title, text, link, file, settings) in zip(st.columns(3, gap="medium"), (
            ("Draw a digit", drawing, "Draw", "draw", {}),
            ("Train the Final recipe", f"3,762 parameters and 15 epochs on the real 60,000 images, {reached}.",
             "Train", "train", {"start": "final"}),
            ("Try something else", "Another network, other augmentations, another learning rate: is there a way?",
             "Set up a run", "train", {"start": "intermediate"})), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"##### {title}")
            st.markdown(text)
            st.space("stretch")
            st.page_link(f"pages/{file}.py", label=f":primary[{link} :material/arrow_forward:]", query_params=settings)


def past(runs: list[Run], damaged: list[Damaged]) -> None:
    st.subheader("Runs so far", anchor=False)
    if not runs:
        st.markdown(":gray[Nothing trained yet. Start with the Final recipe, a few minutes here.]")
    else:
        st.dataframe(
            pd.DataFrame([row(run) for run in runs[:SHOWN]]), hide_index=True, key="runs",
            on_select=follow, selection_mode="single-cell",
            column_config={
                "Validation": st.column_config.NumberColumn(format="%.2f %%", help="After the last epoch."),
                "Best": st.column_config.NumberColumn(format="%.2f %%", help="Chosen among the epochs."),
                "Parameters": st.column_config.NumberColumn(format="localized"),
                "Curve": st.column_config.LineChartColumn(y_min=96, y_max=100, help="Validation accuracy by epoch.")})
    for each in damaged:
        st.caption(f":material/error: {each.name} cannot be read: {each.reason}")


def row(run: Run) -> dict[str, object]:
    return {"Run": run.name, "State": run.state, "Validation": run.last.val_accuracy if run.last else None,
            "Best": run.best.val_accuracy if run.best else None, "Parameters": words.parameters(run),
            "Epochs": f"{len(run.epochs)} of {run.config.epochs}", "Goal": "reached" if words.reaches_goal(run) else "",
            "Curve": [epoch.val_accuracy for epoch in run.epochs]}


def follow() -> None:
    cells = st.session_state["runs"].selection.cells
    if cells:
        st.session_state["opened"] = cells[0][0]


page("Home", "", heading="99.4\u00a0% with fewer than 8,000 parameters")
goal()
st.markdown("That is the goal: a network small enough to print on a page which, after 15 epochs, "
            "misreads at most 60 of 10,000 handwritten digits that it has never seen.", width=640)
st.space("small")
everything = list_runs()
runs = [run for run in everything if isinstance(run, Run)]
if (opened := st.session_state.pop("opened", None)) is not None:
    st.switch_page("pages/train.py", query_params={"run": runs[opened].name})
running()
ways(runs)
st.space("small")
past(runs, [each for each in everything if isinstance(each, Damaged)])
