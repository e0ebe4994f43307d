"""A run's four figures, and how far they are from those of the run that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from core.errors import UserError
from core.runs.run import Run, find_best_epoch
from core.runs.store import open_run
from core.training.results import EpochResult
from pages.ui import words
from pages.ui.frame import KEPT
from pages.ui.terms import explain

NO_BASELINE = "no baseline"
MINUS = "\u2212"


class Figure(NamedTuple):
    """A figure with its title, its help and its distance from the baseline's."""

    title: str
    value: str
    help: str
    apart: str = ""


def draw_baseline_control(run: Run, others: Sequence[str]) -> Run | None:
    """The control that chooses the run to compare with; its curves are drawn behind.

    Args:
        run: the run that is looked at.
        others: names of the runs that it can be compared with.
    """
    name = st.selectbox(
        "Baseline",
        [NO_BASELINE, *(each for each in others if each != run.name)],
        key="baseline",
        width=190,
        help=explain("baseline"),
        **KEPT,
    )
    if name == NO_BASELINE:
        return None
    try:
        return open_run(name)
    except UserError as error:
        st.caption(f":material/error: {error}")
        return None


def draw_figures(found: Sequence[Figure], against: str = "") -> None:
    """The figures in a row, with what they are compared with."""
    for at, figure in enumerate(found):
        said = f"against {against}" if against and not at else None
        st.metric(
            figure.title,
            figure.value,
            figure.apart or None,
            "off",
            delta_arrow="off",
            help=figure.help,
            delta_description=said,
            width=190 if said else 150,
        )


def run_figures(run: Run, baseline: Run | None) -> list[Figure]:
    """Accuracy, best epoch, size and speed of a run.

    Args:
        run: the run.
        baseline: what to compare it with; while the run trains, at the same epoch.
    """
    mine, theirs = run.last, _same_epoch(run, baseline)
    apart = [""] * 4
    if baseline is not None:
        best = (run.best, find_best_epoch(baseline.epochs[: len(run.epochs)]))
        apart = [
            format_points_apart(*(row.val_accuracy if row else None for row in pair))
            for pair in ((mine, theirs), best)
        ]
        apart += [
            _difference(run.parameters, baseline.parameters, ",d"),
            _difference(*(row.seconds if row else None for row in (mine, theirs)), ".1f"),
        ]
    values = [
        (
            "Validation accuracy",
            words.format_accuracy(run),
            f"{explain('validation')} {words.describe_interval(run)}".strip(),
        ),
        ("Best epoch", f"{run.best.val_accuracy:.2f}\u00a0%" if run.best else "–", explain("best")),
        ("Parameters", f"{run.parameters:,}", explain("parameters")),
        ("Seconds per epoch", f"{mine.seconds:.1f}" if mine else "–", explain("epochs")),
    ]
    found = [Figure(*value, each) for value, each in zip(values, apart, strict=True)]
    if run.test is not None:
        found.insert(
            2, Figure("Test accuracy", f"{run.test.accuracy:.2f}\u00a0%", words.describe_test(run))
        )
    return found


def format_points_apart(mine: float | None, theirs: float | None) -> str:
    """How far two percentages are apart, in points."""
    return _difference(mine, theirs, ".2f")


def _same_epoch(run: Run, baseline: Run | None) -> EpochResult | None:
    if baseline is None or not run.epochs or not baseline.epochs:
        return None
    return baseline.epochs[min(len(run.epochs), len(baseline.epochs)) - 1]


def _difference(mine: float | None, theirs: float | None, form: str) -> str:
    if mine is None or theirs is None:
        return "–"
    apart = mine - theirs
    text = format(abs(apart), form)
    zero = not text.strip("0.,")
    return f"±{text}" if zero else f"{'+' if apart > 0 else MINUS}{text}"
