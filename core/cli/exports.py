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
    print_message,
    print_result,
    write_output,
)
from core.errors import UserError, listed
from core.exports import export as exports
from core.exports import network_sheet, tensorboard
from core.exports.c.export import export_c
from core.quantisation.schemes import SCHEMES
from core.runs import store
from core.runs.run import Run

C, TENSORBOARD = "c", "tensorboard"
FORMATS = (*exports.FORMATS, C, TENSORBOARD, *network_sheet.MIME)


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("export")(export)


def export(
    run: RunName,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="A web page to draw on, ONNX, torch.export program, a Python script that trains "
            "the run again, a C header, the curves as events for TensorBoard, or all numbers of "
            "the network on one page.",
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
    quantise: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SCHEMES),
            help="For c: compute in integers, with weights of 8 or 4 bits and scales from training "
            "images. Weights of 4 bits, and those whose rounding loses accuracy on held-out "
            "training images, are fine-tuned, which takes minutes.",
            show_default=False,
        ),
    ] = None,
    bytes_: Annotated[
        int | None,
        typer.Option(
            "--bytes",
            min=1,
            metavar="NUMBER",
            help="For c in integers: bytes of all constants at most; as many layers as needed get "
            "4-bit weights.",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    which: Which = "last",
    json_: Json = False,
) -> None:
    """Export a run for use elsewhere.

    Before a network or a script is written, it is loaded and its outputs on test images are
    compared with those of the run.
    """
    if format_ not in FORMATS:
        raise UserError(f"unknown format {format_[:40]!r}; choose {listed(FORMATS)}.")
    _check_quantise(format_, quantise, bytes_)
    opened = store.open_run(run)
    if format_ == TENSORBOARD:
        _export_events(opened, output, force, json_)
        return
    opened.weights_path(which)
    if output is not None:
        check_output(output, force)
    if format_ in network_sheet.MIME:
        _print_network(opened, which, format_, output, force, json_)
        return
    watch.fetch_data(json_)
    if format_ == C:
        _export_c(opened, which, quantise, bytes_, output, force, json_)
        return
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


def _check_quantise(format_: str, quantise: str | None, bytes_: int | None) -> None:
    """Check the options that belong to C headers.

    Raises:
        UserError: an unknown scheme, or an option without what it is for.
    """
    if quantise is not None and quantise not in SCHEMES:
        raise UserError(f"unknown scheme {quantise[:40]!r}; choose {listed(SCHEMES)}.")
    if quantise is not None and format_ != C:
        raise UserError(f"--quantise is for --format {C}, not for {format_}.")
    if bytes_ is not None and quantise is None:
        raise UserError(f"--bytes is for --format {C} with --quantise.")


def _export_c(
    run: Run,
    which: str,
    quantise: str | None,
    bytes_: int | None,
    output: Path | None,
    force: bool,
    json_: bool,
) -> None:
    """Write a run as a C header."""

    def report(done: int, total: int) -> None:
        if done == 1 and not json_:
            print_message(f"Fine-tuning the rounded weights: {total:,} steps.")

    header = export_c(run, which, quantise or "", bytes_, bool(quantise), report=report)
    target = output or Path(header.name)
    write_output(target, header.data, force)
    print_result(
        {
            "run": run.name,
            "format": C,
            "file": str(target),
            "bytes": len(header.data),
            "figures": header.to_dict(),
        },
        f"{run.name} is exported to {target} ({len(header.data) / 1e3:,.1f} kB). {header.summary}",
        json_,
    )


def _export_events(run: Run, output: Path | None, force: bool, json_: bool) -> None:
    """Write a run's events, by default into a folder of its own below `tensorboard`."""
    if output is not None and tensorboard.MARK not in output.name:
        raise UserError(
            f"TensorBoard reads only files with {tensorboard.MARK!r} in their name, not "
            f"{output.name}; name it {output.stem}{tensorboard.EXTENSION}."
        )
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


def _print_network(
    run: Run, which: str, format_: str, output: Path | None, force: bool, json_: bool
) -> None:
    """Write all numbers of a run's network as one page."""
    page = network_sheet.draw_sheet(run, which)
    data = network_sheet.sheet_to_pdf(page) if format_ == "pdf" else page.encode()
    target = output or Path(f"{run.name}.{format_}")
    write_output(target, data, force)
    print_result(
        {"run": run.name, "format": format_, "file": str(target), "bytes": len(data)},
        f"{run.name} is printed to {target} ({len(data) / 1e3:,.1f} kB), "
        f"{network_sheet.paper_of(page)}.",
        json_,
    )
