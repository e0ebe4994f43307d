"""The run that another one goes on from, what was changed since, and what that bought."""

from __future__ import annotations

from core.config import RunConfig
from core.data.labelled_images import LabelledImages
from core.errors import RunError, UserError
from core.experiments.comparison import compare_runs
from core.insight.mistakes import Predictions
from core.recipes import RECIPES
from core.reports.blocks import Block, Lines, Words
from core.reports.story import PATH
from core.runs import store
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run

# Where a run was trained changes nothing of what it is; its seed does, but is not what anybody changes to do better.
_IDLE = {"device", "threads", "seed"}
_LONGEST = 60


def predecessor(run: Run) -> Run | None:
    """The run that this one is to be held against, among those beside it; None: there is none.

    The run that it was forked from; else, where its settings are not its recipe's, the run of that recipe; else the
    run of the recipe before on the seed's path.
    """
    names: list[str] = []
    if run.parent is not None:
        names.append(run.parent["name"])
    if run.recipe in RECIPES and set(run.config.differences(RECIPES[run.recipe].config)) - _IDLE:
        names.append(run.recipe)
    if run.recipe in PATH:
        names += reversed(PATH[: PATH.index(run.recipe)])
    for name in names:
        if name == run.name:
            continue
        try:
            found = store.open_run(name, run.folder.parent)
        except RunError:
            continue
        if found.epochs:
            return found
    return None


def changes(
    run: Run, before: Run, found: Predictions | None, test: LabelledImages | None
) -> list[Block]:
    """What differs between the two, and what the difference in their answers is.

    Args:
        run: the run.
        before: the one it is held against.
        found: what the run says of the test images; None: not known.
        test: the images and their labels, or None.
    """
    lines = differences(run.config, before.config)
    if run.parent is not None and run.parent["name"] == before.name:
        epoch = run.parent["epoch"]
        lines.insert(
            0,
            f"It began with the {run.parent['which']} weights of {before.name}, from its epoch {epoch}",
        )
    blocks: list[Block] = [Lines(lines) if lines else Words("Nothing but the seed was changed.")]
    if found is not None and test is not None:
        try:
            answer = compare_runs(before.name, load_predictions(before, test=test), run.name, found)
        except UserError:  # of this one the answers cannot be had
            return blocks
        blocks.append(Words(f"What that bought: **{answer.summary}** {answer.method}"))
    return blocks


def differences(config: RunConfig, before: RunConfig) -> list[str]:
    """The settings that were changed, one a line."""
    return [
        f"{name.replace('_', ' ').capitalize()}: {_shown(now)} instead of {_shown(was)}"
        for name, (now, was) in config.differences(before).items()
        if name not in _IDLE
    ]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} rows of its own" if value else "those of the name"
    return f"{value:g}" if isinstance(value, float) else str(value)[:_LONGEST]
