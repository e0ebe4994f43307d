"""Commands for experiments: repeats, comparisons, the LR range test, reports and worksheets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli import watch
from core.cli.options import recipe_option, warn_unused, with_changes
from core.cli.output import (
    Force,
    Json,
    On,
    check_output,
    print_json,
    print_message,
    print_result,
    print_table,
    print_text,
    write_output,
)
from core.config import RunConfig
from core.errors import DataError, UserError, listed
from core.experiments import comparison, lr_range, lr_range_job, repeats
from core.experiments.repeats import Group
from core.recipes import recipe
from core.reports import worksheet_text
from core.reports.worksheets import CHAPTERS, build_worksheet
from core.runs import loading, run_queue, store, weights
from core.training.plan import plan

RunOrGroup = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of a run or a group.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for name, command in (
        ("compare", compare),
        ("lr-range", lr_range_),
        ("report", report),
        ("worksheet", worksheet),
    ):
        app.command(name)(command)


def train_group(
    config: RunConfig,
    name: str | None,
    count: int,
    recipe_name: str | None,
    first: str | None,
    detach: bool,
    json_: bool,
) -> None:
    """Train a config with several seeds, and print the accuracy of the group.

    Args:
        config: the config.
        name: of the group; None: a free one, after the recipe or the network.
        count: number of runs.
        recipe_name: the recipe that the config came from.
        first: an existing run with this config that becomes the first one; None: all are new.
        detach, json_: as of `run_group`.
    """
    wanted = name or recipe_name or config.architecture
    group = repeats.create(
        config, wanted, count, recipe=recipe_name, first=first, number_if_taken=name is None
    )
    run_group(group, detach, json_)


def run_group(group: Group, detach: bool, json_: bool) -> None:
    """Train the runs of a group, and print its accuracy.

    Raises:
        UserError: A run did not finish.
    """
    name = group.name
    watch.fetch_data(json_)
    repeats.submit(group)
    if detach:
        names = ", ".join(run.name for run in group.runs)
        print_result(repeats.open_group(name).to_dict(), f"{name} is started: {names}.", json_)
        return
    for run in group.runs:
        if not json_:
            print_message(f"{run.name}, seed {run.config.seed}:")
        if watch.follow(run.name, quiet=json_).state == "stopped":
            waiting = set(run_queue.list_waiting())
            for other in group.runs:
                if other.name in waiting:
                    run_queue.remove(other.name)
            raise UserError(
                f"{run.name} is stopped, and the other runs of {name} are removed from the queue; "
                "`resume` continues a run."
            )
    trained = repeats.open_group(name)
    print_result(trained.to_dict(), f"{trained.summary}\n{trained.shared}", json_)
    if failed := [run.name for run in trained.runs if run.state != "finished"]:
        raise UserError(f"{name} is incomplete: {', '.join(failed)} did not finish.")


def show_groups(json_: bool) -> None:
    """Print the groups of repeats with their accuracies."""
    groups = repeats.list_groups()
    if json_:
        print_json([group.to_dict() for group in groups])
    elif groups:
        _print_groups(groups)
    else:
        print_text(
            "No groups yet. To start: "
            "python -m core train --recipe final --repeats 5 --name my-group"
        )


def compare(first: RunOrGroup, second: RunOrGroup, on: On = "mnist", json_: Json = False) -> None:
    """Compare the accuracies of two runs or groups.

    A statistical test tells whether they differ significantly.
    """
    images = None if on == "mnist" else watch.load_test_set(on, json_).to_numpy()
    result = comparison.compare(first, second, images)
    if json_:
        print_json(result.to_dict())
        return
    print_text(f"{result.summary}\n")
    for name, accuracy in zip((first, second), result.accuracies, strict=True):
        print_text(f"{name}: {accuracy:.2f} %")
    for description, count in comparison.count_agreement(result).items():
        print_text(f"{count:>6,} {description}")
    print_text(f"\n{result.method}")


@with_changes
def lr_range_(
    changes: dict[str, Any],
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Run whose config and last weights to start from.",
            show_default=False,
        ),
    ] = None,
    recipe_name: Annotated[str | None, recipe_option()] = None,
    steps: Annotated[int, typer.Option(metavar="NUMBER", help="Training steps.")] = lr_range.STEPS,
    low: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="First learning rate. [default: depends on the optimizer]",
            show_default=False,
        ),
    ] = None,
    high: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Last learning rate. [default: depends on the optimizer]",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Suggest a maximum learning rate.

    In a range test, the learning rate rises at each step, on a copy of the weights.
    """
    if run is not None and recipe_name is not None:
        raise UserError("name a run or a recipe to start from, not both.")
    config = _config_for_test(run, recipe_name, changes)
    warn_unused(config, changes, set_by_test=lr_range.SET_BY_TEST)
    rates = lr_range.learning_rates(config, steps, low, high)
    plan(config)
    state, teacher = lr_range_job.initial_weights(run), loading.load_teacher(config)
    watch.fetch_data(json_)
    from core.data.dataset import load

    points = []
    with watch.progress_bar(json_) as bar:
        task = bar.add_task("LR range test", total=steps)
        for point in lr_range.run_test(config, load(), rates, state, teacher):
            points.append(point)
            description = f"LR {point.lr:.2g}, loss {point.smoothed:.2f}"
            bar.update(task, completed=point.step, description=description)
    suggestion = lr_range.suggest(points, steps)
    if json_:
        values = [point.to_dict() for point in points]
        print_json({"suggestion": suggestion.to_dict(), "points": values})
        return
    print_text("| LR       | Loss   |")
    for point in points[:: max(1, len(points) // 20)]:
        print_text(f"| {point.lr:<8.2g} | {point.smoothed:.4f} |")
    print_text(f"\n{suggestion.explanation}")


def report(
    run: RunOrGroup,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to write, .md or .html. [default: print Markdown]",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    json_: Json = False,
) -> None:
    """Write a report on a run or a group.

    It holds the target, result, network, epoch table, analysis, changes and errors.
    """
    from core.reports import report as reports  # imports the chart libraries

    writers = {".md": reports.write_markdown, ".html": reports.write_html}
    if output is not None and output.suffix.lower() not in writers:
        raise UserError(f"--output {str(output)!r} must end in .md or .html.")
    if output is not None:
        check_output(output, force)
    subject = comparison.open_run_or_group(run)
    try:
        watch.fetch_data(json_)
    except DataError as error:
        print_message(f"The report has no errors section: {error}")
    if output is None:
        text = reports.write_markdown(subject)
        print_result({"run": run, "report": text}, text.rstrip("\n"), json_)
        return
    data = writers[output.suffix.lower()](subject).encode()
    write_output(output, data, force)
    print_result(
        {"run": run, "file": str(output), "bytes": len(data)},
        f"The report on {run} is written to {output}.",
        json_,
    )


def worksheet(
    chapter: Annotated[
        str,
        typer.Argument(
            metavar="CHAPTER",
            help=f"A chapter of the story: {listed(CHAPTERS)}.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to write, .html; it prints on two pages of A4. [default: print as text]",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    json_: Json = False,
) -> None:
    """Write the worksheet of a chapter of the story, with its answers on a second page."""
    if output is not None and output.suffix.lower() != ".html":
        raise UserError(f"--output {str(output)!r} must end in .html.")
    if output is not None:
        check_output(output, force)
    sheet = build_worksheet(chapter)
    if output is None:
        print_result(asdict(sheet), worksheet_text.to_text(sheet), json_)
        return
    data = worksheet_text.to_html(sheet).encode()
    write_output(output, data, force)
    print_result(
        {"chapter": chapter, "file": str(output), "bytes": len(data)},
        f"The worksheet on {sheet.title} is written to {output}.",
        json_,
    )


def _config_for_test(
    run: str | None, recipe_name: str | None, changes: dict[str, Any]
) -> RunConfig:
    """Return the config of the range test: a run's, a recipe's or the default one, changed."""
    if run is None:
        base = recipe(recipe_name).config if recipe_name else RunConfig()
        return base.changed(**changes)
    base = store.open_run(run).config
    config = base.changed(**changes)
    if weights.expected_tensors(plan(config).rows) != weights.expected_tensors(plan(base).rows):
        raise UserError(
            f"the weights of {run} do not fit another network; keep its architecture and layers."
        )
    return config


def _print_groups(groups: list[Group]) -> None:
    rows = []
    for group in groups:
        stats, interval = group.statistics, group.interval
        figures = ["", "", "", "", ""]
        if stats is not None:
            figures = [
                f"{stats.mean:.2f} %",
                f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "",
                f"{stats.deviation:.3f}" if interval else "",
                f"{stats.smallest:.2f} %",
                f"{stats.largest:.2f} %",
            ]
        rows.append(
            (
                group.name,
                f"{len(group.finished)}/{len(group.runs)}",
                *figures,
                group.measured_on,
                "reached" if group.reaches_goal else "",
            )
        )
    print_table(
        (
            "Group",
            "Runs",
            "Mean",
            "95 % interval",
            "Std. dev.",
            "Min",
            "Max",
            "Measured on",
            "Goal",
        ),
        rows,
        left=("Group", "Measured on", "Goal"),
    )
