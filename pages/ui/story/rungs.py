"""Steps of the story that show measured figures: each change, and the original's own table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.charts import story as charts
from core.config import RunConfig
from core.errors import UserError
from core.experiments.measurements import Measurement, Measurements, read_measurements
from core.recipes import RECIPES
from core.reports import original, rungs, story
from core.reports.original import PrintedRun
from core.reports.rungs import MeasuredStep
from core.wording import plural
from pages.ui import words
from pages.ui.controls import field_label
from pages.ui.words import escape_markdown


def load_measurements() -> Measurements:
    """The measured figures; none, with a warning shown, if the file cannot be read."""
    try:
        return read_measurements()
    except UserError as error:
        message = escape_markdown(words.capitalise(str(error)))
        st.warning(message, icon=":material/error:")
        return Measurements()


def draw_change(steps: Sequence[MeasuredStep], number: int) -> None:
    """Draw what a rung changes, and its effect over several seeds.

    Args:
        steps: all steps, from the recipe below the first rung.
        number: position of the rung among them, at least 1.
    """
    before, now = steps[number - 1], steps[number]
    st.header(now.title, anchor=False)
    st.markdown(now.summary, width=760)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("### What changes")
        st.markdown(
            format_table(("Setting", "Before", "Now"), changed_rows(now.config, before.config))
        )
    with right:
        st.markdown("### Effect")
        st.markdown(rungs.describe_effect(before, now).replace(" %", "\u00a0%"))
    draw_path(steps, now.title)


def draw_path(steps: Sequence[MeasuredStep], current: str = "") -> None:
    """Draw the accuracies of all steps, one of which may be emphasised.

    Args:
        steps: all steps.
        current: title of a step; empty: none.
    """
    frame = steps_frame(steps)
    if frame.empty:
        return
    st.markdown(
        "### All changes :gray[:small[dot: one seed, diamond: mean, line: its 95\u00a0% confidence "
        "interval, dotted line: the goal]]"
    )
    st.altair_chart(
        charts.steps_chart(frame, [step.title for step in steps], current),
        key="story_path",
        alt="Accuracy on the test images: "
        + "; ".join(
            f"{title} {rows['mean'].iloc[0]:.3f} %"
            for title, rows in frame.groupby("step", sort=False)
        ),
    )


def steps_frame(steps: Sequence[MeasuredStep]) -> pd.DataFrame:
    """The figures of the steps that are measured, as `charts.steps_chart` expects them."""
    rows = []
    for step in steps:
        if step.measured is None:
            continue
        mean = step.measured.accuracy.mean
        low, high = step.measured.interval or (mean, mean)
        rows += [
            (step.title, seed, accuracy, mean, low, high)
            for seed, accuracy in step.measured.accuracies.items()
        ]
    return pd.DataFrame(rows, columns=["step", "seed", "accuracy", "mean", "low", "high"])


def draw_original(name: str, measurements: Measurements) -> None:
    """Draw the original's own accuracies beside those of the same set-up here.

    Args:
        name: the recipe that repeats the set-up.
        measurements: the measured figures.
    """
    printed, measured = original.PRINTED[name], measurements.find(RECIPES[name].config)
    st.header(f"The original: {printed.stated:.2f}\u00a0%", anchor=False)
    if measured is None:
        st.markdown(rungs.describe_missing([name]))
    else:
        text = original.explain_difference(printed, measured)
        st.markdown(text.replace(" %", "\u00a0%"), width=860)
    st.markdown("### Accuracy on the test images")
    st.markdown(format_table(*original_table(printed, measured)))


def original_table(
    printed: PrintedRun, measured: Measurement | None
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of the comparison by epoch; the original's best epoch is bold."""
    rows: list[tuple[str, ...]] = []
    means = original.mean_accuracies(measured) if measured else []
    for epoch, accuracy in enumerate(printed.accuracies, 1):
        text = f"{accuracy:.2f}\u00a0%"
        row: tuple[str, ...] = (
            str(epoch),
            f"**{text}**" if epoch == printed.best_epoch else text,
        )
        if means:
            mean, low, high = means[epoch - 1]
            row = (*row, f"{mean:.2f}\u00a0%", f"{low:.2f}–{high:.2f}")
        rows.append(row)
    last = [("Training, last epoch", f"{printed.train_accuracy:.2f}\u00a0%")]
    if measured is None:
        return ("Epoch", "The original, one run"), rows + last
    train = [run.train_accuracy for run in measured.runs]
    rows.append(
        (*last[0], f"{sum(train) / len(train):.2f}\u00a0%", f"{min(train):.2f}–{max(train):.2f}")
    )
    seeds = plural(len(measured.runs), "seed")
    return ("Epoch", "The original, one run", f"Mean of {seeds} here", "Range"), rows


def changed_rows(config: RunConfig, before: RunConfig) -> list[tuple[str, ...]]:
    """The settings that changed, with their values before and now; escaped for Markdown."""
    rows: list[tuple[str, ...]] = [
        (field_label(name), words.format_setting(was), words.format_setting(now))
        for name, (was, now) in story.changed_settings(config, before).items()
        if name != "augment_fraction"
    ]
    epochs = [story.augmented_epochs(each) for each in (before, config)]
    if epochs[0] != epochs[1]:
        counts = (
            f"{count} of {each.epochs}"
            for count, each in zip(epochs, (before, config), strict=True)
        )
        rows.append((field_label("augment_fraction"), *counts))
    return rows


def format_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
