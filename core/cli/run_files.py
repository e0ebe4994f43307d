"""Commands that delete, restore, export and import runs and their configs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.output import (
    Force,
    Json,
    NewName,
    RunName,
    Yes,
    check_output,
    confirm,
    print_result,
    print_text,
    write_output,
)
from core.cli.watch import print_run
from core.errors import LimitError, RunError, UserError
from core.runs import archive, conversion, folders, store, trash
from core.runs.config_file import write_config


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for name, command in (
        ("delete", delete),
        ("bin", bin_),
        ("restore", restore),
        ("config", config),
        ("export-run", export_run),
        ("import-run", import_run),
        ("convert", convert),
    ):
        app.command(name)(command)


def delete(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN", help="Names of runs, including damaged ones.", show_default=False
        ),
    ],
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Move runs to the bin.

    `restore` brings them back.
    """
    known = {
        folders.readable_name(path) for path in folders.list_entries(folders.checkpoints_folder())
    }
    for name in runs:
        if name not in known:
            raise RunError(f"there is no run {name[:60]!r}.")
    confirm(f"Move {', '.join(runs)} to the bin?", yes)
    deleted = [trash.delete(name) for name in dict.fromkeys(runs)]
    print_result(
        [_deleted_to_dict(item) for item in deleted],
        "\n".join(
            f"{item.name} is in the bin; `restore {item.name}` brings it back." for item in deleted
        ),
        json_,
    )


def bin_(
    empty: Annotated[
        bool, typer.Option("--empty", help="Permanently delete everything in the bin.")
    ] = False,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """List the runs in the bin, or empty it."""
    deleted = trash.list_trash()
    if not empty:
        lines = [
            f"{item.deleted.astimezone():%Y-%m-%d %H:%M}  {item.bytes / 1e6:7.2f} MB  {item.name}"
            for item in deleted
        ]
        values = [_deleted_to_dict(item) for item in deleted]
        print_result(values, "\n".join(lines) or "The bin is empty.", json_)
        return
    if deleted:
        count = "1 run" if len(deleted) == 1 else f"{len(deleted):,} runs"
        megabytes = sum(item.bytes for item in deleted) / 1e6
        confirm(f"Permanently delete {count} ({megabytes:,.2f} MB)?", yes)
    freed = trash.empty()
    print_result(
        {"removed": [item.name for item in deleted], "bytes": freed},
        f"Freed {freed / 1e6:,.2f} MB." if deleted else "The bin is empty.",
        json_,
    )


def restore(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Name of a deleted run (the one deleted last), or its key from `bin --json`.",
            show_default=False,
        ),
    ],
    name: NewName = None,
    json_: Json = False,
) -> None:
    """Restore a run from the bin."""
    restored = trash.restore(trash.find_latest(run).key, name)
    print_run(restored, f"{restored.name} is restored.", json_)


def config(
    run: RunName,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write. [default: print]", show_default=False),
    ] = None,
    force: Force = False,
) -> None:
    """Print the config of a run as JSON.

    `train --config FILE` trains it again, here or on another machine.
    """
    if output is not None:
        check_output(output, force)
    text = write_config(store.open_run(run).config)
    if output is None:
        print_text(text.rstrip("\n"))
        return
    write_output(output, text.encode(), force)
    print_text(f"The config of {run} is written to {output}.")


def export_run(
    run: RunName,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File to write. [default: RUN-run.zip]", show_default=False
        ),
    ] = None,
    force: Force = False,
    json_: Json = False,
) -> None:
    """Export a whole run as a zip file.

    `import-run` imports it, here or on another machine.
    """
    target = output or Path(f"{run}-run.zip")
    check_output(target, force)
    data = archive.export_run(store.open_run(run))
    write_output(target, data, force)
    print_result(
        {"run": run, "file": str(target), "bytes": len(data)},
        f"{run} is exported to {target} ({len(data) / 1e6:.2f} MB).",
        json_,
    )


def import_run(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A zip file from `export-run` or the app.", show_default=False
        ),
    ],
    name: NewName = None,
    json_: Json = False,
) -> None:
    """Import a run from a zip file.

    No code in it is executed.
    """
    try:
        imported = archive.import_run(archive.read_zip(file), name)
    except (RunError, LimitError) as error:
        raise UserError(f"{file} is not imported: {error}") from None
    print_run(imported, f"{file} is imported as {imported.name}.", json_)


def convert(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Names of runs. [default: all that need it]",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Convert weights of earlier versions to safetensors."""
    names = list(dict.fromkeys(runs or conversion.list_unconverted()))
    for name in names:
        conversion.convert_run(name)
    text = "\n".join(f"{name} is converted." for name in names)
    print_result({"converted": names}, text or "No run needs to be converted.", json_)


def _deleted_to_dict(item: trash.TrashedRun) -> dict[str, Any]:
    return {
        "key": item.key,
        "name": item.name,
        "deleted": item.deleted.isoformat(),
        "bytes": item.bytes,
    }
