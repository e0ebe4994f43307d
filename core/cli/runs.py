"""The commands that list runs and do something with one: go on, pause, fork, rename, delete, take along.

They only read their options, call core and print; `register` puts them on the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli import experiments as cli_experiments
from core.cli import watch as cli_watch
from core.cli.options import with_changes
from core.cli.output import Detach, Json, RunName, Which, Yes, ask, err, out, print_json, say
from core.errors import LimitError, RunError, UserError
from core.runs import (
    archive,
    control,
    conversion,
    files,
    folders,
    run_names,
    run_queue,
    store,
    trash,
)
from core.runs.run import Run

NewName = Annotated[
    str | None, typer.Option("--name", help="What it is to be called.", show_default=False)
]


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
        ("delete", delete),
        ("bin", bin_),
        ("restore", restore),
        ("export-run", export_run),
        ("import-run", import_run),
        ("convert", convert),
    ):
        app.command(name)(command)


def runs(
    groups: Annotated[
        bool, typer.Option("--groups", help="List the groups of repeats instead.")
    ] = False,
    json_: Json = False,
) -> None:
    """List the runs, newest first."""
    run_queue.start_waiting()
    if groups:
        cli_experiments.tell_groups(json_)
        return
    listed = store.list_runs()
    if json_:
        print_json([cli_watch.as_json(run) for run in listed])
        return
    if not listed:
        print(
            "Nothing trained yet; begin with: python -m core train --recipe final --name my-first"
        )
        return
    out.print(cli_watch.table_of(listed))


def resume(run: RunName, detach: Detach = False, json_: Json = False) -> None:
    """Go on with a run that was stopped, paused or cut short, exactly where it stood."""
    store.open_run(run)
    cli_watch.fetch_data(err, json_)
    opened = control.resume(run)
    if detach:
        _tell(opened, f"{run} goes on.", json_)
        return
    cli_watch.watch(run, json_)


def stop(run: RunName, json_: Json = False) -> None:
    """Stop a run, or drop it from the queue; `resume` goes on exactly where it stood."""
    control.stop(run)
    cli_watch.wait_until_left(run)
    opened = store.open_run(run)
    _tell(opened, f"{run} is {opened.state}.", json_)


def pause(
    run: RunName,
    after_epoch: Annotated[
        bool, typer.Option("--after-epoch", help="Once its epoch is done.")
    ] = False,
    json_: Json = False,
) -> None:
    """Pause a run that trains; its place is free for the next one, and `resume` goes on exactly where it stood."""
    control.pause(run, after_epoch=after_epoch)
    if after_epoch:
        _tell(store.open_run(run), f"{run} pauses at the end of its epoch.", json_)
        return
    cli_watch.wait_until_left(run)
    opened = store.open_run(run)
    _tell(
        opened, f"{run} is {opened.state}{f', {opened.message}' if opened.message else ''}.", json_
    )


def step(run: RunName, detach: Detach = False, json_: Json = False) -> None:
    """Train one epoch, or the rest of the one under way, and pause."""
    store.open_run(run)
    cli_watch.fetch_data(err, json_)
    opened = control.step(run)
    if detach:
        _tell(opened, f"{run} does one epoch.", json_)
        return
    cli_watch.watch(run, json_, good=("paused", "finished"))


@with_changes
def fork(
    changes: dict[str, Any],
    run: RunName,
    name: NewName = None,
    which: Which = "last",
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Train a new run that begins with a run's weights; the options say what is different this time."""
    forked = control.fork(run, name or run_names.find_free_name(f"{run}-fork"), changes, which)
    cli_watch.fetch_data(err, json_)
    opened = run_queue.submit(forked.name)
    if detach:
        _tell(opened, f"{opened.name} is started.", json_)
        return
    if not json_:
        err.print(f"{forked.name} begins with the {which} weights of {run}.", markup=False)
    cli_watch.watch(forked.name, json_)


def queue(
    move: Annotated[
        tuple[str, int] | None,
        typer.Option(
            help="Give a waiting run another place, 1 being the next.", metavar="RUN PLACE"
        ),
    ] = None,
    drop: Annotated[str | None, typer.Option(help="Take a waiting run out.", metavar="RUN")] = None,
    json_: Json = False,
) -> None:
    """Show which runs train and which wait; change the order."""
    if move is not None:
        if move[1] < 1:
            raise UserError(f"places in the queue count from 1, not {move[1]}.")
        run_queue.move(move[0], move[1] - 1)
    if drop is not None:
        run_queue.remove(drop)
    run_queue.start_waiting()
    training = [run.name for run in store.list_runs() if isinstance(run, Run) and run.is_live]
    waiting = run_queue.list_waiting()
    words = [f"trains: {name}" for name in training] + [
        f"{n:>5}.: {name}" for n, name in enumerate(waiting, 1)
    ]
    say(
        {"training": training, "waiting": waiting},
        "\n".join(words) or "Nothing trains and nothing waits.",
        json_,
    )


