"""Home: the goal, runs that reach it, live runs, a first network, ways to start, recent runs."""

import streamlit as st

from core.experiments import overview
from core.runs.run import DamagedRun, Run
from core.runs.store import list_runs
from core.task import GOAL_ACCURACY, GOAL_EPOCHS, MAX_ERRORS, PARAMETER_BUDGET, TEST_IMAGES
from pages.ui.frame import draw_digit_strip, page
from pages.ui.home.first_network import draw_first_network
from pages.ui.home.live import draw_live_runs
from pages.ui.home.runs import (
    draw_frontier,
    draw_goal_badges,
    draw_recent_runs,
    open_selected,
)
from pages.ui.home.start import draw_ways_to_start

page("Home", heading=f"{GOAL_ACCURACY}\u00a0% with fewer than {PARAMETER_BUDGET:,} parameters")
draw_digit_strip()
st.markdown(
    f"That is the goal: after {GOAL_EPOCHS} epochs of training, a network that fits on a few "
    f"printed pages misclassifies at most {MAX_ERRORS} of the {TEST_IMAGES:,} handwritten digits "
    "in the test set.",
    width=640,
)
listed = list_runs()
runs = [run for run in listed if isinstance(run, Run)]
entries = overview.fold_groups(runs, runs, "newest")
open_selected(entries)
draw_goal_badges(entries)
st.space("small")
draw_live_runs()
draw_first_network(runs)
draw_ways_to_start(runs)
st.space("small")
draw_frontier(entries)
draw_recent_runs(runs, entries, [run for run in listed if isinstance(run, DamagedRun)])
