"""A run or a group told in the seed's own form: targets, results, network, header, epoch table and analysis.

What stands in the report of a run is chosen here, that of a group in `report_groups`; what the figures say is worked
out in `analysis` and `report_mistakes`.
"""

from __future__ import annotations

from core.errors import RunError
from core.experiments.repeats import Group
from core.experiments.scores import describe_validation_images
from core.reports import analysis
from core.reports import blocks as report_blocks
from core.reports import groups as report_groups
from core.reports import html as report_html
from core.reports import mistakes as report_mistakes
from core.reports.blocks import Block, Code, Lines, Report, Section, Words
from core.reports.changes import changes, predecessor
from core.reports.parts import charts_of, header, network, network_line, recipe_of, targets, title
from core.runs.run import Run
from core.training.results import table


def markdown(subject: Run | Group) -> str:
    """The report of a run or a group as Markdown.

    Raises:
        RunError: a run has no epoch yet, or a group no finished run.
    """
    return report_blocks.markdown(report(subject))


def html(subject: Run | Group) -> str:
    """The report of a run or a group as one HTML file, with its charts and the hardest images.

    Raises:
        RunError: as `markdown`.
    """
    return report_html.html(report(subject, charts=True))


def report(subject: Run | Group, charts: bool = False) -> Report:
    """The report of a run or a group, to be written in any form.

    Args:
        subject: what it is about.
        charts: whether to draw charts, which not every form shows.

    Raises:
        RunError: as `markdown`.
    """
    return (
        report_groups.report(subject, charts)
        if isinstance(subject, Group)
        else _of_run(subject, charts)
    )


def _of_run(run: Run, charts: bool) -> Report:
    if run.last is None:
        raise RunError(f"{run.name} has no epoch to report yet.")
    recipe, test = recipe_of(run), report_mistakes.test_set()
    found = report_mistakes.asked(run, test)
    epochs: list[Block] = [
        *(charts_of(run) if charts else []),
        Code("\n".join([*header(run), "", table(list(run.epochs))])),
    ]
    sections = [
        Section("Targets", [Lines(targets(run))]),
        Section("Results", [Lines(_results(run)), network(run), *epochs]),
        Section("Analysis", [Lines(analysis.of_run(run))]),
    ]
    before = predecessor(run)
    if before is not None:
        sections.append(Section(f"Changes since {before.name}", changes(run, before, found, test)))
    sections += report_mistakes.sections(found, test)
    if run.notes:
        sections.append(Section("Notes", [Words(run.notes)]))
    return Report(title(run), recipe.summary if recipe else "", sections)


def _results(run: Run) -> list[str]:
    last, best, on = run.epochs[-1], run.best, describe_validation_images(run)
    low, high = analysis.interval_of(last)
    trained = " as augmented" if analysis.augmented(run, last.epoch) else ""
    lines = [
        network_line(run),
        f"After {last.epoch} epochs **{last.train_accuracy:.2f} %** of the training images{trained} and "
        f"**{last.val_accuracy:.2f} %** of the {on} (95 % interval {low:.2f} to {high:.2f})",
    ]
    if best is not None:
        lines.append(
            f"The best epoch on the {on} was {best.epoch} with {best.val_accuracy:.2f} %; since it was chosen "
            "on them, it is no fair measure"
        )
    if run.test:
        lines.append(f"Scored once at the end on the test images: **{run.test.accuracy:.2f} %**")
    return lines
