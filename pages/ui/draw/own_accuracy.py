"""The accuracy of networks on the saved digits of a set."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.experiments.statistics import wilson_interval
from core.library import teaching
from core.runs.digit_file import SavedDigit, to_arrays
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.components.chart import draw_chart
from pages.ui.draw.networks import predict_images
from pages.ui.words import escape_markdown

FEW = 100  # digits, below which the intervals are wide


def draw_accuracy(runs: Sequence[Run], digits: Sequence[SavedDigit]) -> None:
    """Draw the accuracy of networks on the saved digits."""
    from core.charts import draw as charts

    key = "".join(digit.key for digit in digits)
    rows, errors = [], []
    for run in runs:
        try:
            correct = _count_correct(run.name, checkpoints.weights_time(run), key, run, digits)
        except UserError as error:
            errors.append(str(error))
            continue
        low, high = wilson_interval(correct, len(digits))
        rows.append(
            {
                "run": run.name,
                "correct": correct,
                "total": len(digits),
                "accuracy": 100 * correct / len(digits),
                "low": low,
                "high": high,
            }
        )
    if rows:
        frame = pd.DataFrame(rows)
        lines = [
            f"{row['run']}: {row['correct']} of {row['total']} correct, {row['accuracy']:.1f} % "
            f"({row['low']:.1f} to {row['high']:.1f})"
            for row in rows
        ]
        draw_chart(
            charts.accuracy_interval_chart(frame),
            "accuracy",
            title="Accuracy",
            subtitle="with 95 % intervals",
            alt="; ".join(lines),
            filename="-".join(frame["run"])[:100] + "-own-digits",
            subject="Own digits",
            make_table=lambda: frame,
        )
        st.caption("  \n".join(escape_markdown(line.replace(" %", "\u00a0%")) for line in lines))
        keys = {digit.key for digit in digits}
        for run in runs:
            if count := len(keys & _learned_keys(run.name, str(run.created), run)):
                others = "Below, before and after are measured on others."
                st.caption(
                    f"{escape_markdown(run.name)} has trained on {count:,} of these digits. "
                    + (others if teaching.is_taught(run) else "")
                )
        if len(digits) < FEW:
            st.caption(
                "With few digits the intervals (Wilson) are wide. Where two intervals overlap "
                "much, there is no clear difference between the networks."
            )
    for message in errors:
        st.caption(escape_markdown(message))


@st.cache_data(max_entries=128, show_spinner=False)
def _learned_keys(name: str, created: str, _run: Run) -> frozenset[str]:
    """Return the keys of the digits that a run, or a run before it, has trained on."""
    try:
        return teaching.learned_keys(_run)
    except UserError:
        return frozenset()


@st.cache_data(max_entries=128, show_spinner=False)
def _count_correct(
    name: str, weights_time: int, key: str, _run: Run, _digits: Sequence[SavedDigit]
) -> int:
    images, labels = to_arrays(_digits)
    return int((predict_images(_run, images).argmax(axis=1) == labels).sum())
