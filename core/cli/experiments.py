"""The commands for experiments: groups of repeats, comparisons, the range test, reports and exports.

They only read their options, call core and print; `register` puts them on the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from core.cli import watch as cli_watch
from core.cli.options import with_changes
from core.cli.output import Json, RunName, Which, err, out, print_json, say
from core.config import RunConfig
from core.errors import DataError, UserError, listed
from core.experiments import comparison, lr_range, lr_range_job, repeats
from core.experiments.repeats import Group
from core.exports import export as exports
from core.recipes import recipe
from core.runs import files, loading, run_queue, store, weights
from core.training.plan import plan

Named = Annotated[str, typer.Argument(help="A run's name, or a group's.")]
Output = Annotated[Path | None, typer.Option(help="File to write.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for name, command in (
        ("compare", compare),
        ("lr-range", lr_range_),
        ("report", report),
        ("export", export),
    ):
        app.command(name)(command)


def train_group(
    config: RunConfig, name: str, count: int, recipe_name: str | None, detach: bool, json_: bool
) -> None:
    """Train a config several times with different seeds, and tell what the group comes to."""
    follow_group(repeats.create(config, name, count, recipe=recipe_name), detach, json_)


def follow_group(group: Group, detach: bool, json_: bool) -> None:
    """Train a group that is made, and tell what it comes to."""
    name = group.name
    cli_watch.fetch_data(err, json_)
    repeats.submit(group)
    if detach:
        names = ", ".join(run.name for run in group.runs)
        say(repeats.open_group(name).to_dict(), f"{name} is started: {names}.", json_)
        return
    for run in group.runs:
        if not json_:
            err.print(f"{run.name}, seed {run.config.seed}:", markup=False)
        if (state := cli_watch.follow(run.name, out, err, quiet=json_).state) == "stopped":
            waiting = set(run_queue.list_waiting())
            for other in group.runs:
                if other.name in waiting:
                    run_queue.remove(other.name)
            raise UserError(
                f"{run.name} is {state}, and the rest of {name} is out of the queue; `resume` goes on."
            )
    trained = repeats.open_group(name)
    say(trained.to_dict(), trained.words, json_)
    if failed := [run.name for run in trained.runs if run.state != "finished"]:
        raise UserError(f"not all of {name} was trained to the end: see {', '.join(failed)}.")


def tell_groups(json_: bool) -> None:
    """List the groups with what they reach."""
    groups = repeats.list_groups()
    if json_:
        print_json([group.to_dict() for group in groups])
        return
    if not groups:
        print(
            "There is no group yet; begin with: python -m core train --recipe final --repeats 5 --name mine"
        )
        return
    out.print(_table_of(groups))


def compare(first: Named, second: Named, json_: Json = False) -> None:
    """Tell which of two runs, or of two groups, is better, and how sure that is."""
    answer = comparison.compare(first, second)
    if json_:
        print_json(answer.to_dict())
        return
    print(f"{answer.words}\n")
    for name, accuracy in zip((first, second), answer.accuracies, strict=True):
        print(f"{name}: {accuracy:.2f} %")
    for words, count in comparison.counts(answer).items():
        print(f"{count:>6,} {words}")
    print(f"\n{answer.method}")


@with_changes
def lr_range_(
    changes: dict[str, Any],
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run to begin with: its config and its last weights.", show_default=False
        ),
    ] = None,
    recipe_name: Annotated[
        str | None, typer.Option("--recipe", help="Start from a recipe.", show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps to take.")] = lr_range.STEPS,
    low: Annotated[
        float | None, typer.Option(help="First rate; else by the optimizer.", show_default=False)
    ] = None,
    high: Annotated[
        float | None, typer.Option(help="Last rate; else by the optimizer.", show_default=False)
    ] = None,
    json_: Json = False,
) -> None:
    """Let the learning rate climb on a copy of the weights, and suggest the highest one to train with."""
    if run is not None and recipe_name is not None:
        raise UserError("name a run or a recipe to begin with, not both.")
    config = _config(run, recipe_name, changes)
    climb = lr_range.learning_rates(config, steps, low, high)
    plan(config)
    state, teacher = lr_range_job.initial_weights(run), loading.load_teacher(config)
    cli_watch.fetch_data(err, json_)
    from core.data.dataset import load

    found = []
    with cli_watch.progress_bar(err, json_) as bar:
        task = bar.add_task("Climbing", total=steps)
        for point in lr_range.run_test(config, load(), climb, state, teacher):
            found.append(point)
            bar.update(
                task,
                completed=point.step,
                description=f"Rate {point.lr:.2g}, loss {point.smoothed:.2f}",
            )
    suggestion = lr_range.suggest(found, steps)
    if json_:
        print_json(
            {"suggestion": suggestion.to_dict(), "points": [point.to_dict() for point in found]}
        )
        return
    print("| LR       | Loss   |")
    for point in found[:: max(1, len(found) // 20)]:
        print(f"| {point.lr:<8.2g} | {point.smoothed:.4f} |")
    print(f"\n{suggestion.explanation}")


def report(
    run: Named,
    output: Annotated[
        Path | None,
        typer.Option(
            help="File to write, .md or .html; without it the report is printed as Markdown.",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Tell a run or a group: targets, results, network, epoch table, analysis, changes, mistakes."""
    from core.reports import report as reports  # brings the charts' libraries along

    writers = {".md": reports.markdown, ".html": reports.html}
    if output is not None and output.suffix.lower() not in writers:
        raise UserError(f"{output} is neither a .md nor a .html file; name one of these.")
    subject = comparison.named(run)
    try:
        cli_watch.fetch_data(err, json_)
    except DataError as error:
        err.print(f"Without the mistakes: {error}", markup=False)
    if output is None:
        text = reports.markdown(subject)
        say({"run": run, "report": text}, text.rstrip("\n"), json_)
        return
    data = writers[output.suffix.lower()](subject).encode()
    _write(output, data)
    say(
        {"run": run, "file": str(output), "bytes": len(data)},
        f"The report of {run} is in {output}.",
        json_,
    )


