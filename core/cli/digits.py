"""Commands for the user's own digits: their sets, teaching a run, and comparing it with before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli import watch
from core.cli.options import warn_unused, with_changes
from core.cli.output import (
    Detach,
    Epoch,
    Force,
    Json,
    NewName,
    RunName,
    Which,
    Yes,
    confirm,
    print_json,
    print_message,
    print_result,
    print_table,
    print_text,
    write_output,
)
from core.errors import UserError
from core.experiments.statistics import wilson_interval
from core.library import digit_pictures, teaching
from core.library import digits as library
from core.runs import run_names, run_queue, store
from core.runs.run import describe_start
from core.training.results import TestResult
from core.wording import plural

if TYPE_CHECKING:
    from core.library.teaching import Comparison

MAX_SKIPPED_SHOWN = 10
SetName = Annotated[
    str,
    typer.Argument(
        metavar="SET",
        help="Name of a set; `python -m core digits list` lists them.",
        show_default=False,
    ),
]

app = typer.Typer(no_args_is_help=True, help="Collect your own handwritten digits in named sets.")


def register(parent: typer.Typer) -> None:
    """Add these commands to the command line."""
    parent.add_typer(app, name="digits")
    parent.command("teach")(teach)


@app.command("import")
def import_(
    name: Annotated[
        str,
        typer.Argument(metavar="SET", help="Name of a set, new or existing.", show_default=False),
    ],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="A folder or a zip file of pictures. A picture's label is the folder that it is "
            "in, 0 to 9, or the digit that its name begins with, such as 7-anna.png.",
            show_default=False,
        ),
    ],
    writer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose handwriting it is, where the files' names do not say.",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Add pictures of digits to a set, each brought to MNIST's form.

    `digits export` writes them as they were read. Digits that are in the set already are left out.
    """
    reading = digit_pictures.read_path(source)
    digits = [
        library.make_digit(item.image, item.label, writer=item.writer or writer)
        for item in reading.digits
    ]
    added = library.add_digits(digits, name=name) if digits else 0
    lines = [f"{name}: {plural(added, 'new digit')} from {plural(len(digits), 'picture')}."]
    if reading.skipped:
        lines.append(f"Skipped: {plural(len(reading.skipped), 'file')}.")
        lines += [f"  {item.source}: {item.reason}" for item in reading.skipped[:MAX_SKIPPED_SHOWN]]
        if len(reading.skipped) > MAX_SKIPPED_SHOWN:
            lines.append(f"  and {len(reading.skipped) - MAX_SKIPPED_SHOWN:,} more")
    values = {
        "set": name,
        "read": len(digits),
        "added": added,
        "skipped": [{"file": item.source, "reason": item.reason} for item in reading.skipped],
    }
    print_result(values, "\n".join(lines), json_)


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the sets with their numbers of digits."""
    sets = library.list_sets()
    if json_:
        print_json(
            [
                {"name": item.name, "digits": item.total, "counts": item.counts}
                | ({"error": item.error} if item.error else {})
                for item in sets
            ]
        )
        return
    if not sets:
        print_text("No digits yet. To import some: python -m core digits import SET FOLDER")
        return
    rows = [
        (
            item.name,
            item.error or f"{item.total:,}",
            *("" if item.error else f"{count:,}" for count in item.counts),
        )
        for item in sets
    ]
    print_table(("set", "digits", *map(str, range(10))), rows, left=("set",))


@app.command("export")
def export(
    name: SetName,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File to write. [default: SET-digits.zip]", show_default=False
        ),
    ] = None,
    force: Force = False,
    json_: Json = False,
) -> None:
    """Export a set as a zip file of pictures in MNIST's form.

    `digits import` reads it, here or on another machine.
    """
    target = output or Path(f"{name}-digits.zip")
    data = library.export_digits(name=name)
    write_output(target, data, force)
    count = len(library.list_digits(name=name))
    print_result(
        {"set": name, "file": str(target), "digits": count, "bytes": len(data)},
        f"{plural(count, 'digit')} of {name} are exported to {target}.",
        json_,
    )


@app.command("delete")
def delete(name: SetName, yes: Yes = False, json_: Json = False) -> None:
    """Delete a set; runs that learned it keep their copy."""
    sets = {item.name: item for item in library.list_sets()}
    if name not in sets:
        raise UserError(f"there is no set of digits {name[:60]!r}.")
    contents = "its file is damaged" if sets[name].error else plural(sets[name].total, "digit")
    confirm(f"Permanently delete the set {name} ({contents})?", yes)
    library.clear(name=name)
    print_result({"deleted": name}, f"{name} is deleted.", json_)


@app.command("compare")
def compare(run: RunName, json_: Json = False) -> None:
    """Compare a taught run with the network it started from."""
    _show_comparison(store.open_run(run).name, json_)


@with_changes
def teach(
    changes: dict[str, Any],
    parent: RunName,
    name: NewName = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--drawing",
            metavar="PICTURE",
            help="A digit whose prediction is shown before and after, such as one misread.",
            show_default=False,
        ),
    ] = None,
    which: Which = "last",
    epoch: Epoch = None,
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Train a new run that learns your own digits, from the weights of another.

    It learns from MNIST and the set named by --digits together. A part of the set is kept for
    testing (--digits-test-share). Other options that are not given have the defaults of this
    command, or else the values of the other run.
    """
    store.open_run(parent)  # raises if there is none
    digits = changes.pop("digits", None)
    if digits is None:
        raise UserError("--digits names the set to learn; `python -m core digits list` lists them.")
    drawing = None if picture is None else _read_drawing(picture)
    watch.fetch_data(json_)  # before the run is made, so that a failed download leaves none behind
    run = teaching.teach(
        parent,
        digits,
        name or run_names.find_free_name(f"{parent}-{digits}"),
        changes,
        drawing=drawing,
        which=which if epoch is None else epoch,
        number_if_taken=name is None,
    )
    warn_unused(run.config, changes)
    run = run_queue.submit(run.name)
    if detach:
        watch.print_run(run, watch.describe_start(run), json_)
        return
    if not json_:
        origin = describe_start(run.parent or {})
        print_message(f"{run.name} starts from {parent} ({origin}) and learns {digits}.")
    finished = watch.follow(run.name, quiet=json_)
    if finished.state != "finished":
        reason = f": {finished.message}" if finished.message else "."
        raise UserError(f"{run.name} is {finished.state}{reason}")
    _show_comparison(run.name, json_)


