"""The steps of the story: one idea on each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.charts import training as charts
from core.errors import UserError
from core.experiments.curves import epoch_frame
from core.experiments.measurements import read_measurements
from core.models.architectures import rows_of
from core.models.summary import summarise
from core.recipes import RECIPES
from core.reports import report as reports
from core.reports import story
from core.reports.rungs import Effect, MeasuredStep, find_effect
from core.runs.run import Run
from core.task import GOAL_ACCURACY, GOAL_EPOCHS, PARAMETER_BUDGET
from pages.ui import tables, words
from pages.ui.controls import field_label
from pages.ui.frame import draw_digit_strip
from pages.ui.story.digits import (
    compare_runs,
    describe_difference,
    draw_augmented,
    draw_mistakes,
    draw_shared_mistakes,
    load_predictions,
)
from pages.ui.story.rungs import changed_rows, draw_path, format_table

Runs = Mapping[str, Run]
# Titles of steps.
AUGMENTATION, RESULTS = "Augmented images", "Results"
LEARNT, ACHIEVED = "What it learnt", "What the change achieved"


def draw_goal(chapters: Sequence[str]) -> None:
    """Draw the goal of the whole path.

    Args:
        chapters: titles of the chapters that follow.
    """
    st.header(story.GOAL, anchor=False)
    draw_digit_strip()
    _figures(goal_figures())
    st.space("small")
    st.markdown(story.PATH_GOAL, width=760)
    if chapters:
        st.markdown(f"The path there: {' → '.join(chapters)}.", width=760)


def goal_figures() -> dict[str, str]:
    """The figures of the goal, by title."""
    return {
        "Test accuracy": f"{GOAL_ACCURACY}\u00a0%",
        "Parameters": f"< {PARAMETER_BUDGET:,}",
        "Epochs": f"{GOAL_EPOCHS}",
    }


def gap_figures(run: Run) -> dict[str, str]:
    """Training and test accuracy of a run's last epoch and their difference, by title."""
    last = run.epochs[-1]
    return {
        "Training": f"{last.train_accuracy:.2f}\u00a0%",
        "Test": f"{last.val_accuracy:.2f}\u00a0%",
        "Gap": f"{story.accuracy_gap(last):+.2f}",
    }


def _figures(values: Mapping[str, str]) -> None:
    with st.container(horizontal=True, gap="medium"):
        for title, value in values.items():
            st.metric(title, value, width="content")


def draw_targets(run: Run, before: Run | None) -> None:
    """Draw the targets of a chapter, and what it changes."""
    recipe = RECIPES[run.name]
    st.header(recipe.title, anchor=False)
    st.markdown(recipe.summary.replace(" %", "\u00a0%"), width=760)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("### Targets")
        st.markdown(
            "\n".join(f"{number}. {target}" for number, target in enumerate(recipe.targets, 1))
        )
    with right:
        if before is None:
            st.markdown("### Settings")
            config = run.config
            st.markdown(
                format_table(
                    ("Setting", "Value"),
                    [
                        (field_label(name), words.format_setting(getattr(config, name)))
                        for name in (
                            "architecture",
                            "epochs",
                            "batch_size",
                            "schedule",
                            "max_lr",
                            "momentum",
                        )
                    ],
                )
            )
        else:
            st.markdown(f"### What changes after {story.chapter_title(before.name)}")
            st.markdown(
                format_table(("Setting", "Before", "Now"), changed_rows(run.config, before.config))
            )


def draw_network(run: Run, before: Run | None) -> None:
    """Draw the layers of the network, with their parameters."""
    summary = summarise(rows_of(run.config))
    st.header(f"{summary.total_params:,} parameters", anchor=False)
    st.markdown(story.describe_size(run, before), width=760)
    tables.draw_summary_table(summary)


def draw_curves(run: Run, before: Run | None) -> None:
    """Draw accuracy and loss by epoch."""
    st.header(story.result_title(run).replace(" %", "\u00a0%"), anchor=False)
    st.caption(words.describe_interval(run))
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("### Accuracy :gray[:small[solid: test, dashed: training]]")
        st.altair_chart(
            charts.accuracy_chart(epoch_frame(run), run.config.epochs, run.name),
            key="story_accuracy",
            alt=f"Accuracy of {run.name} by epoch, {words.format_accuracy(run)} at the end.",
        )
    with right:
        st.markdown("### Loss :gray[:small[solid: test, dashed: training]]")
        st.altair_chart(
            charts.loss_chart(epoch_frame(run), run.config.epochs, run.name),
            key="story_loss",
            alt=f"Loss of {run.name} by epoch.",
        )
    if story.has_new_schedule(run.config, before.config if before else None):
        _rates(run)


def _rates(run: Run) -> None:
    """Draw the learning rate over the run."""
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        st.markdown("### Learning rate")
        steps = run.steps_per_epoch
        st.altair_chart(
            charts.learning_rate_chart(
                charts.planned_rates(run.config, steps), run.config.epochs, run.name
            ),
            key="story_rate",
            alt=f"Learning rate of {run.name} over its epochs.",
        )
    with right:
        st.markdown(story.describe_schedule(run.config))


