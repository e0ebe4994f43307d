"""Commands that list, resume, stop, pause, step, fork, queue, rename and annotate runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from core.cli import experiments as experiment_commands
from core.cli import watch
from core.cli.options import warn_unused, with_changes
from core.cli.output import (
    Detach,
    Epoch,
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
from core.runs import control, folders, listing, run_names, run_queue, store
from core.runs.run import Run, describe_start


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
    find: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="List the runs with these words in name, title, tags, recipe, network or parent "
            "that meet these conditions, such as 'max_lr > 0.1 optimizer = sgd'.",
        ),
    ] = "",
    json_: Json = False,
) -> None:
    """List the runs, newest first."""
    folders.check_folder(folders.checkpoints_folder())
    # The worker that should have started them may have been killed; then this command does.
    run_queue.start_waiting()
    if groups:
        experiment_commands.show_groups(json_)
        return
    listed = store.list_runs()
    if find:
        matching = listing.filter_runs((run for run in listed if isinstance(run, Run)), find)
        listed = [*matching]
    if json_:
        print_json([watch.run_to_dict(run) for run in listed])
    elif listed:
        watch.print_runs(listed)
    elif find:
        print_text("No run matches.")
    else:
        print_text("No runs yet. To start: python -m core train --recipe final --name my-first")


def resume(name: RunName, detach: Detach = False, json_: Json = False) -> None:
    """Continue a run exactly where it stopped.

    The run may be stopped, paused or crashed.
    """
    store.open_run(name)  # raises if there is none
    watch.fetch_data(json_)
    run = control.resume(name)
    if detach:
        watch.print_run(run, watch.describe_start(run, "has resumed"), json_)
        return
    watch.show_training(name, json_)


def stop(name: RunName, json_: Json = False) -> None:
    """Stop a run, or remove it from the queue.

    `resume` continues it exactly where it stopped.
    """
    control.stop(name)
    watch.wait_until_stopped(name)
    run = store.open_run(name)
    watch.print_run(run, f"{name} is {run.state}.", json_)


def pause(
    name: RunName,
    after_epoch: Annotated[
        bool, typer.Option("--after-epoch", help="Pause at the end of the current epoch.")
    ] = False,
    json_: Json = False,
) -> None:
    """Pause a run.

    The next run in the queue can train; `resume` continues this one exactly where it stopped.
    """
    control.pause(name, after_epoch=after_epoch)
    if after_epoch:
        watch.print_run(store.open_run(name), f"{name} will pause at the end of its epoch.", json_)
        return
    watch.wait_until_stopped(name)
    run = store.open_run(name)
    reason = f", {run.message}" if run.message else ""
    watch.print_run(run, f"{name} is {run.state}{reason}.", json_)


def step(name: RunName, detach: Detach = False, json_: Json = False) -> None:
    """Train one epoch, then pause.

    A partly trained epoch is completed.
    """
    store.open_run(name)  # raises if there is none
    watch.fetch_data(json_)
    run = control.step(name)
    if detach:
        watch.print_run(run, watch.describe_start(run, "is training one epoch"), json_)
        return
    watch.show_training(name, json_, expected_states=("paused", "finished"))


@with_changes
def fork(
    changes: dict[str, Any],
    parent: RunName,
    name: NewName = None,
    which: Which = "last",
    epoch: Epoch = None,
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Train a new run from the weights of another.

    Options that are not given keep the values of the other run.
    """
    store.open_run(parent)  # raises if there is none
    watch.fetch_data(json_)  # before the fork, so that a failed download leaves no run behind
    run = control.fork(
        parent,
        name or run_names.find_free_name(f"{parent}-fork"),
        changes,
        which if epoch is None else epoch,
        number_if_taken=name is None,
    )
    name = run.name
    warn_unused(run.config, changes)
    run = run_queue.submit(name)
    if detach:
        watch.print_run(run, watch.describe_start(run), json_)
        return
    if not json_:
        print_message(f"{name} starts from {parent} ({describe_start(run.parent or {})}).")
    watch.show_training(name, json_)


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
    # A killed worker starts no other run; any command that shows the queue makes up for it.
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
    name: RunName,
    to: Annotated[
        str, typer.Argument(metavar="NEW_NAME", help="The new name.", show_default=False)
    ],
    json_: Json = False,
) -> None:
    """Rename a run; runs forked from it are updated."""
    run = store.rename(name, to)
    title = f", called {run.title}" if run.title else ""
    watch.print_run(run, f"{name} is now {run.name}{title}.", json_)


def note(
    name: RunName,
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
        run = store.open_run(name)
    else:
        run = store.annotate(name, notes=text, tags=None if tags is None else _parse_tags(tags))
    lines = [run.notes, f"Tags: {', '.join(run.tags)}" if run.tags else ""]
    watch.print_run(
        run, "\n".join(filter(None, lines)) or f"{name} has no note and no tags.", json_
    )


def _parse_tags(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (tag.strip() for tag in text.split(",")))))