def _read_drawing(path: Path) -> teaching.Drawing:
    """Read the picture of a digit, with the label that its name gives, if any."""
    image = digit_pictures.read_picture(path)
    return teaching.Drawing(image.tobytes(), digit_pictures.parse_label(path.name))


def _show_comparison(name: str, json_: bool) -> None:
    """Print a taught run's accuracy before and after."""
    run = store.open_run(name)
    compared = teaching.compare(run, watch.load_test_set("mnist", json_).to_numpy())
    if json_:
        print_json({"run": name, **_to_dict(compared)})
        return
    rows = [
        (title, *(_describe(result) for result in results))
        for title, results in (
            (f"own test digits ({run.config.digits})", compared.own),
            ("MNIST's test images", compared.mnist),
        )
        if results is not None
    ]
    print_table(("images", "before", "after"), rows, left=("images",))
    if compared.left_out:
        print_text(
            f"Left out of the test: {plural(compared.left_out, 'digit')} that the runs before this "
            "one trained on."
        )
    if compared.drawing is not None and compared.guesses is not None:
        label = "" if compared.drawing.label is None else f", labelled {compared.drawing.label}"
        before, after = (f"{item.digit} ({item.probability:.1%})" for item in compared.guesses)
        print_text(f"The drawing{label}: {before} before, {after} after.")


def _describe(result: TestResult) -> str:
    low, high = wilson_interval(result.correct, result.total)
    return (
        f"{result.accuracy:.2f} % ({low:.2f} to {high:.2f}; {result.correct:,} of {result.total:,})"
    )


def _to_dict(compared: Comparison) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for title, results in (("own", compared.own), ("mnist", compared.mnist)):
        values[title] = (
            None
            if results is None
            else {
                when: {
                    "accuracy": result.accuracy,
                    "interval": list(wilson_interval(result.correct, result.total)),
                    "correct": result.correct,
                    "total": result.total,
                }
                for when, result in zip(("before", "after"), results, strict=True)
            }
        )
    values["left_out"] = compared.left_out
    values["drawing"] = None
    if compared.drawing is not None and compared.guesses is not None:
        values["drawing"] = {"label": compared.drawing.label} | {
            when: {"digit": guess.digit, "probability": guess.probability}
            for when, guess in zip(("before", "after"), compared.guesses, strict=True)
        }
    return values
