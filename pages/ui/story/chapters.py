"""The chapters of the story and their steps, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from core.experiments.measurements import Measurements
from core.reports import story
from core.reports.rungs import list_steps, steps_to
from core.runs.run import Run
from pages.ui.story.rungs import draw_change, draw_original
from pages.ui.story.steps import STEPS, draw_end, draw_goal

FIRST, ORIGINAL = next(iter(STEPS)), "The original"
# The chapters that begin with a set-up of the original, and the recipes that repeat it exactly.
PUBLISHED = {
    "initial": "initial-published",
    "intermediate": "intermediate-published",
    "final-published": "final-published",
}

Steps = dict[str, Callable[[], None]]


def list_chapters(runs: Mapping[str, Run], measurements: Measurements) -> dict[str, Steps]:
    """All chapters by title, each with what draws its steps, by title.

    Args:
        runs: the shipped runs that are there, by name.
        measurements: the measured figures.
    """
    chapters: dict[str, Steps] = {}
    path, before = list_steps(measurements), None
    changes = {path[at].title: partial(draw_change, path, at) for at in range(1, len(path))}
    to_final = {step.title for step in path[: steps_to(path, "final")]}
    for name in story.CHAPTERS:
        if name == "final":
            chapters[story.CHANGES] = {t: draw for t, draw in changes.items() if t in to_final}
        run, steps = runs.get(name), {}
        if run is not None:
            steps = {
                title: partial(draw, run, before)
                for title, draw in STEPS.items()
                if _has_step(title, run, before)
            }
        extra: Steps = {}
        if name in PUBLISHED:
            extra[ORIGINAL] = partial(draw_original, PUBLISHED[name], measurements)
        if name == story.CHAPTERS[-1]:
            extra |= {title: draw for title, draw in changes.items() if title not in to_final}
        first = {FIRST: steps.pop(FIRST)} if steps else {}
        if ordered := first | extra | steps:
            chapters[story.chapter_title(name)] = ordered
        before = run or before
    goal: Steps = {FIRST: partial(draw_goal, list(chapters))}
    end: dict[str, Steps] = {story.END: {FIRST: partial(draw_end, runs, path)}} if runs else {}
    return {story.GOAL: goal, **chapters, **end}


def _has_step(title: str, run: Run, before: Run | None) -> bool:
    """Whether a step has something to show."""
    if title == "Augmentation":
        return story.augmented_epochs(run.config) > 0
    if title == "Network":
        return story.has_new_network(run.config, before.config if before else None)
    return True
