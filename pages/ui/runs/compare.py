"""Several runs or groups side by side: their curves in one chart, and what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from core.charts import runs as charts
from core.experiments import overview
from core.experiments.overview import Entry, SweepRuns
from core.experiments.repeats import Group
from core.experiments.scores import describe_validation_images
from core.runs.run import Run
from core.training.results import EpochResult
from pages.ui.components.chart import draw_chart
from pages.ui.frame import KEPT
from pages.ui.runs.dialogs import confirm_delete
from pages.ui.runs.differences import draw_differences
from pages.ui.runs.parallel import draw_parallel
from pages.ui.words import escape_markdown, list_titles

# The plotted value of an epoch: of the validation images, and of the training images if any.
EpochValue = Callable[[EpochResult], float]
VALUES: dict[str, tuple[EpochValue, EpochValue | None]] = {
    charts.ACCURACY: (lambda row: row.val_accuracy, lambda row: row.train_accuracy),
    charts.LOSS: (lambda row: row.val_loss, lambda row: row.train_loss),
    charts.RATE: (lambda row: row.lr, None),
}


SMOOTHING = (1, 3, 5, 7, 9, 15, 21)  # epochs


def show_comparison(entries: Sequence[Entry]) -> None:
    """Show what differs between at least two entries, and a button that deletes them."""
    draw_differences(entries)
    runs = [run for entry in entries for run in overview.runs_of(entry)]
    draw_parallel(list({run.name: run for run in runs}.values()), "selection")
    if len(entries) == 2 and all(isinstance(entry, Run) and entry.epochs for entry in entries):
        st.page_link(
            "pages/experiments.py",
            label=":primary[Is the difference clear?]",
            icon=":material/arrow_forward:",
            icon_position="right",
            query_params={
                "experiment": "Compare",
                "first": entries[0].name,
                "second": entries[1].name,
            },
        )
    names = list(dict.fromkeys(run.name for entry in entries for run in overview.runs_of(entry)))
    st.button(
        f"Delete these {len(names)} runs",
        icon=":material/delete:",
        type="tertiary",
        key="runs_delete_selected",
        help="Asks for confirmation and can be undone.",
        on_click=confirm_delete,
        args=(names,),
    )


def draw_curves(entries: Sequence[Entry]) -> None:
    """Draw the curves of runs in one chart; those of a group as their mean within a band."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        measure = (
            st.segmented_control(
                "Curves",
                charts.MEASURES,
                default=charts.ACCURACY,
                required=True,
                key="curves",
                label_visibility="collapsed",
                **KEPT,
            )
            or charts.ACCURACY
        )
        validation, training = VALUES[measure]
        with_training = st.toggle(
            "Training curves",
            key="training",
            disabled=training is None,
            **KEPT,
            help="Thin and dashed, behind the curves of the validation images.",
        )
        smoothing = st.select_slider(
            "Smoothing",
            SMOOTHING,
            key="smooth",
            width=180,
            format_func=lambda epochs: f"{epochs:g}",
            help="Number of epochs that a moving average of each curve spans. 1: no average.",
            **KEPT,
        )
    started = [entry for entry in entries if overview.scored_runs(entry)]
    if not started:
        st.markdown(":gray[No epoch is finished yet.]")
        return
    names, titles = [entry.name for entry in entries], list_titles(entries)
    curves = smooth_curves(make_curves(started, validation), smoothing)
    behind = None
    if with_training and training:
        behind = smooth_curves(make_curves(started, training)[["run", "epoch", "value"]], smoothing)
    draw_chart(
        charts.curve_chart(curves, measure, names, behind, titles),
        "overlay",
        title=measure.capitalize(),
        subtitle=_describe_lines(measure, started, behind is not None),
        alt=describe_curves(started, measure),
        subject=", ".join(names),
        filename=f"{'-'.join(names)[:100]}-{measure.replace(' ', '-')}",
        make_table=lambda: curves.rename(columns={"value": measure}),
    )
    for entry in entries:
        if entry not in started:
            what = "epoch" if isinstance(entry, Run) else "run"
            st.caption(f"{escape_markdown(titles[entry.name])}: no {what} is finished yet.")
    if len({_first_run(entry).config.holdout for entry in started}) > 1:
        st.caption(
            ":material/warning: These runs have different validation images, so their curves are "
            "hard to compare."
        )


def _first_run(entry: Entry) -> Run:
    return overview.runs_of(entry)[0]


def _describe_lines(measure: str, entries: Sequence[Entry], with_training: bool) -> str:
    if measure == charts.RATE:
        return "at the start of each epoch"
    images = {describe_validation_images(_first_run(entry)) for entry in entries}
    parts = [images.pop() if len(images) == 1 else "validation"]
    if with_training:
        parts.append("thin: training")
    if any(isinstance(entry, Group) for entry in entries):
        parts.append("band: from the worst seed to the best")
    if any(isinstance(entry, SweepRuns) for entry in entries):
        parts.append("of a sweep: its best run")
    return ", ".join(parts)


def make_curves(entries: Sequence[Entry], value: EpochValue) -> pd.DataFrame:
    """Make the rows that `core.charts.runs.curve_chart` plots."""
    return pd.concat([overview.mean_curve(entry, value) for entry in entries])


def smooth_curves(curves: pd.DataFrame, epochs: int) -> pd.DataFrame:
    """The centred moving average of each curve.

    Args:
        curves: columns run, epoch, value and optionally low and high.
        epochs: that the average spans, an odd number.
    """
    values = [name for name in ("value", "low", "high") if name in curves]
    averages = curves.groupby("run", sort=False)[values].transform(
        lambda curve: curve.rolling(epochs, center=True, min_periods=1).mean()
    )
    return curves.assign(**{name: averages[name] for name in values})


def describe_curves(entries: Sequence[Entry], measure: str) -> str:
    """Describe the chart for screen readers: the last value of each curve."""
    digits = ".2f" if measure == charts.ACCURACY else ".4g"
    last = [overview.mean_curve(entry, VALUES[measure][0]).iloc[-1] for entry in entries]
    titles = list_titles(entries)
    ends = "; ".join(
        f"{titles[row['run']]}: {row['value']:{digits}}, epoch {row['epoch']}" for row in last
    )
    title = "Learning rate" if measure == charts.RATE else f"Validation {measure}"
    return f"{title} by epoch. {ends}."