def rename(
    run: RunName, to: Annotated[str, typer.Argument(help="The new name.")], json_: Json = False
) -> None:
    """Give a run another name; runs forked from it follow."""
    _tell(store.rename(run, to), f"{run} is now {to}.", json_)


def note(
    run: RunName,
    text: Annotated[
        str | None,
        typer.Option(help="Words to keep with it; they replace the old ones.", show_default=False),
    ] = None,
    tags: Annotated[
        str | None,
        typer.Option(
            help="Words to find it by, with commas between; they replace the old ones.",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Show a run's note and tags, or write them; empty words remove them."""
    if text is None and tags is None:
        opened = store.open_run(run)
    else:
        opened = store.annotate(run, notes=text, tags=None if tags is None else _tags(tags))
    words = [opened.notes, f"Tags: {', '.join(opened.tags)}" if opened.tags else ""]
    _tell(opened, "\n".join(filter(None, words)) or f"{run} has no note and no tags.", json_)


def delete(
    runs: Annotated[list[str], typer.Argument(help="Names of runs; damaged ones, too.")],
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Put runs into the bin, from which `restore` brings them back."""
    known = {path.name for path in folders.list_entries(folders.checkpoints_folder())}
    for name in runs:
        if name not in known:
            raise RunError(f"there is no run {name[:60]!r}.")
    ask(f"Put {', '.join(runs)} into the bin?", yes)
    gone = [trash.delete(name) for name in dict.fromkeys(runs)]
    say(
        [_binned(item) for item in gone],
        "\n".join(
            f"{item.name} is in the bin; `restore {item.name}` brings it back." for item in gone
        ),
        json_,
    )


def bin_(
    empty: Annotated[bool, typer.Option("--empty", help="Remove all of it for good.")] = False,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """List the deleted runs, or remove them for good."""
    there = trash.list_trash()
    if not empty:
        lines = [
            f"{item.deleted.astimezone():%Y-%m-%d %H:%M}  {item.bytes / 1e6:7.2f} MB  {item.name}"
            for item in there
        ]
        say([_binned(item) for item in there], "\n".join(lines) or "The bin is empty.", json_)
        return
    if there:
        named = "1 run" if len(there) == 1 else f"{len(there):,} runs"
        ask(f"Remove {named} ({sum(item.bytes for item in there) / 1e6:,.2f} MB) for good?", yes)
    freed = trash.empty()
    say(
        {"removed": [item.name for item in there], "bytes": freed},
        f"{freed / 1e6:,.2f} MB are free again." if there else "The bin is empty.",
        json_,
    )


def restore(
    run: Annotated[
        str,
        typer.Argument(
            help="Name of a deleted run, the last one of that name; or its key, "
            "as `bin --json` tells it."
        ),
    ],
    name: NewName = None,
    json_: Json = False,
) -> None:
    """Bring a deleted run back."""
    restored = trash.restore(trash.find_latest(run).key, name)
    _tell(restored, f"{restored.name} is back.", json_)


def export_run(
    run: RunName,
    output: Annotated[
        Path | None, typer.Option(help="File to write; else RUN-run.zip.", show_default=False)
    ] = None,
    json_: Json = False,
) -> None:
    """Save a whole run as a zip file, which `import-run` takes in, here or on another machine."""
    target = output or Path(f"{run}-run.zip")
    data = archive.export_run(store.open_run(run))
    if target.exists():
        raise UserError(f"{target} is there already; name another file with --output.")
    if not target.parent.is_dir():
        raise UserError(f"{target} cannot be written: there is no folder {target.parent}.")
    files.write_bytes(target, data)
    say(
        {"run": run, "file": str(target), "bytes": len(data)},
        f"{run} is in {target} ({len(data) / 1e6:.2f} MB).",
        json_,
    )


def import_run(
    file: Annotated[Path, typer.Argument(help="A zip file that `export-run` or the app made.")],
    name: NewName = None,
    json_: Json = False,
) -> None:
    """Take in a run from a zip file; nothing in it is run."""
    try:
        made = archive.import_run(archive.read_zip(file), name)
    except (RunError, LimitError) as error:
        raise UserError(f"{file} is not taken in: {error}") from None
    _tell(made, f"{file} is here as {made.name}.", json_)


def convert(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Names of runs; all that need it by default.")
    ] = None,
    json_: Json = False,
) -> None:
    """Convert the weights of runs from earlier versions (.pt) to safetensors."""
    names = list(dict.fromkeys(runs or conversion.list_unconverted()))
    for name in names:
        conversion.convert_run(name)
    words = "\n".join(f"{name} is converted." for name in names)
    say({"converted": names}, words or "No run needs to be converted.", json_)


def _tell(run: Run, words: str, json_: bool) -> None:
    say(cli_watch.as_json(run), words, json_)


def _tags(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (tag.strip() for tag in text.split(",")))))


def _binned(item: trash.TrashedRun) -> dict[str, Any]:
    return {
        "key": item.key,
        "name": item.name,
        "deleted": item.deleted.isoformat(),
        "bytes": item.bytes,
    }
