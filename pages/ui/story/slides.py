"""The story as slides: one idea each, from the same figures and sentences as its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from core.charts import story as story_charts
from core.charts import training as charts
from core.data.presets import transforms_of
from core.experiments.curves import epoch_frame
from core.experiments.measurements import Measurement, Measurements
from core.recipes import RECIPES
from core.reports import original, story
from core.reports.original import PrintedRun
from core.reports.rungs import MeasuredStep, find_effect, list_steps, steps_to
from core.runs.run import Run
from core.task import GOAL_ACCURACY
from pages.ui.story import slide_digits, tries
from pages.ui.story.chapters import PUBLISHED
from pages.ui.story.digits import compare_runs
from pages.ui.story.pictures import Picture, chart_picture, strip_picture
from pages.ui.story.rungs import steps_frame
from pages.ui.story.slide import Material, Slide
from pages.ui.story.steps import (
    ACHIEVED,
    AUGMENTATION,
    LEARNT,
    RESULTS,
    gap_figures,
    goal_figures,
)

_LINES = "Solid: test images, dashed: training images."
_DOTS = "Dot: one seed, diamond: mean, line: its 95 % confidence interval, dotted line: the goal."


def build_slides(material: Material) -> list[Slide]:
    """All slides in order; what is missing is left out."""
    path = list_steps(material.measurements)
    to_final = steps_to(path, "final")
    changes = range(1, len(path))
    slides = [_goal_slide()]
    before: Run | None = None
    for name in story.CHAPTERS:
        if name == "final":
            slides += [_change_slide(path, at, story.CHANGES) for at in changes if at < to_final]
        title = story.chapter_title(name)
        if name == story.CHAPTERS[-1]:
            slides += [_change_slide(path, at, title) for at in changes if at >= to_final]
        if (run := material.runs.get(name)) is not None:
            slides += _chapter_slides(run, before, material)
            before = run
        if name in PUBLISHED:
            slides += _original_slides(PUBLISHED[name], title, material.measurements)
    return [*slides, *_end_slides(path, material)]


def _goal_slide() -> Slide:
    return Slide(
        "goal",
        story.GOAL,
        story.GOAL,
        story.PATH_GOAL,
        tries.draw(story.CHAPTERS[-1]),
        strip_picture(),
        goal_figures(),
    )


def _chapter_slides(run: Run, before: Run | None, material: Material) -> Iterator[Slide]:
    """The slides of one run."""
    chapter, config = story.chapter_title(run.name), run.config
    earlier = before.config if before else None
    if story.has_new_network(config, earlier):
        yield Slide(
            f"{run.name}-network",
            chapter,
            f"{run.parameters:,} parameters",
            story.describe_size(run, before),
            tries.change_network(run, before),
            slide_digits.network_picture(run, material.test),
        )
    transforms = transforms_of(config)
    if transforms and (earlier is None or transforms != transforms_of(earlier)):
        yield Slide(
            f"{run.name}-augmentation",
            chapter,
            AUGMENTATION,
            story.describe_augmented_epochs(config),
            tries.augment(config),
            slide_digits.augmentation_picture(run, material.training),
        )
    if story.has_new_schedule(config, earlier):
        planned = charts.planned_rates(config, run.steps_per_epoch)
        yield Slide(
            f"{run.name}-rate",
            chapter,
            "Learning rate",
            story.describe_schedule(config),
            tries.change_rate(run),
            chart_picture(
                charts.learning_rate_chart(planned, config.epochs, run.name),
                f"Learning rate of {run.name} over its epochs.",
            ),
        )
    frame, last = epoch_frame(run), run.epochs[-1]
    yield Slide(
        f"{run.name}-accuracy",
        chapter,
        story.result_title(run),
        story.describe_goal(run),
        tries.train(run),
        chart_picture(
            charts.accuracy_chart(frame, config.epochs, run.name),
            f"Accuracy of {run.name} by epoch.",
        ),
        {"Correct": f"{last.val_correct:,}", "Errors": f"{last.val_errors:,}"},
        f"Accuracy. {_LINES}",
    )
    yield Slide(
        f"{run.name}-gap",
        chapter,
        LEARNT if before is None else ACHIEVED,
        story.describe_fit(run)[1] if before is None else story.describe_gap_change(run, before),
        tries.compare_curves(run, before),
        chart_picture(
            charts.loss_chart(frame, config.epochs, run.name),
            f"Loss of {run.name} by epoch.",
        ),
        gap_figures(run),
        f"Loss. {_LINES}",
    )
    yield from slide_digits.mistakes_slides(run, before, material)


def _change_slide(path: Sequence[MeasuredStep], at: int, chapter: str) -> Slide:
    """The slide of a rung, with its effect over several seeds."""
    before, now = path[at - 1], path[at]
    effect, text, figures = find_effect(before.measured, now.measured), now.summary, {}
    if effect is not None:
        text = f"{text} {effect.verdict}"
        figures = {
            "Before": f"{effect.means[0]:.3f}\u00a0%",
            "Now": f"{effect.means[1]:.3f}\u00a0%",
            "Difference": f"{effect.difference:+.3f}",
        }
    return Slide(
        now.name,
        chapter,
        now.title,
        text,
        tries.train_rung(now),
        _path_picture(path, now.title),
        figures,
        _DOTS,
    )


def _path_picture(path: Sequence[MeasuredStep], current: str = "") -> Picture:
    frame = steps_frame(path)
    if frame.empty:
        return {}
    return chart_picture(
        story_charts.steps_chart(frame, [step.title for step in path], current),
        "Accuracy on the test images after each change.",
    )


def _original_slides(recipe: str, chapter: str, measurements: Measurements) -> Iterator[Slide]:
    """The slide of the original's own figures, if the same set-up is measured here."""
    printed, measured = original.PRINTED[recipe], measurements.find(RECIPES[recipe].config)
    if measured is None:
        return
    yield Slide(
        recipe,
        chapter,
        f"The original: {printed.stated:.2f} %",
        original.explain_difference(printed, measured),
        tries.train_recipe(recipe),
        _original_picture(printed, measured),
        {
            "Best accuracy": f"{max(printed.accuracies):.2f}\u00a0%",
            "Last epoch": f"{printed.last:.2f}\u00a0%",
            "Mean here": f"{measured.accuracy.mean:.3f}\u00a0%",
        },
        "Coloured: the original's run, grey: the mean of the runs here.",
    )


