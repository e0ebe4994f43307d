"""Runs: all of them in a table, some of them compared, and one of them looked after."""

import streamlit as st

from core.experiments import overview
from core.runs import run_queue, store
from core.runs.run import DamagedRun, Run
from pages.ui.frame import page
from pages.ui.runs import dialogs as runs_ask
from pages.ui.runs import queue_and_trash as runs_rest
from pages.ui.runs import table as runs_table
from pages.ui.runs.compare import compare, curves
from pages.ui.runs.group import look_at_group
from pages.ui.runs.run import look


def explore(runs: list[Run]) -> None:
    """The table, and what was ticked in it: one run to look at, several to compare."""
    found = runs_table.controls(runs)
    above = st.container()
    ticked = runs_table.choice([*runs, *overview.groups(runs)])  # first, since the table follows it
    with above:
        if found:
            runs_table.table(found)
        else:
            st.markdown(":gray[No run fits. Take words away, or look in any state.]")
    one, chart, several = st.container(), st.container(), st.container()
    with one:
        if len(ticked) == 1:
            if isinstance(ticked[0], Run):
                look(ticked[0], runs)
            else:
                look_at_group(ticked[0])
    # Always in the same place: a bound widget that moves is cut off from the link when its old place is cleared.
    with chart:
        if ticked:
            curves(ticked)
    with several:
        if len(ticked) > 1:
            compare(ticked)


page(
    "Runs",
    "Everything that was trained here. Tick one run to look after it, several to compare them.",
    style="runs/runs.css",
)
runs_ask.begin()
run_queue.start_waiting()
everything = store.list_runs()
runs = [run for run in everything if isinstance(run, Run)]
if runs:
    explore(runs)
    runs_rest.queue(runs)
else:
    st.markdown(
        "Nothing trained yet. The Final recipe takes a few minutes here; a run from elsewhere can be taken in "
        "below."
    )
    st.page_link(
        "pages/train.py",
        label="Train the Final recipe",
        icon=":material/arrow_forward:",
        query_params={"start": "final"},
    )
runs_rest.damaged([each for each in everything if isinstance(each, DamagedRun)])
st.divider()
left, right = st.columns(2, gap="large")
with left:
    runs_rest.take_in()
with right:
    runs_rest.bin()
runs_ask.end()
