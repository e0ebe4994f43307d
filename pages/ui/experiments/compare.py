"""Which of two runs, or of two groups, is better: the answer, how it was found, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from core.charts import experiments as charts_experiments
from core.charts import runs as charts_runs
from core.errors import UserError
from core.experiments.comparison import (
    ComparisonResult,
    compare_groups,
    compare_runs,
    count_agreement,
)
from core.experiments.repeats import groups_of
from core.experiments.statistics import wilson_interval
from core.insight.mistakes import Comparison
from core.runs.run import Run
from pages.ui import dataset, tables
from pages.ui.components.chart import draw_chart
from pages.ui.experiments import shared as experiments_parts
from pages.ui.frame import KEPT, heading
from pages.ui.mistakes.shared import predict_test_images
from pages.ui.runs.compare import VALUES, describe_curves, make_curves

USUAL = ("intermediate", "final")


def compare(runs: Sequence[Run]) -> None:
    """Pick two, and see which is better."""
    trained = {run.name: run for run in runs if run.epochs}
    groups = {group.name: group for group in groups_of(runs) if len(group.scores) > 1}
    if len(trained) < 2:
        experiments_parts.nothing_yet(
            "With two trained runs or groups, this says which is better, and how surely."
        )
        return
    picked = _pick(list(groups), list(trained))
    if picked is None:
        return
    first, second = picked
    try:
        if first in groups:
            _show(compare_groups(groups[first], groups[second]))
            experiments_parts.charts([groups[first], groups[second]])
        elif (answer := _asked(trained[first], trained[second])) is not None:
            _show(answer)
            _curves([trained[first], trained[second]])
    except UserError as error:
        st.error(str(error), icon=":material/error:")


def _pick(groups: list[str], runs: list[str]) -> tuple[str, str] | None:
    """The controls for two of a kind."""
    names = [*groups, *runs]
    usual = [names.index(name) if name in names else at for at, name in enumerate(USUAL)]
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        first = st.selectbox(
            "First", names, usual[0], key="first", width=240, label_visibility="collapsed", **KEPT
        )
        st.markdown("or", width="content")
        alike = groups if first in groups else runs
        others = [name for name in alike if name != first]
        if not others:
            st.markdown(":gray[no other group to hold it against yet]", width="content")
            return None
        at = others.index(USUAL[1]) if USUAL[1] in others else 0
        second = st.selectbox(
            "Second",
            others,
            at,
            key="second",
            width=240,
            label_visibility="collapsed",
            help="Of the same kind: a run against a run, a group against a group.",
            **KEPT,
        )
    return first, second


def _asked(one: Run, two: Run) -> ComparisonResult | None:
    """The two runs held against each other; None: the images are not here, and the page has offered to fetch them."""
    sets = dataset.load_digits()
    if not sets:
        return None
    return compare_runs(
        one.name,
        predict_test_images(one, sets["test"]),
        two.name,
        predict_test_images(two, sets["test"]),
    )


def _show(answer: ComparisonResult) -> None:
    experiments_parts.verdict(answer.summary)
    experiments_parts.method(answer.method)
    left, right = (
        st.columns([3, 2], gap="large") if answer.images is not None else (st.container(), None)
    )
    with left:
        low, high = answer.interval
        row = {
            "first": answer.first,
            "second": answer.second,
            "difference": answer.difference,
            "low": low,
            "high": high,
            **count_agreement(answer),
        }
        draw_chart(
            charts_experiments.difference(
                answer.first, answer.second, answer.difference, answer.interval
            ),
            "difference",
            title="Difference",
            subtitle="in percentage points, with its 95 % interval",
            alt=answer.summary,
            filename=f"{answer.first}-{answer.second}-difference",
            make_table=lambda: pd.DataFrame([row]),
        )
        figures = {
            name: f"{accuracy:.2f} %"
            for name, accuracy in zip((answer.first, answer.second), answer.accuracies, strict=True)
        }
        tables.draw_metrics(figures)
    if right is not None:
        with right:
            heading("Test images", "how many each gets right")
            _disagreements(answer, answer.images)
            st.caption(_sureness(answer.images))
            st.page_link(
                "pages/mistakes.py",
                label=":primary[See these images :material/arrow_forward:]",
                query_params={"view": "two runs", "run": answer.first, "other": answer.second},
            )


def _sureness(found: Comparison) -> str:
    """What the two accuracies were measured on, and how sure each is by itself."""
    wrong = len(found.both_wrong)
    alone = len(found.only_first), len(found.only_second)
    total = found.both_correct + sum(alone) + wrong
    ends = [
        f"{low:.2f} to {high:.2f}"
        for low, high in (wilson_interval(found.both_correct + each, total) for each in alone)
    ]
    return f"Last epoch, on the {total:,} test images. 95 % intervals: {ends[0]} and {ends[1]}."


def _disagreements(answer: ComparisonResult, found: Comparison) -> None:
    rows = (
        (f"{answer.first} right", found.both_correct, len(found.only_first)),
        (f"{answer.first} wrong", len(found.only_second), len(found.both_wrong)),
    )
    body = "".join(
        f'<tr><th scope="row" class="text">{escape(title)}</th><td>{right:,}</td><td>{wrong:,}</td></tr>'
        for title, right, wrong in rows
    )
    st.html(
        '<div class="sheet crossed" tabindex="0" role="region" '
        'aria-label="Test images that each gets right or wrong">'
        f'<table><thead><tr><th></th><th scope="col">{escape(answer.second)} right</th>'
        f'<th scope="col">{escape(answer.second)} wrong</th></tr></thead><tbody>{body}</tbody></table></div>'
    )


def _curves(runs: list[Run]) -> None:
    shown = make_curves(runs, VALUES[charts_runs.ACCURACY][0])
    names = [run.name for run in runs]
    draw_chart(
        charts_runs.overlay(shown, charts_runs.ACCURACY, names),
        "overlay",
        title="Accuracy",
        subtitle="on the validation images, epoch by epoch",
        alt=describe_curves(runs, charts_runs.ACCURACY),
        filename=f"{'-'.join(names)}-accuracy",
        subject=" and ".join(names),
        make_table=lambda: shown,
    )
