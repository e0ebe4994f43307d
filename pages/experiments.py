"""Experiments: which of two is better, how far seeds lie apart, which settings to try, and files to take along."""

import streamlit as st

from core.runs import run_queue
from core.runs.run import DamagedRun, Run
from core.runs.store import list_runs
from pages.ui.experiments import compare as experiments_compare
from pages.ui.experiments import exports as experiments_exports
from pages.ui.experiments import lr_range as experiments_rates
from pages.ui.experiments import repeats as experiments_repeats
from pages.ui.experiments import sweeps as experiments_sweeps
from pages.ui.frame import KEPT, page

PARTS = {
    "Compare": experiments_compare.compare,
    "Repeats": experiments_repeats.groups,
    "Rate finder": experiments_rates.finder,
    "Sweep": experiments_sweeps.sweep,
    "Exports": experiments_exports.exports,
}

page(
    "Experiments",
    "One run is an anecdote. Compare with numbers that say how sure they are.",
    style="experiments/experiments.css",
)
part = st.segmented_control(
    "Experiment",
    list(PARTS),
    default="Compare",
    required=True,
    key="experiment",
    label_visibility="collapsed",
    wrap=True,
    **KEPT,
)
run_queue.start_waiting()
everything = list_runs()
asked = {
    st.query_params.get(key) for key in ("first", "second", "repeated", "tested", "swept", "taken")
}
for each in everything:
    if isinstance(each, DamagedRun) and each.name in asked:
        st.warning(f"{each.name} cannot be read: {each.reason}", icon=":material/error:")
PARTS[part]([run for run in everything if isinstance(run, Run)])
