"""The Mistakes page: a run's errors, two runs compared, calibration, and doubtful labels."""

import streamlit as st

from core.errors import UserError
from core.runs.evaluation import describe_deviation
from core.runs.run import DamagedRun
from core.runs.store import list_runs
from core.task import TEST_SETS
from pages.ui import checkpoints, dataset
from pages.ui.frame import KEPT, page, warn_unknown
from pages.ui.mistakes.calibration import show_calibration
from pages.ui.mistakes.labels import show_doubtful_labels
from pages.ui.mistakes.one_run import show_one_run
from pages.ui.mistakes.shared import predict_test_images
from pages.ui.mistakes.two_runs import show_two_runs
from pages.ui.run_boxes import VIEWED, run_titles, select_run
from pages.ui.words import escape_markdown

ONE, TWO, CALIBRATION, LABELS = VIEWS = (
    "one run",
    "two runs",
    "calibration",
    "doubtful labels",
)


def warn_about(name: str | None) -> None:
    """Say why a run that the link names cannot be shown."""
    listed = list_runs()
    if name not in {run.name for run in listed}:
        warn_unknown("run", (), "run")
    for run in listed:
        if run.name != name or name in runs:
            continue
        reason = (
            f"is damaged: {run.reason}"
            if isinstance(run, DamagedRun)
            else "has no weights yet; they are saved at the end of its first epoch."
        )
        st.warning(escape_markdown(f"{run.name} {reason}"), icon=":material/error:")


def show_view(view: str, first: str, second: str | None, on: str) -> None:
    """Show a view of one run or two, or an error if their predictions cannot be computed."""
    test = dataset.load_test_set(on)
    if test is None:
        return
    try:
        predictions = {
            name: predict_test_images(runs[name], test) for name in (first, second) if name
        }
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    if (
        on == "mnist"
        and view != TWO
        and (note := describe_deviation(runs[first], predictions[first]))
    ):
        st.caption(f":material/info: {escape_markdown(note)}")
    if view == ONE:
        show_one_run(runs[first], predictions[first], test)
    elif view == CALIBRATION:
        show_calibration(runs[first], predictions[first], test)
    elif view == LABELS:
        show_doubtful_labels(runs[first], predictions[first], test)
    elif second:
        show_two_runs([runs[first], runs[second]], predictions, test)
    else:
        st.markdown(":gray[There is no second run to compare with yet.]")
        st.page_link("pages/train.py", label="Train another", icon=":material/arrow_forward:")


page(
    "Mistakes",
    "The test images that a network misclassifies, and the probabilities it gives them.",
    style="mistakes/mistakes.css",
)
runs = {run.name: run for run in checkpoints.listed_runs(VIEWED, "run", "other")}
warn_about(st.query_params.get("run"))
if not runs:
    st.markdown("No run has been trained yet.")
    checkpoints.draw_first_run_link()
    st.stop()
with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
    pickers = st.container(
        horizontal=True, vertical_alignment="center", gap="small", width="content"
    )
    st.space("stretch")
    on = st.selectbox(
        "Images",
        list(TEST_SETS),
        key="on",
        width=110,
        label_visibility="collapsed",
        help="MNIST's 10,000 test images, or the 50,000 further ones of QMNIST.",
        **KEPT,
    )
    view = (
        st.segmented_control(
            "View",
            VIEWS,
            default=ONE,
            required=True,
            key="show",
            label_visibility="collapsed",
            **KEPT,
        )
        or ONE
    )
with pickers:
    names, titles = list(runs), run_titles(runs.values())
    warn_unknown("other", names, "trained run")
    first = select_run(
        "Run",
        names,
        VIEWED,
        titles,
        "final",
        link="run",
        width=220,
        label_visibility="collapsed",
    )
    others = [name for name in names if name != first]
    second = None
    if view == TWO and others:
        st.markdown("and", width="content")
        second = select_run(
            "Second run", others, "other", titles, width=220, label_visibility="collapsed"
        )
show_view(view, first, second, on)
