"""The Runs page: all runs in a table, details of one, and a comparison of several."""

import streamlit as st

from core.experiments import overview
from core.experiments.overview import SweepRuns
from core.runs import run_queue, store
from core.runs.run import DamagedRun, Run
from pages.ui import checkpoints
from pages.ui.frame import page
from pages.ui.runs import dialogs
from pages.ui.runs.bin import show_bin
from pages.ui.runs.compare import draw_curves, show_comparison
from pages.ui.runs.group import show_group
from pages.ui.runs.queue import show_queue
from pages.ui.runs.run import show_run
from pages.ui.runs.sweep import show_sweep
from pages.ui.runs.table import draw_table, filter_runs, select_entries
from pages.ui.runs.uploads import show_damaged, show_import


def show_run_or_damage(run: Run, runs: list[Run]) -> None:
    """Show a run; one that cannot be shown in spite of all checks, as damaged, to be deleted."""
    place = st.empty()
    try:
        with place.container():
            show_run(run, runs)
    except Exception as error:
        place.empty()
        reason = f"it cannot be shown ({type(error).__name__}: {error!s:.200})"
        show_damaged([DamagedRun(run.name, run.folder, reason, owner=run.owner)])


def show_runs(runs: list[Run]) -> None:
    """Show the table of runs, and below it details of one selected run, or several compared."""
    matching = filter_runs(runs)
    above = st.container()
    # Before the table, which marks the selected rows.
    selected = select_entries([*runs, *overview.find_groups(runs), *overview.find_sweeps(runs)])
    with above:
        if matching:
            draw_table(matching)
        else:
            st.markdown(":gray[No run matches. Search for fewer words, or choose “any state”.]")
    details, chart, comparison = st.container(), st.container(), st.container()
    with details:
        if len(selected) == 1:
            if isinstance(selected[0], Run):
                show_run_or_damage(selected[0], runs)
            elif isinstance(selected[0], SweepRuns):
                show_sweep(selected[0])
            else:
                show_group(selected[0])
    # The chart's bound widgets stay in one place: a widget that moves is dropped from the link.
    with chart:
        if selected:
            draw_curves(selected)
    with comparison:
        if len(selected) > 1:
            show_comparison(selected)


page(
    "Runs",
    "All training runs. Select one run for details, several to compare them.",
    style="runs/runs.css",
)
dialogs.apply_selection()
run_queue.start_waiting()
entries = store.list_runs()
runs = [run for run in entries if isinstance(run, Run)]
if runs:
    show_runs(runs)
    show_queue(runs)
else:
    st.markdown(
        "Nothing trained yet. Train the Final recipe, which takes a few minutes here, or import a "
        "run below."
    )
    checkpoints.draw_first_run_link()
show_damaged([entry for entry in entries if isinstance(entry, DamagedRun)])
st.divider()
left, right = st.columns(2, gap="large")
with left:
    show_import()
with right:
    show_bin()
dialogs.show_messages()
dialogs.show_dialog()
