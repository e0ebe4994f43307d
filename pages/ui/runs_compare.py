"""Several runs beside each other: their curves in one chart, and only what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import charts, charts_runs
from core.config import FIELDS
from core.data import transform_text
from core.models import row_text
from core.runs import listing
from core.runs.run import Run
from core.training.results import EpochResult
from pages.ui import tables, words
from pages.ui.charts import draw
from pages.ui.controls import label
from pages.ui.frame import KEPT
from pages.ui.runs_ask import ask_delete

MEASURE, TRAINING = "curves", "training"
# What is drawn of an epoch: on the validation images, and on the training images where there is such a thing.
VALUES = {charts_runs.ACCURACY: (lambda row: row.val_accuracy, lambda row: row.train_accuracy),
          charts_runs.LOSS: (lambda row: row.val_loss, lambda row: row.train_loss),
          charts_runs.RATE: (lambda row: row.lr, None)}


def compare(runs: Sequence[Run]) -> None:
    """Curves and differences of at least two runs."""
    curves(runs)
    differences(runs)
    if st.button(f"Delete these {len(runs)} runs", icon=":material/delete:", type="tertiary", key="delete_several",
                 help="Asks first, and can be undone."):
        ask_delete([run.name for run in runs])


def curves(runs: Sequence[Run]) -> None:
    """The runs' curves over each other."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        measure = st.segmented_control("Curves", charts_runs.MEASURES, default=charts_runs.ACCURACY, required=True,
                                       key=MEASURE, label_visibility="collapsed", **KEPT)
        validation, training = VALUES[measure]
        behind = st.toggle("Training curves too", key=TRAINING, disabled=training is None, **KEPT,
                           help="Thin and dashed, behind those on the validation images.")
    begun = [run for run in runs if run.epochs]
    if not begun:
        st.markdown(":gray[No epoch is done yet.]")
        return
    shown, names = frame(begun, validation), [run.name for run in runs]
    beside = frame(begun, training) if behind and training else None
    draw(charts_runs.overlay(shown, measure, names, beside), "overlay", title=measure.capitalize(),
         quiet=_quiet(measure, beside is not None), alt=said(begun, measure), of=", ".join(names),
         file=f"{'-'.join(names)[:100]}-{measure.replace(' ', '-')}",
         table=lambda: shown.rename(columns={"value": measure}))
    for run in runs:
        if not run.epochs:
            st.caption(f"{run.name}: no epoch is done yet.")
    if len({run.config.holdout for run in begun}) > 1:
        st.caption(":material/warning: Not all of them are validated on the same images, which makes their curves "
                   "hard to compare.")


def _quiet(measure: str, training: bool) -> str:
    if measure == charts_runs.RATE:
        return "at the start of each epoch"
    return "on the validation images" + (", thin: on the training images" if training else "")


def frame(runs: Sequence[Run], value: Any) -> pd.DataFrame:
    """Rows as `charts_runs.overlay` takes them."""
    return pd.DataFrame([(run.name, row.epoch, value(row)) for run in runs for row in run.epochs],
                        columns=["run", "epoch", "value"])


def said(runs: Sequence[Run], measure: str) -> str:
    """The chart in words."""
    value, digits = VALUES[measure][0], ".2f" if measure == charts_runs.ACCURACY else ".4g"
    ends = "; ".join(f"{run.name}: {value(run.epochs[-1]):{digits}} after {len(run.epochs)} epochs" for run in runs)
    return f"Validation {measure} by epoch. {ends}." if measure != charts_runs.RATE else f"Learning rates. {ends}."


def differences(runs: Sequence[Run]) -> None:
    """What the runs have reached, and the settings in which they differ."""
    st.markdown("##### What differs :gray[:small[results above, settings below]]")
    fields = listing.differing(runs)
    rows = results(runs) | {label(name): [setting(run, name) for run in runs] for name in fields}
    names = [run.name for run in runs]
    dashed = [name for name, dash in zip(names, charts_runs.dashes(names), strict=True) if dash != charts_runs.FULL]
    tables.side_by_side({name: charts.colour(name) for name in names}, rows, "What differs between the runs", dashed)
    same = len(FIELDS) - len(fields)
    st.caption(f"The other {same} settings are the same." if fields else
               "All settings are the same: what differs is chance, or the machine.")


def results(runs: Sequence[Run]) -> dict[str, list[str]]:
    """What the runs have reached, in words."""
    rows: dict[str, list[str]] = {
        "Last epoch": [words.accuracy(run) for run in runs],
        "Best epoch": [_best(run.best) for run in runs],
        "State": [f"{run.state}, {len(run.epochs)} of {run.config.epochs} epochs" for run in runs],
        "Parameters": [f"{run.parameters:,}" for run in runs],
        "Time": [words.duration(listing.seconds(run)) if run.epochs else "–" for run in runs]}
    if any(run.test for run in runs):
        rows["On the test images"] = [f"{run.test.accuracy:.2f} %" if run.test else "–" for run in runs]
    if any(run.parent for run in runs):
        rows["Forked from"] = [f"{run.parent['name']}, epoch {run.parent['epoch']}" if run.parent else "–"
                               for run in runs]
    return rows


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
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
