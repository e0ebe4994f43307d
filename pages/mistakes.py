"""Mistakes: what a run still gets wrong on the test images, how sure of it, and where two runs differ."""

import streamlit as st

from core.errors import UserError
from core.runs.run import DamagedRun
from core.runs.store import list_runs
from pages.ui import checkpoints, dataset
from pages.ui.frame import KEPT, page
from pages.ui.mistakes.labels import labels
from pages.ui.mistakes.one_run import one_run
from pages.ui.mistakes.shared import predictions
from pages.ui.mistakes.two_runs import two_runs

ONE, TWO, LABELS = VIEWS = ("one run", "two runs", "doubtful labels")


def show(first: str, second: str | None, view: str) -> None:
    """The view that was asked for, or why it cannot be had."""
    sets = dataset.load_digits()
    if not sets:
        return
    test = sets["test"]
    try:
        asked = {name: predictions(runs[name], test) for name in (first, second) if name}
    except UserError as error:
        st.error(str(error), icon=":material/error:")
        return
    if view == ONE:
        one_run(runs[first], asked[first], test)
    elif view == LABELS:
        labels(runs[first], asked[first], test)
    elif second:
        two_runs(asked, test)
    else:
        st.markdown(":gray[There is no second run to compare with yet.]")
        st.page_link("pages/train.py", label="Train another", icon=":material/arrow_forward:")


page(
    "Mistakes",
    "What a network still misreads among the 10,000 test images, and how sure it is of that.",
    style="mistakes/mistakes.css",
)
wanted = st.query_params.get("run")
runs = {run.name: run for run in checkpoints.trained_runs()}
for each in list_runs():
    if each.name == wanted and wanted not in runs:
        st.warning(
            f"{each.name} cannot be read: {each.reason}"
            if isinstance(each, DamagedRun)
            else f"{each.name} has no weights yet; they are saved at the end of its first epoch.",
            icon=":material/error:",
        )
if not runs:
    st.markdown("Nothing has been learnt yet, so nothing can be wrong.")
    st.page_link(
        "pages/train.py",
        label="Train the Final recipe",
        icon=":material/arrow_forward:",
        query_params={"start": "final"},
    )
    st.stop()
with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
    pickers = st.container(
        horizontal=True, vertical_alignment="center", gap="small", width="content"
    )
    st.space("stretch")
    view = st.segmented_control(
        "View", VIEWS, default=ONE, required=True, key="view", label_visibility="collapsed", **KEPT
    )
with pickers:
    names = list(runs)
    name = st.selectbox(
        "Run",
        names,
        names.index("final") if "final" in names else 0,
        key="run",
        width=220,
        label_visibility="collapsed",
        **KEPT,
    )
    others = [each for each in names if each != name]
    other = None
    if view == TWO and others:
        st.markdown("against", width="content")
        other = st.selectbox(
            "Second run", others, key="other", width=220, label_visibility="collapsed", **KEPT
        )
show(name, other, view)
