"""The Experiments page: comparisons, repeats, learning rate tests, sweeps and exports."""

import streamlit as st

from core.runs import run_queue
from core.runs.run import DamagedRun, Run
from core.runs.store import list_runs
from pages.ui.experiments.compare import show_compare
from pages.ui.experiments.exports import show_exports
from pages.ui.experiments.lr_range import show_lr_range
from pages.ui.experiments.repeats import show_repeats
from pages.ui.experiments.sweeps import show_sweeps
from pages.ui.frame import KEPT, page
from pages.ui.words import escape_markdown

PARTS = {
    "Compare": show_compare,
    "Repeats": show_repeats,
    "Rate finder": show_lr_range,
    "Sweep": show_sweeps,
    "Exports": show_exports,
}
RUN_KEYS = ("first", "second", "repeated", "tested", "swept", "taken")  # in links

page(
    "Experiments",
    "A single run proves little. Compare runs with intervals and tests.",
    style="experiments/experiments.css",
)
part = (
    st.segmented_control(
        "Experiment",
        list(PARTS),
        default="Compare",
        required=True,
        key="experiment",
        label_visibility="collapsed",
        wrap=True,
        **KEPT,
    )
    or "Compare"
)
run_queue.start_waiting()
entries = list_runs()
linked = {st.query_params.get(key) for key in RUN_KEYS}
for entry in entries:
    if isinstance(entry, DamagedRun) and entry.name in linked:
        st.warning(
            escape_markdown(f"{entry.name} is damaged: {entry.reason}"), icon=":material/error:"
        )
PARTS[part]([entry for entry in entries if isinstance(entry, Run)])
