"""Home: the goal and who reaches it, what is running, three ways to start, and all runs as a picture."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core import charts_home as charts
from core.experiments.scores import GOAL_EPOCHS, score
from core.models.summary import BUDGET
from core.runs import queue
from core.runs.progress import progress
from core.runs.run import Damaged, Run
from core.runs.store import list_runs
from pages.ui import checkpoints, words
from pages.ui.frame import page
from pages.ui.strip import strip

SHOWN, DAMAGED, REACHED = 8, 5, 3
RUNS = Path(__file__).parent / "pages" / "runs.py"


def reached(runs: list[Run]) -> None:
    """A badge for each run that reaches the goal, or how near the nearest comes."""
    good = {run.name: score(run).accuracy for run in runs if words.reaches_goal(run)}
    near = {run.name: score(run).accuracy for run in runs
            if run.last and run.parameters < BUDGET and run.config.epochs <= GOAL_EPOCHS}
    if good:
        with st.container(horizontal=True, gap="small", key="reached"):
            for name in sorted(good, key=good.get, reverse=True)[:REACHED]:
                st.page_link("pages/train.py", query_params={"run": name},
                             label=f":green-badge[:material/flag: {name} reaches it, {good[name]:.2f}\u00a0%]")
            if len(good) > REACHED:
                st.caption(f"and {len(good) - REACHED} more")
    elif near:
        best = max(near, key=near.get)
        st.markdown(f":gray[No run reaches it yet; {best} comes nearest, with {near[best]:.2f}\u00a0%.]")


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
    """Three ways to start: watch, train, draw."""
    drawing = ("Sketch one and see what the trained networks take it for, stroke by stroke."
               if any(run.epochs for run in runs) else "See your writing as a network would: 28 by 28 pixels.")
    final = next((run for run in runs if run.name == "final" and run.last), None)
    to = f"to {words.accuracy(final)}" if final else "towards 99.4\u00a0%"
    for column, (title, text, link, file, settings) in zip(st.columns(3, gap="medium"), (
            ("Watch the story", "How a first network became one of a quarter of its size, and what each change bought.",
             "Story", "story", {}),
            ("Train the Final recipe", f"3,762 parameters and 15 epochs on the real 60,000 images, {to}.",
             "Train", "train", {"start": "final"}),
            ("Draw a digit", drawing, "Draw", "draw", {})), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"##### {title}")
            st.markdown(text)
            st.space("stretch")
            st.page_link(f"pages/{file}.py", label=f":primary[{link} :material/arrow_forward:]", query_params=settings)


def frontier(runs: list[Run]) -> None:
    """All runs with an accuracy, by how large their networks are."""
    rows = [(run.name, run.parameters, score(run).accuracy,
             charts.SHIPPED if checkpoints.is_shipped(run) else charts.OWN) for run in runs if run.last]
    if not rows:
        return
    frame = pd.DataFrame(rows, columns=["run", "parameters", "accuracy", "kind"])
    best = frame.loc[frame["accuracy"].idxmax()]
    st.markdown("##### Accuracy for its size :gray[:small[diamond: came with the app, dot: your own, line: the best so "
                "far. A click opens a run]]")
    st.altair_chart(charts.frontier(frame, BUDGET), key="frontier", on_select=pick, selection_mode=charts.PICKED,
                    alt=f"Accuracy against parameters of {len(frame):,} runs; the most accurate is {best['run']} with "
                    f"{best['accuracy']:.2f} % and {best['parameters']:,} parameters.")


def pick() -> None:
    """Remember the run whose point was clicked."""
    points = st.session_state["frontier"].selection.get(charts.PICKED)
    if points:
        st.session_state["opened"] = points[0]["run"]


def past(runs: list[Run], damaged: list[Damaged]) -> None:
    st.subheader("Runs so far", anchor=False)
    if not runs:
        st.markdown(":gray[Nothing trained yet. Start with the Final recipe, a few minutes here.]")
    else:
        st.session_state["listed"] = [run.name for run in runs[:SHOWN]]
        st.dataframe(
            pd.DataFrame([row(run) for run in runs[:SHOWN]]), hide_index=True, key="runs",
            on_select=follow, selection_mode="single-cell",
            column_config={
                "Validation": st.column_config.NumberColumn(format="%.2f %%", help="After the last epoch."),
                "Best": st.column_config.NumberColumn(format="%.2f %%", help="Chosen among the epochs."),
                "Parameters": st.column_config.NumberColumn(format="localized"),
                "Curve": st.column_config.LineChartColumn(y_min=96, y_max=100, help="Validation accuracy by epoch.")})
        if len(runs) > SHOWN and RUNS.is_file():
            st.page_link("pages/runs.py", label=f":primary[All {len(runs):,} runs :material/arrow_forward:]")
    for each in damaged[:DAMAGED]:
        st.caption(f":material/error: {each.name} cannot be read: {each.reason}")
    if len(damaged) > DAMAGED:
        st.caption(f":material/error: {len(damaged) - DAMAGED:,} more cannot be read.")


def row(run: Run) -> dict[str, object]:
    return {"Run": run.name, "State": run.state, "Validation": run.last.val_accuracy if run.last else None,
            "Best": run.best.val_accuracy if run.best else None, "Parameters": run.parameters,
            "Epochs": f"{len(run.epochs)} of {run.config.epochs}", "Goal": "reached" if words.reaches_goal(run) else "",
            "Curve": [epoch.val_accuracy for epoch in run.epochs]}


def follow() -> None:
    cells = st.session_state["runs"].selection.cells
    if cells:
        st.session_state["opened"] = st.session_state["listed"][cells[0][0]]


page("Home", "", heading="99.4\u00a0% with fewer than 8,000 parameters")
strip()
st.markdown("That is the goal: a network small enough to print on a page which, after 15 epochs, "
            "misreads at most 60 of 10,000 handwritten digits that it has never seen.", width=640)
everything = list_runs()
runs = [run for run in everything if isinstance(run, Run)]
if (opened := st.session_state.pop("opened", None)) is not None:
    st.switch_page("pages/train.py", query_params={"run": opened})
reached(runs)
st.space("small")
running()
ways(runs)
st.space("small")
frontier(runs)
past(runs, [each for each in everything if isinstance(each, Damaged)])
