"""Commands that list, continue, fork, queue, rename and annotate runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from core.cli import experiments as experiment_commands
from core.cli import watch
from core.cli.options import warn_unused, with_changes
from core.cli.output import (
    Detach,
    Json,
    NewName,
    RunName,
    Which,
    print_json,
    print_message,
    print_result,
    print_text,
)
from core.errors import UserError
from core.runs import control, run_names, run_queue, store
from core.runs.run import Run


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for name, command in (
        ("runs", runs),
        ("resume", resume),
        ("stop", stop),
        ("pause", pause),
        ("step", step),
        ("fork", fork),
        ("queue", queue),
        ("rename", rename),
        ("note", note),
    ):
        app.command(name)(command)


def runs(
    groups: Annotated[
        bool, typer.Option("--groups", help="List groups of repeats instead.")
    ] = False,
    json_: Json = False,
) -> None:
    """List the runs, newest first."""
    run_queue.start_waiting()
    if groups:
        experiment_commands.show_groups(json_)
        return
    listed = store.list_runs()
    if json_:
        print_json([watch.run_to_dict(run) for run in listed])
    elif listed:
        watch.print_runs(listed)
    else:
        print_text("No runs yet. To start: python -m core train --recipe final --name my-first")


def resume(run: RunName, detach: Detach = False, json_: Json = False) -> None:
    """Continue a run exactly where it was.

    The run may be stopped, paused or crashed.
    """
    store.open_run(run)
    watch.fetch_data(json_)
    opened = control.resume(run)
    if detach:
        watch.print_run(opened, f"{run} continues.", json_)
        return
    watch.show_training(run, json_)


def stop(run: RunName, json_: Json = False) -> None:
    """Stop a run, or remove it from the queue.

    `resume` continues it exactly where it was.
    """
    control.stop(run)
    watch.wait_until_stopped(run)
    opened = store.open_run(run)
    watch.print_run(opened, f"{run} is {opened.state}.", json_)


def pause(
    run: RunName,
    after_epoch: Annotated[
        bool, typer.Option("--after-epoch", help="Pause at the end of the current epoch.")
    ] = False,
    json_: Json = False,
) -> None:
    """Pause a run.

    The next run in the queue can train; `resume` continues this one exactly where it was.
    """
    control.pause(run, after_epoch=after_epoch)
    if after_epoch:
        watch.print_run(store.open_run(run), f"{run} will pause at the end of its epoch.", json_)
        return
    watch.wait_until_stopped(run)
    opened = store.open_run(run)
    reason = f", {opened.message}" if opened.message else ""
    watch.print_run(opened, f"{run} is {opened.state}{reason}.", json_)


def step(run: RunName, detach: Detach = False, json_: Json = False) -> None:
    """Train one epoch, then pause.

    A partly trained epoch is completed.
    """
    store.open_run(run)
    watch.fetch_data(json_)
    opened = control.step(run)
    if detach:
        watch.print_run(opened, f"{run} trains one epoch.", json_)
        return
    watch.show_training(run, json_, expected_states=("paused", "finished"))


@with_changes
def fork(
    changes: dict[str, Any],
    run: RunName,
    name: NewName = None,
    which: Which = "last",
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Train a new run from the weights of another.

    Options that are not given keep the values of the other run.
    """
    forked = control.fork(run, name or run_names.find_free_name(f"{run}-fork"), changes, which)
    warn_unused(forked.config, changes)
    watch.fetch_data(json_)
    opened = run_queue.submit(forked.name)
    if detach:
        watch.print_run(opened, f"{opened.name} is started.", json_)
        return
    if not json_:
        print_message(f"{forked.name} starts from the {which} weights of {run}.")
    watch.show_training(forked.name, json_)


def queue(
    move: Annotated[
        tuple[str, int] | None,
        typer.Option(help="Move a waiting run to a position; 1 is next.", metavar="RUN POSITION"),
    ] = None,
    drop: Annotated[
        str | None, typer.Option(help="Remove a waiting run from the queue.", metavar="RUN")
    ] = None,
    json_: Json = False,
) -> None:
    """Show or change the queue of runs."""
    if move is not None:
        name, position = move
        if position < 1:
            raise UserError(f"positions in the queue start at 1, not {position}.")
        run_queue.move(name, position - 1)
    if drop is not None:
        run_queue.remove(drop)
    run_queue.start_waiting()
    training = [run.name for run in store.list_runs() if isinstance(run, Run) and run.is_live]
    waiting = run_queue.list_waiting()
    lines = [f"training: {name}" for name in training]
    lines += [f"{position:>7}.: {name}" for position, name in enumerate(waiting, 1)]
    print_result(
        {"training": training, "waiting": waiting},
        "\n".join(lines) or "No runs are training or waiting.",
        json_,
    )


def rename(
    run: RunName,
    to: Annotated[
        str, typer.Argument(metavar="NEW_NAME", help="The new name.", show_default=False)
    ],
    json_: Json = False,
) -> None:
    """Rename a run; runs forked from it are updated."""
    watch.print_run(store.rename(run, to), f"{run} is now {to}.", json_)


def note(
    run: RunName,
    text: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="New note; empty to remove it.", show_default=False),
    ] = None,
    tags: Annotated[
        str | None,
        typer.Option(
            metavar="TAG,TAG,...", help="New tags; empty to remove them.", show_default=False
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Show or replace the note and the tags of a run."""
    if text is None and tags is None:
        opened = store.open_run(run)
    else:
        opened = store.annotate(run, notes=text, tags=None if tags is None else _parse_tags(tags))
    lines = [opened.notes, f"Tags: {', '.join(opened.tags)}" if opened.tags else ""]
    watch.print_run(
        opened, "\n".join(filter(None, lines)) or f"{run} has no note and no tags.", json_
    )


def _parse_tags(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (tag.strip() for tag in text.split(",")))))