def _original_picture(printed: PrintedRun, measured: Measurement) -> Picture:
    """The original's accuracy by epoch, before the mean of the seeds here."""
    means = [mean for mean, _, _ in original.mean_accuracies(measured)]
    frames = [
        pd.DataFrame(
            {"epoch": range(1, len(values) + 1), "part": charts.VALIDATION, "accuracy": values}
        )
        for values in (printed.accuracies, means)
    ]
    chart = charts.accuracy_chart(frames[0], len(printed.accuracies), behind=frames[1])
    return chart_picture(chart, "Accuracy of the original's run by epoch, and the mean here.")


def _end_slides(path: Sequence[MeasuredStep], material: Material) -> Iterator[Slide]:
    runs = list(material.runs.values())
    if not runs:
        return
    first, last = runs[0], runs[-1]
    text = story.describe_goal(last)
    if first is not last and {first.name, last.name} <= material.predictions.keys():
        predictions = material.predictions
        text = compare_runs(last, predictions[last.name], first, predictions[first.name]).summary
    yield Slide(
        "results",
        story.END,
        RESULTS,
        text,
        tries.compare(first, last),
        _path_picture(path),
        {story.chapter_title(run.name): f"{run.epochs[-1].val_accuracy:.2f}\u00a0%" for run in runs}
        | {"Goal": f"{GOAL_ACCURACY}\u00a0%"},
        _DOTS,
    )
    yield from slide_digits.shared_mistakes_slides(material)