def draw_epochs(run: Run, before: Run | None) -> None:
    """Draw the epoch table."""
    st.header("Epochs", anchor=False)
    tables.draw_epoch_table(run.epochs, [])


def draw_augmentation(run: Run, before: Run | None) -> None:
    """Draw augmented training images."""
    st.header(AUGMENTATION, anchor=False)
    st.markdown(story.describe_augmented_epochs(run.config), width=760)
    draw_augmented(run)


def draw_analysis(run: Run, before: Run | None) -> None:
    """Draw what the figures show."""
    st.header(LEARNT if before is None else ACHIEVED, anchor=False)
    _figures(gap_figures(run))
    lines = story.describe_fit(run) if before is None else []
    if before is not None:
        is_new = story.has_new_network(run.config, before.config)
        lines = [
            *([story.describe_size(run, before)] if is_new else []),
            story.describe_gap_change(run, before),
        ]
        lines += (
            story.describe_augmentation(run)
            if story.augmented_epochs(run.config)
            else story.describe_fit(run)[1:]
        )
        if difference := describe_difference(run, before):
            lines.append(difference)
        if effect := _find_effect(run, before):
            lines.append(effect.sentence.replace(" %", "\u00a0%"))
    lines.append(story.describe_size(run) if before is None else story.describe_goal(run))
    st.markdown("\n".join(f"- {line}" for line in lines), width=860)


def _find_effect(run: Run, before: Run) -> Effect | None:
    """The difference between two chapters over several seeds, if both are measured."""
    try:
        measurements = read_measurements()
    except UserError:
        return None  # the page has said so
    return find_effect(measurements.find(before.config), measurements.find(run.config))


def draw_report(run: Run, before: Run | None) -> None:
    """Draw the run's report, with downloads."""
    st.header("The report", anchor=False)
    shipped = run.folder / "report.md"
    text = shipped.read_text(encoding="utf-8") if shipped.is_file() else reports.write_markdown(run)
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "HTML, with charts",
            lambda: reports.write_html(run),
            f"{run.name}-report.html",
            "text/html",
            key="story_report_html",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            "Markdown",
            text,
            f"{run.name}-report.md",
            "text/markdown",
            key="story_report_md",
            on_click="ignore",
            icon=":material/download:",
        )
    with st.container(border=True, key="report"):
        # Without images: text in a report must not load anything from elsewhere.
        text = text.replace("![", "!\\[")
        st.markdown(re.sub(r"^(#+ )", r"##\1", text, flags=re.MULTILINE))


def draw_end(runs: Runs, path: Sequence[MeasuredStep]) -> None:
    """Draw a comparison of all runs, and the measured figures of all changes.

    Args:
        runs: the shipped runs that are there, by name.
        path: the changes from `final-published` to `taught`.
    """
    st.header(RESULTS, anchor=False)
    rows = [
        (
            story.chapter_title(name),
            f"{run.parameters:,}",
            f"{run.epochs[-1].val_accuracy:.2f}",
            *_measured_cells(run),
        )
        for name, run in runs.items()
    ]
    columns = ("Run", "Parameters", "This run, %", "Mean of seeds, %", "95\u00a0% interval")
    st.markdown(format_table(columns, rows))
    draw_path(path)
    loaded = load_predictions(*runs.values())
    first, last = next(iter(runs.values())), list(runs.values())[-1]
    lines = [story.describe_goal(last)]
    if loaded and len(runs) > 1:
        predictions = loaded[1]
        result = compare_runs(last, predictions[-1], first, predictions[0])
        worse = result.first if result.difference > 0 else result.second
        against = f"Against {worse}, " if result.is_significant else ""
        lines.insert(0, f"{against}{result.summary}")
    lines.append(
        "Each of these is a single run; other random seeds give slightly different accuracies."
    )
    st.markdown("\n".join(f"- {line}" for line in lines), width=860)
    if loaded and len(runs) > 1:
        draw_shared_mistakes(*loaded)
    with st.container(horizontal=True, gap="large"):
        for title, page, query in (
            ("Train it yourself", "train", {"start": "final"}),
            ("Draw a digit", "draw", {}),
            ("See all mistakes", "mistakes", {"run": "taught"}),
        ):
            st.page_link(
                f"pages/{page}.py",
                label=f":primary[{title}]",
                icon=":material/arrow_forward:",
                icon_position="right",
                query_params=query,
            )


def _measured_cells(run: Run) -> tuple[str, str]:
    """Mean and interval over several seeds; dashes where they are not measured."""
    try:
        measured = read_measurements().find(run.config)
    except UserError:
        measured = None
    if measured is None or measured.interval is None:
        return "–", "–"
    low, high = measured.interval
    return f"{measured.accuracy.mean:.3f}", f"{low:.2f}–{high:.2f}"


Step = Callable[[Run, Run | None], None]
STEPS: dict[str, Step] = {
    "Targets": draw_targets,
    "Augmentation": draw_augmentation,
    "Network": draw_network,
    "Curves": draw_curves,
    "Epochs": draw_epochs,
    "Analysis": draw_analysis,
    "Mistakes": draw_mistakes,
    "Report": draw_report,
}
