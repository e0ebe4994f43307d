"""The command that exports a run as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli import watch
from core.cli.output import (
    Force,
    Json,
    RunName,
    Which,
    check_output,
    print_result,
    write_output,
)
from core.errors import UserError, listed
from core.exports import export as exports
from core.exports import tensorboard
from core.runs import store
from core.runs.run import Run

TENSORBOARD = "tensorboard"


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("export")(export)


def export(
    run: RunName,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join([*exports.FORMATS, TENSORBOARD]),
            help="A web page to draw on, ONNX, torch.export program, a Python script that trains "
            "the run again, or the curves as events for TensorBoard.",
        ),
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to write. [default: named after the run]",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    which: Which = "last",
    json_: Json = False,
) -> None:
    """Export a run for use elsewhere.

    Before it is written, the file is loaded and its outputs on test images are compared with those
    of the run.
    """
    if format_ not in (*exports.FORMATS, TENSORBOARD):
        formats = listed([*exports.FORMATS, TENSORBOARD])
        raise UserError(f"unknown format {format_[:40]!r}; choose {formats}.")
    opened = store.open_run(run)
    if format_ == TENSORBOARD:
        _export_events(opened, output, force, json_)
        return
    opened.weights_path(which)
    if output is not None:
        check_output(output, force)
    watch.fetch_data(json_)
    exported = exports.export(opened, format_, which)
    target = output or Path(exported.name)
    write_output(target, exported.data, force)
    print_result(
        {
            "run": run,
            "format": format_,
            "file": str(target),
            "bytes": len(exported.data),
            "check": exported.check.to_dict(),
        },
        f"{run} is exported to {target} ({len(exported.data) / 1e3:,.1f} kB). "
        f"{exported.check.summary}",
        json_,
    )


def _export_events(run: Run, output: Path | None, force: bool, json_: bool) -> None:
    """Write a run's events, by default into a folder of its own below `tensorboard`."""
    target = output or Path(TENSORBOARD, run.name, f"{run.name}{tensorboard.EXTENSION}")
    if output is None:
        target.parent.mkdir(parents=True, exist_ok=True)
    data = tensorboard.write_events(run)
    write_output(target, data, force)
    print_result(
        {"run": run.name, "format": TENSORBOARD, "file": str(target), "bytes": len(data)},
        f"{run.name} is exported to {target} ({len(data) / 1e3:,.1f} kB). To see it: "
        f"tensorboard --logdir {TENSORBOARD if output is None else target.parent}",
        json_,
    )
