"""The report of a run or a group, with the original's sections.

This module builds the report of a run and writes reports as text; `groups` builds that of a group.
"""

from __future__ import annotations

from core.data.labelled_images import LabelledImages
from core.errors import RunError, UserError
from core.experiments.measurements import config_key, read_measurements
from core.experiments.repeats import Group
from core.experiments.scores import describe_validation_images
from core.experiments.statistics import wilson_interval
from core.recipes import RECIPES
from core.reports import analysis, blocks, html, mistakes
from core.reports.blocks import Block, Code, NumberedList, Paragraph, Report, Section
from core.reports.changes import describe_changes, find_predecessor
from core.reports.groups import build_group_report
from core.reports.original import PRINTED, explain_difference
from core.reports.parts import (
    describe_network,
    describe_origin,
    describe_settings,
    list_targets,
    report_title,
    run_charts,
    summarise_network,
    summarise_run,
)
from core.runs.run import Run
from core.training.results import table
from core.wording import plural


def write_markdown(subject: Run | Group) -> str:
    """Return the report of a run or a group as Markdown, without charts.

    Raises:
        RunError: the run has no epoch yet, or the group no finished run.
    """
    return blocks.write_markdown(build_report(subject))


def write_html(subject: Run | Group) -> str:
    """Return the report of a run or a group as one HTML file, with charts and images.

    Raises:
        RunError: as `write_markdown`.
    """
    return html.write_html(build_report(subject, charts=True))


def build_report(subject: Run | Group, charts: bool = False) -> Report:
    """Build the report of a run or a group.

    Args:
        subject: the run or group.
        charts: whether to include charts.

    Raises:
        RunError: as `write_markdown`.
    """
    if isinstance(subject, Group):
        return build_group_report(subject, charts)
    return _build_run_report(subject, charts)


def _build_run_report(run: Run, charts: bool) -> Report:
    if run.last is None:
        raise RunError(f"{run.name} has no epoch to report yet.")
    test = mistakes.load_test_images()
    predictions = mistakes.try_predictions(run, test)
    further = mistakes.load_further_images()
    epochs: list[Block] = [
        *(run_charts(run) if charts else []),
        Code(
            "\n".join([*describe_settings(run), *describe_origin(run), "", table(list(run.epochs))])
        ),
    ]
    sections = [
        Section("Targets", [NumberedList(list_targets(run))]),
        Section(
            "Results", [NumberedList(_list_results(run, further)), summarise_network(run), *epochs]
        ),
        Section("Analysis", [NumberedList(analysis.analyse_run(run))]),
    ]
    if (beside := _compare_with_original(run)) is not None:
        sections.append(beside)
    before = find_predecessor(run)
    if before is not None:
        changes = describe_changes(run, before, predictions, test, further)
        sections.append(Section(f"Changes since {before.name}", changes))
    sections += mistakes.describe_errors(run, predictions, test)
    if run.notes:
        sections.append(Section("Notes", [Paragraph(run.notes)]))
    return Report(report_title(run), summarise_run(run), sections)


def _compare_with_original(run: Run) -> Section | None:
    """The original's own accuracies beside those of a run that repeats one of its set-ups."""
    printed = PRINTED.get(run.recipe or "")
    if printed is None or config_key(run.config) != config_key(RECIPES[str(run.recipe)].config):
        return None
    lines = ["| Epoch | The original | This run |"]
    for row, accuracy in zip(run.epochs, printed.accuracies, strict=False):
        lines.append(f"| {row.epoch:5d} | {accuracy:10.2f} % | {row.val_accuracy:6.2f} % |")
    blocks: list[Block] = [Code("\n".join(lines))]
    try:
        measured = read_measurements().find(run.config)
    except UserError:
        measured = None
    if measured is not None:
        blocks.append(Paragraph(explain_difference(printed, measured)))
    return Section("Beside the original", blocks)


def _list_results(run: Run, further: LabelledImages | None) -> list[str]:
    last, best, images = run.epochs[-1], run.best, describe_validation_images(run)
    low, high = wilson_interval(last.val_correct, last.val_total)
    augmented = " (augmented images)" if analysis.is_augmented(run, last.epoch) else ""
    lines = [
        describe_network(run),
        f"After {plural(last.epoch, 'epoch')}: training accuracy "
        f"**{last.train_accuracy:.2f} %**{augmented}, accuracy on the {images} "
        f"**{last.val_accuracy:.2f} %** (95 % confidence interval: {low:.2f} to {high:.2f} %)",
    ]
    if best is not None:
        lines.append(
            f"Best accuracy on the {images}: {best.val_accuracy:.2f} % (epoch {best.epoch}); the "
            "epoch was chosen on these images, so this figure is optimistic"
        )
    if run.test:
        lines.append(
            f"Accuracy on the test images, evaluated once after the last epoch: "
            f"**{run.test.accuracy:.2f} %**"
        )
    return [*lines, *mistakes.describe_further_score(run, further)]
