"""The metrics of a run, and their difference from a baseline's."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from core.errors import UserError
from core.runs.run import Run, find_best_epoch
from core.runs.store import open_run
from core.training.results import EpochResult
from pages.ui import words
from pages.ui.run_boxes import run_titles, select_run
from pages.ui.terms import explain
from pages.ui.words import escape_markdown

NO_BASELINE = "no baseline"
MINUS = "\u2212"


class Figure(NamedTuple):
    """A metric: title, value, help, and difference from the baseline."""

    title: str
    value: str
    help: str
    difference: str = ""


def draw_baseline_control(run: Run, others: Sequence[Run]) -> Run | None:
    """Draw the choice of a baseline, and return it.

    Args:
        run: the run that is shown.
        others: the runs that it can be compared with.
    """
    name = select_run(
        "Baseline",
        [NO_BASELINE, *(each.name for each in others if each.name != run.name)],
        "baseline",
        run_titles(others),
        NO_BASELINE,
        width=190,
        help=explain("baseline"),
    )
    if name == NO_BASELINE:
        return None
    try:
        return open_run(name)
    except UserError as error:
        st.caption(f":material/error: {escape_markdown(str(error))}")
        return None


def draw_figures(figures: Sequence[Figure], against: str = "") -> None:
    """Draw metrics in a row; `against` names the baseline of their differences."""
    for at, figure in enumerate(figures):
        baseline = f"against {escape_markdown(against)}" if against and not at else None
        st.metric(
            figure.title,
            figure.value,
            figure.difference or None,
            "off",
            delta_arrow="off",
            help=figure.help,
            delta_description=baseline,
            width=190 if baseline else 150,
        )


def run_figures(run: Run, baseline: Run | None) -> list[Figure]:
    """Accuracy, best accuracy, parameters and speed of a run.

    Args:
        run: the run.
        baseline: run to compare with, at the same epoch; None: no comparison.
    """
    last, baseline_last = run.last, _row_at_same_epoch(run, baseline)
    seconds, differences = _seconds(run.epochs), [""] * 4
    if baseline is not None:
        best = find_best_epoch(baseline.epochs[: len(run.epochs)])
        differences = [
            format_points_difference(_accuracy(last), _accuracy(baseline_last)),
            format_points_difference(_accuracy(run.best), _accuracy(best)),
            _difference(run.parameters, baseline.parameters, ",d"),
            _difference(_seconds(run.epochs), _seconds(baseline.epochs[: len(run.epochs)]), ".1f"),
        ]
    values = [
        (
            words.accuracy_title(run),
            words.format_accuracy(run),
            f"{explain('validation')} {words.describe_interval(run)}".strip(),
        ),
        (
            f"Best (epoch {run.best.epoch})" if run.best else "Best",
            f"{run.best.val_accuracy:.2f}\u00a0%" if run.best else "–",
            explain("best"),
        ),
        ("Parameters", f"{run.parameters:,}", explain("parameters")),
        (
            "Seconds per epoch",
            "–" if seconds is None else f"{seconds:.1f}",
            f"Mean over the finished epochs. {explain('epochs')}",
        ),
    ]
    figures = [
        Figure(*value, difference) for value, difference in zip(values, differences, strict=True)
    ]
    if run.test is not None:
        figures.insert(
            2, Figure("Test accuracy", f"{run.test.accuracy:.2f}\u00a0%", words.describe_test(run))
        )
    return figures


def _seconds(rows: Sequence[EpochResult]) -> float | None:
    """Seconds of an epoch, the mean that Runs shows too; None before the first has ended."""
    return statistics.mean(row.seconds for row in rows) if rows else None


def _accuracy(row: EpochResult | None) -> float | None:
    return row.val_accuracy if row else None


def format_points_difference(value: float | None, baseline: float | None) -> str:
    """The difference of two percentages, in percentage points."""
    # Of the figures as they are shown, so that they add up.
    if value is None or baseline is None:
        return "–"
    return _difference(round(value, 2), round(baseline, 2), ".2f")


def _row_at_same_epoch(run: Run, baseline: Run | None) -> EpochResult | None:
    if baseline is None or not run.epochs or not baseline.epochs:
        return None
    return baseline.epochs[min(len(run.epochs), len(baseline.epochs)) - 1]


def _difference(value: float | None, baseline: float | None, form: str) -> str:
    """The difference of two values as text, with its sign; a dash where one is missing."""
    if value is None or baseline is None:
        return "–"
    difference = value - baseline
    text = format(abs(difference), form)
    is_zero = not text.strip("0.,")
    return f"±{text}" if is_zero else f"{'+' if difference > 0 else MINUS}{text}"
