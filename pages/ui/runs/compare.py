"""Several runs beside each other: their curves in one chart, and only what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.charts import runs as charts_runs
from core.charts import training as charts
from core.config import FIELDS
from core.data import transform_text
from core.experiments import overview
from core.experiments.overview import Entry
from core.experiments.repeats import Group
from core.models import row_text
from core.runs import listing
from core.runs.run import Run
from core.training.results import EpochResult
from pages.ui import tables, words
from pages.ui.components.chart import draw_chart
from pages.ui.controls import field_label
from pages.ui.frame import KEPT
from pages.ui.runs.dialogs import ask_delete

MEASURE, TRAINING = "curves", "training"
# What is drawn of an epoch: on the validation images, and on the training images where there is such a thing.
VALUES = {
    charts_runs.ACCURACY: (lambda row: row.val_accuracy, lambda row: row.train_accuracy),
    charts_runs.LOSS: (lambda row: row.val_loss, lambda row: row.train_loss),
    charts_runs.RATE: (lambda row: row.lr, None),
}


def compare(entries: Sequence[Entry]) -> None:
    """What differs between at least two runs or groups, and a way to delete them."""
    differences(entries)
    runs = list(dict.fromkeys(run.name for entry in entries for run in overview.members(entry)))
    if st.button(
        f"Delete these {len(runs)} runs",
        icon=":material/delete:",
        type="tertiary",
        key="delete_several",
        help="Asks first, and can be undone.",
    ):
        ask_delete(runs)


def curves(entries: Sequence[Entry]) -> None:
    """Curves over each other; those of a group as their mean in a band."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        measure = st.segmented_control(
            "Curves",
            charts_runs.MEASURES,
            default=charts_runs.ACCURACY,
            required=True,
            key=MEASURE,
            label_visibility="collapsed",
            **KEPT,
        )
        validation, training = VALUES[measure]
        behind = st.toggle(
            "Training curves too",
            key=TRAINING,
            disabled=training is None,
            **KEPT,
            help="Thin and dashed, behind those on the validation images.",
        )
    begun = [entry for entry in entries if overview.counted(entry)]
    if not begun:
        st.markdown(":gray[No epoch is done yet.]")
        return
    shown, names = frame(begun, validation), [entry.name for entry in entries]
    beside = frame(begun, training)[["run", "epoch", "value"]] if behind and training else None
    banded = any(isinstance(entry, Group) for entry in begun)
    draw_chart(
        charts_runs.overlay(shown, measure, names, beside),
        "overlay",
        title=measure.capitalize(),
        subtitle=_quiet(measure, beside is not None, banded),
        alt=said(begun, measure),
        subject=", ".join(names),
        filename=f"{'-'.join(names)[:100]}-{measure.replace(' ', '-')}",
        make_table=lambda: shown.rename(columns={"value": measure}),
    )
    for entry in entries:
        if entry not in begun:
            st.caption(
                f"{entry.name}: {'no run is finished' if isinstance(entry, Group) else 'no epoch is done'} yet."
            )
    if len({_first(entry).config.holdout for entry in begun}) > 1:
        st.caption(
            ":material/warning: Not all of them are validated on the same images, which makes their curves "
            "hard to compare."
        )


def _first(entry: Entry) -> Run:
    return overview.members(entry)[0]


def _quiet(measure: str, training: bool, band: bool) -> str:
    if measure == charts_runs.RATE:
        return "at the start of each epoch"
    return (
        "on the validation images"
        + (", thin: on the training images" if training else "")
        + (", band: from the worst seed to the best" if band else "")
    )


def frame(entries: Sequence[Entry], value: Any) -> pd.DataFrame:
    """Rows as `charts_runs.overlay` takes them."""
    return pd.concat([overview.curve(entry, value) for entry in entries])


def said(entries: Sequence[Entry], measure: str) -> str:
    """The chart in words."""
    digits = ".2f" if measure == charts_runs.ACCURACY else ".4g"
    last = [overview.curve(entry, VALUES[measure][0]).iloc[-1] for entry in entries]
    ends = "; ".join(
        f"{row['run']}: {row['value']:{digits}} after {row['epoch']} epochs" for row in last
    )
    return (
        f"Validation {measure} by epoch. {ends}."
        if measure != charts_runs.RATE
        else f"Learning rates. {ends}."
    )


def differences(entries: Sequence[Entry]) -> None:
    """What runs and groups have reached, and the settings in which they differ."""
    st.markdown("##### What differs :gray[:small[results above, settings below]]")
    fields = listing.differing_fields([_first(entry) for entry in entries])
    rows = results(entries) | {
        field_label(name): [_setting(entry, name) for entry in entries] for name in fields
    }
    names = [entry.name for entry in entries]
    dashed = [
        name
        for name, dash in zip(names, charts_runs.dashes(names), strict=True)
        if dash != charts_runs.FULL
    ]
    tables.draw_comparison_table(
        {name: charts.colour(name) for name in names}, rows, "What differs between the runs", dashed
    )
    same = len(FIELDS) - len(fields)
    st.caption(
        f"The other {same} settings are the same."
        if fields
        else "All settings are the same: what differs is chance, or the machine."
    )


def results(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """What runs and groups have reached, in words."""
    runs = [run for entry in entries for run in overview.members(entry)]
    rows: dict[str, list[str]] = {
        "Last epoch": [_last(entry) for entry in entries],
        "Best epoch": ["–" if isinstance(entry, Group) else _best(entry.best) for entry in entries],
        "95 % interval": [_interval(entry) for entry in entries],
        "State": [
            f"{len(entry.finished)} of {len(entry.runs)} seeds finished"
            if isinstance(entry, Group)
            else f"{entry.state}, {len(entry.epochs)} of {entry.config.epochs} epochs"
            for entry in entries
        ],
        "Parameters": [f"{_first(entry).parameters:,}" for entry in entries],
        "Time": [
            words.format_duration(seconds)
            if (seconds := sum(map(listing.total_seconds, overview.members(entry))))
            else "–"
            for entry in entries
        ],
    }
    if any(run.test for run in runs):
        rows["On the test images"] = [_tested(entry) for entry in entries]
    if any(run.parent for run in runs):
        rows["Forked from"] = [
            f"{run.parent['name']}, epoch {run.parent['epoch']}" if run.parent else "–"
            for run in map(_first, entries)
        ]
    return rows


def _last(entry: Entry) -> str:
    found = overview.validation(entry)
    if found is None:
        return "–"
    apart = f" ± {found.deviation:.2f}" if found.deviation is not None else ""
    return f"{found.mean:.2f}\u00a0%{apart}"


def _interval(entry: Entry) -> str:
    found = overview.validation(entry)
    return f"{found.interval[0]:.2f} to {found.interval[1]:.2f}" if found else "–"


def _tested(entry: Entry) -> str:
    found = overview.accuracy(entry) if any(run.test for run in overview.members(entry)) else None
    return "–" if found is None else f"{found:.2f} %"


def _setting(entry: Entry, name: str) -> str:
    if name == "seed" and isinstance(entry, Group):
        return ", ".join(str(run.config.seed) for run in entry.runs)
    return setting(_first(entry), name)


def _best(row: EpochResult | None) -> str:
    return f"{row.val_accuracy:.2f} % in epoch {row.epoch}" if row else "–"


def setting(run: Run, name: str) -> str:
    """A field of a run's config in words."""
    value = getattr(run.config, name)
    if name == "layers":
        return row_text.to_text(value) if value else "those of the network"
    if name == "transforms":
        return transform_text.to_text(value) if value else "those of the augmentation"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