def export(
    run: RunName,
    format_: Annotated[
        str, typer.Option("--format", help=f"One of {', '.join(exports.FORMATS)}.")
    ] = "onnx",
    output: Output = None,
    which: Which = "last",
    json_: Json = False,
) -> None:
    """Save a run for elsewhere: as ONNX, as a torch.export program, or as a Python script that trains it anew.

    The file is loaded again and compared with the run on real test images before it is written.
    """
    if format_ not in exports.FORMATS:
        raise UserError(f"there is no format {format_[:40]!r}; choose {listed(exports.FORMATS)}.")
    opened = store.open_run(run)
    opened.weights_path(which)
    cli_watch.fetch_data(err, json_)
    made = exports.export(opened, format_, which)
    target = output or Path(made.name)
    if output is None and target.exists():
        raise UserError(f"{target} is there already; name another file with --output.")
    _write(target, made.data)
    say(
        {
            "run": run,
            "format": format_,
            "file": str(target),
            "bytes": len(made.data),
            "check": made.check.to_dict(),
        },
        f"{run} is in {target} ({len(made.data) / 1e3:,.1f} kB). {made.check.words}",
        json_,
    )


def _config(run: str | None, recipe_name: str | None, changes: dict[str, Any]) -> RunConfig:
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


def _write(path: Path, data: bytes) -> None:
    if not path.parent.is_dir():
        raise UserError(f"{path} cannot be written: there is no folder {path.parent}.")
    files.write_bytes(path, data)


def _table_of(groups: list[Group]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in (
        "Group",
        "Runs",
        "Mean",
        "95 % interval",
        "Deviation",
        "Smallest",
        "Largest",
        "Measured on",
        "Goal",
    ):
        table.add_column(
            title, justify="left" if title in ("Group", "Measured on", "Goal") else "right"
        )
    for group in groups:
        found, interval = group.spread, group.interval
        figures = ["", "", "", "", ""]
        if found is not None:
            figures = [
                f"{found.mean:.2f} %",
                f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "",
                f"{found.deviation:.3f}" if interval else "",
                f"{found.smallest:.2f} %",
                f"{found.largest:.2f} %",
            ]
        table.add_row(
            group.name,
            f"{len(group.finished)}/{len(group.runs)}",
            *figures,
            group.measured_on,
            "reached" if group.reaches_goal else "",
        )
    return table
