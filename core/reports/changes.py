"""The run that another one is compared with, the settings that changed, and the effect."""

from __future__ import annotations

from core.config import RunConfig
from core.data.labelled_images import LabelledImages
from core.errors import RunError, UserError
from core.experiments.comparison import compare_runs
from core.experiments.settings import list_changes
from core.insight.mistakes import Predictions
from core.recipes import RECIPES
from core.reports.blocks import Block, NumberedList, Paragraph
from core.reports.mistakes import try_predictions
from core.reports.story import CHAPTERS
from core.runs import store
from core.runs.evaluation import describe_deviation
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run, describe_start
from core.task import TEST_SETS

_IGNORED = {"kept_epochs", "device", "threads", "seed"}  # not changed to improve a result


def find_predecessor(run: Run) -> Run | None:
    """Return the run in the same folder that a run is compared with, or None.

    It is the run that this one was forked from; else, if its settings differ from its recipe's, the
    run of that recipe; else the run of the previous recipe of the original.
    """
    names: list[str] = []
    if run.parent is not None:
        names.append(run.parent["name"])
    if run.recipe in RECIPES and list_differences(run.config, RECIPES[run.recipe].config):
        names.append(run.recipe)
    if run.recipe in CHAPTERS:
        names += reversed(CHAPTERS[: CHAPTERS.index(run.recipe)])
    for name in names:
        if name == run.name:
            continue
        try:
            candidate = store.open_run(name, run.folder.parent)
        except RunError:
            continue
        if candidate.epochs:
            return candidate
    return None


def describe_changes(
    run: Run,
    before: Run,
    predictions: Predictions | None,
    test: LabelledImages | None,
    further: LabelledImages | None,
) -> list[Block]:
    """List the settings that changed and compare the two runs' predictions.

    Args:
        run: the run.
        before: the run that it is compared with.
        predictions: of the run on the test images, or None.
        test: the test images, or None.
        further: those of QMNIST, or None.
    """
    lines = list_differences(run.config, before.config)
    if run.parent is not None and run.parent["name"] == before.name:
        lines.insert(0, f"Started from {before.name} ({describe_start(run.parent)})")
    blocks: list[Block] = [
        NumberedList(lines) if lines else Paragraph("Only the random seed differs.")
    ]
    if predictions is not None and test is not None:
        try:
            earlier = load_predictions(before, test=test)
        except UserError:  # its weights are missing
            return blocks
        notes = [describe_deviation(before, earlier), describe_deviation(run, predictions)]
        result = compare_runs(before.name, earlier, run.name, predictions, notes)
        blocks.append(Paragraph(f"Effect: **{result.summary}** {result.method}"))
        blocks += _compare_on_further_images(run, before, further)
    return blocks


def _compare_on_further_images(
    run: Run, before: Run, further: LabelledImages | None
) -> list[Block]:
    """Compare two runs on QMNIST's images; empty where they or weights are missing."""
    one, two = (try_predictions(each, further) for each in (before, run))
    if one is None or two is None:
        return []
    result = compare_runs(before.name, one, run.name, two, images=TEST_SETS["qmnist"])
    return [Paragraph(f"On QMNIST: **{result.summary}** {result.method}")]


def list_differences(config: RunConfig, before: RunConfig) -> list[str]:
    """List the settings that changed, one per line."""
    return [
        f"{change.field.replace('_', ' ').capitalize()}: {change.now} instead of {change.before}"
        for change in list_changes(config, before)
        if change.field not in _IGNORED
    ]
