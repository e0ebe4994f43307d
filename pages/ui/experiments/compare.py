"""Which of two runs, or of two groups, is better: the result, its interval, and the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
import streamlit as st

from core.charts import experiments as charts
from core.charts import runs as charts_runs
from core.errors import UserError
from core.experiments import overview
from core.experiments.comparison import (
    ComparisonResult,
    compare_groups,
    compare_runs,
    count_agreement,
)
from core.experiments.repeats import groups_of
from core.experiments.scores import describe_validation_images
from core.experiments.settings import REPLACED_BY, list_changes
from core.experiments.statistics import wilson_interval
from core.insight.mistakes import Comparison
from core.runs.evaluation import describe_deviation
from core.runs.run import Run
from core.training.effects import unused_fields
from pages.ui import dataset, tables
from pages.ui.checkpoints import named_runs
from pages.ui.components.chart import draw_chart
from pages.ui.controls import field_label
from pages.ui.experiments import shared
from pages.ui.frame import heading, warn_unknown
from pages.ui.mistakes.shared import predict_test_images
from pages.ui.run_boxes import run_titles, select_run
from pages.ui.runs.compare import VALUES, describe_curves, make_curves
from pages.ui.words import escape_markdown, list_titles

DEFAULTS = ("intermediate", "final")
MAX_SETTINGS = 6  # differing settings that are listed


def show_compare(runs: Sequence[Run]) -> None:
    """Show controls for two runs or groups, and their comparison."""
    listed = overview.hide_trials(runs, named_runs("first", "second"))
    trained = {run.name: run for run in listed if run.epochs}
    groups = {group.name: group for group in groups_of(runs) if len(group.scores) > 1}
    if len(trained) < 2:
        shared.show_invitation(
            "Once two runs or groups are trained, this page says which is better, with a "
            "confidence interval."
        )
        return
    selected = _select_pair(list(groups), trained)
    if selected is None:
        return
    first, second = selected
    try:
        if first in groups:
            _show_result(compare_groups(groups[first], groups[second]), (first, second))
            shared.draw_groups([groups[first], groups[second]])
        elif (result := _compare_runs(trained[first], trained[second])) is not None:
            _show_result(
                result, (first, second), describe_settings(trained[first], trained[second])
            )
            _draw_curves([trained[first], trained[second]])
    except UserError as error:
        shared.show_error(error)


def _select_pair(groups: list[str], runs: Mapping[str, Run]) -> tuple[str, str] | None:
    """Show the controls; returns two runs or two groups, None if there is no second one."""
    names, titles = [*groups, *runs], run_titles(runs.values())
    warn_unknown("first", names, "trained run or finished group")
    warn_unknown("second", names, "trained run or finished group")
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        first = select_run(
            "First", names, "first", titles, DEFAULTS[0], width=240, label_visibility="collapsed"
        )
        st.markdown("or", width="content")
        others = [name for name in (groups if first in groups else runs) if name != first]
        if not others:
            st.markdown(":gray[no other group yet]", width="content")
            return None
        second = select_run(
            "Second",
            others,
            "second",
            titles,
            DEFAULTS[1],
            width=240,
            label_visibility="collapsed",
            help="Runs are compared with runs, groups with groups.",
        )
    return first, second


def _compare_runs(one: Run, two: Run) -> ComparisonResult | None:
    """Compare two runs; None if the test images are missing and the page offers to fetch them."""
    sets = dataset.load_digits()
    if not sets:
        return None
    first, second = (predict_test_images(run, sets["test"]) for run in (one, two))
    notes = [describe_deviation(one, first), describe_deviation(two, second)]
    titles = list_titles([one, two])
    return compare_runs(titles[one.name], first, titles[two.name], second, notes)


def describe_settings(one: Run, two: Run) -> str:
    """The settings in which two runs differ, in a sentence or two; a difference may be theirs."""
    changes = list_changes(two.config, one.config)
    ineffective = unused_fields(one.config).keys() - REPLACED_BY.keys()
    differing = [
        f"{field_label(change.field)} "
        f"{'without effect' if change.field in ineffective else change.before} or {change.now}"
        for change in changes[:MAX_SETTINGS]
    ]
    if len(changes) > MAX_SETTINGS:
        differing.append(f"{len(changes) - MAX_SETTINGS} more")
    text = f"Settings that differ: {'; '.join(differing)}." if differing else "Settings: the same."
    for run, other in ((one, two), (two, one)):
        if run.parent and run.parent["name"] == other.name:
            text += f" {run.label} started from the weights of {other.label}."
    return text


def _show_result(result: ComparisonResult, names: tuple[str, str], settings: str = "") -> None:
    """Show the result, which has titles, with links and files that have the names.

    Args:
        result: the result.
        names: of the two runs or groups.
        settings: the settings in which they differ, in words.
    """
    shared.show_headline(result.summary)
    shared.show_explanation(f"{result.method} {settings}".strip())
    if result.images is None:
        _draw_difference(result, names)
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        _draw_difference(result, names)
    with right:
        heading("Test images", "correct and wrong")
        _draw_agreement(result, result.images)
        st.caption(_describe_intervals(result.images))
        st.page_link(
            "pages/mistakes.py",
            label=":primary[See these images]",
            icon=":material/arrow_forward:",
            icon_position="right",
            query_params={"show": "two runs", "run": names[0], "other": names[1]},
        )


def _draw_difference(result: ComparisonResult, names: tuple[str, str]) -> None:
    low, high = result.interval
    row = {
        "first": names[0],
        "second": names[1],
        "difference": result.difference,
        "low": low,
        "high": high,
        **count_agreement(result),
    }
    draw_chart(
        charts.difference_chart(result.first, result.second, result.difference, result.interval),
        "difference",
        title="Difference",
        subtitle="in percentage points, with its 95 % interval",
        alt=result.summary,
        filename=f"{'-'.join(names)}-difference",
        make_table=lambda: pd.DataFrame([row]),
    )
    titles = (escape_markdown(result.first), escape_markdown(result.second))
    tables.draw_metrics(
        {
            title: f"{accuracy:.2f} %"
            for title, accuracy in zip(titles, result.accuracies, strict=True)
        }
    )


def _describe_intervals(images: Comparison) -> str:
    """Describe what the two accuracies were measured on, and their confidence intervals."""
    only = len(images.only_first), len(images.only_second)
    total = images.both_correct + sum(only) + len(images.both_wrong)
    intervals = [
        "{:.2f} to {:.2f}".format(*wilson_interval(images.both_correct + count, total))
        for count in only
    ]
    return (
        f"Weights of the last epoch, {total:,} test images. 95\u00a0% confidence intervals of the "
        f"two accuracies: {intervals[0]}\u00a0% and {intervals[1]}\u00a0%."
    )


def _draw_agreement(result: ComparisonResult, images: Comparison) -> None:
    """Draw a 2x2 table: the first network correct or wrong, the second correct or wrong."""
    rows = (
        (f"{result.first} correct", images.both_correct, len(images.only_first)),
        (f"{result.first} wrong", len(images.only_second), len(images.both_wrong)),
    )
    body = "".join(
        f'<tr><th scope="row" class="text">{escape(title)}</th><td>{correct:,}</td>'
        f"<td>{wrong:,}</td></tr>"
        for title, correct, wrong in rows
    )
    second = escape(result.second)
    st.html(
        '<div class="sheet agreement" tabindex="0" role="region" '
        'aria-label="Test images that each network predicts correctly or wrongly">'
        f'<table><thead><tr><th></th><th scope="col">{second} correct</th>'
        f'<th scope="col">{second} wrong</th></tr></thead><tbody>{body}</tbody></table></div>'
    )


def _draw_curves(runs: list[Run]) -> None:
    curves = make_curves(runs, VALUES[charts_runs.ACCURACY][0])
    names = [run.name for run in runs]
    draw_chart(
        charts_runs.curve_chart(curves, charts_runs.ACCURACY, names, titles=list_titles(runs)),
        "overlay",
        title="Accuracy",
        subtitle=f"{' or '.join(dict.fromkeys(map(describe_validation_images, runs)))}, by epoch",
        alt=describe_curves(runs, charts_runs.ACCURACY),
        filename=f"{'-'.join(names)}-accuracy",
        subject=" and ".join(names),
        make_table=lambda: curves,
    )
