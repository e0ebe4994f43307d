"""The command line: each command prints text, or JSON with --json.

Commands parse options, call core and print. An error is one sentence on standard error and a
nonzero exit status, never a traceback.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Annotated

import typer

from core.aliases import current_value
from core.cli import calibration as calibration_words
from core.cli import digits as digit_commands
from core.cli import experiments as experiment_commands
from core.cli import exports as export_command
from core.cli import precision as precision_command
from core.cli import predict as predict_command
from core.cli import run_files as run_file_commands
from core.cli import runs as run_commands
from core.cli import sweeps as sweep_commands
from core.cli import watch
from core.cli.options import with_config
from core.cli.output import (
    Detach,
    Epoch,
    Json,
    On,
    RunName,
    Which,
    plain,
    print_json,
    print_result,
    print_text,
)
from core.config import RunConfig
from core.errors import UserError
from core.experiments.statistics import wilson_interval
from core.models.architectures import ARCHITECTURES
from core.runs import creation, folders, run_names, run_queue, store
from core.runs.evaluation import describe_deviation, evaluate_run
from core.task import PARAMETER_BUDGET, TEST_SETS
from core.training import schedules

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, inspect and evaluate small networks on MNIST.\n\n"
    "To start: python -m core train --recipe final --name my-first",
)

MAX_MESSAGE = 2_000  # characters; arguments that are quoted may be far longer


@app.command()
@with_config
def train(
    recipe_name: str | None,
    config: RunConfig,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the run.", show_default=False)
    ] = None,
    count: Annotated[
        int,
        typer.Option(
            "--repeats",
            metavar="NUMBER",
            help="Number of runs with different seeds, as a group.",
            min=1,
        ),
    ] = 1,
    first: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="With --repeats: an existing run that becomes the first of them; the others have "
            "its settings.",
            show_default=False,
        ),
    ] = None,
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Train a network and print its epoch table.

    Ctrl-C stops the run; `resume` continues it.
    """
    if first is not None:
        config, recipe_name = _settings_of_first(first, config, count, recipe_name)
    if count > 1:
        experiment_commands.train_group(config, name, count, recipe_name, first, detach, json_)
        return
    run = creation.create_run(
        config,
        name or run_names.find_free_name(recipe_name or config.architecture),
        recipe=recipe_name,
        number_if_taken=name is None,
    )
    watch.fetch_data(json_)
    run_queue.submit(run.name)
    if detach:
        run = store.open_run(run.name)
        values = {"name": run.name, "state": run.state}
        print_result(values, watch.describe_start(run), json_)
        return
    watch.show_training(run.name, json_)


def _settings_of_first(
    name: str, config: RunConfig, count: int, recipe_name: str | None
) -> tuple[RunConfig, str | None]:
    """Return the config and recipe of the run that the repeats begin with."""
    if count < 2:
        raise UserError("--first needs --repeats: the number of runs, with the existing one.")
    if recipe_name or config != RunConfig():
        raise UserError("--first takes all settings from the run; leave out the other options.")
    run = store.open_run(name)
    return run.config, run.recipe


@app.command()
def summary(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="ARCHITECTURE",
            help=f"One of {', '.join(ARCHITECTURES)}, or the name of a run.",
            show_default=False,
        ),
    ],
    budget: Annotated[
        int, typer.Option(metavar="NUMBER", help="Parameter budget to compare with.", min=1)
    ] = PARAMETER_BUDGET,
    json_: Json = False,
) -> None:
    """Show the layers and costs of a network."""
    from core.models.architectures import rows_of
    from core.models.summary import summarise

    architecture = current_value("architecture", architecture)
    config = RunConfig(architecture=architecture)
    runs = {path.name for path in folders.list_entries(folders.checkpoints_folder())}
    if architecture not in ARCHITECTURES and architecture in runs:
        config = store.open_run(architecture).config
    network = summarise(rows_of(config), budget)
    if json_:
        print_json({"architecture": architecture, **network.to_dict()})
        return
    side = "below" if network.left >= 0 else "above"
    print_text(network.text())
    print_text(
        f"{network.multiply_adds:,} multiply-adds per image, receptive field "
        f"{network.receptive_field} pixels,\n"
        f"{abs(network.left):,} {side} the budget of {budget:,} parameters."
    )


@app.command()
@with_config
def schedule(recipe_name: str | None, config: RunConfig, json_: Json = False) -> None:
    """Show the learning rate at the start of each epoch."""
    steps = schedules.steps_per_epoch(config.training_images, config.batch_size)
    rates = schedules.epoch_rates(config, steps)
    if json_:
        print_json([{"epoch": epoch, "lr": rate} for epoch, rate in enumerate(rates, 1)])
        return
    print_text("| Epoch | LR       |")
    for epoch, rate in enumerate(rates, 1):
        print_text(f"| {epoch:5d} | {rate:.6f} |")


@app.command()
def evaluate(
    run: RunName,
    which: Which = "last",
    epoch: Epoch = None,
    on: On = "mnist",
    calibration: Annotated[
        bool,
        typer.Option("--calibration", help="Also measure whether its probabilities are right."),
    ] = False,
    json_: Json = False,
) -> None:
    """Measure the accuracy on the 10,000 test images, or on QMNIST's 50,000 further ones."""
    opened = store.open_run(run)
    weights = which if epoch is None else epoch
    opened.weights_path(weights)  # raises where there are none
    images = watch.load_test_set(on, json_)
    result = evaluate_run(opened, images, weights)
    low, high = wilson_interval(result.correct, result.total)
    note = describe_deviation(opened, result, weights) if on == "mnist" else ""
    if epoch is None:
        row = opened.last if which == "last" else opened.best
        epoch = row.epoch if row else None
        place = f"{which} epoch, {epoch}"
    else:
        which = "epoch"
        place = f"after epoch {epoch}" if epoch else "before the first epoch"
    text = (
        f"{run} ({place}): {result.accuracy:.2f} % of the "
        f"{TEST_SETS[on]}, {result.correct:,} of {result.total:,} "
        f"(95 % confidence interval: {low:.2f} to {high:.2f}), mean loss {result.loss:.6f}."
    )
    if which == "best" and not opened.config.holdout and on == "mnist":
        text += " This epoch was chosen on the test images, so its accuracy is optimistic."
    text += f" {note}" if note else ""
    more = {}
    if calibration:
        measured = calibration_words.calibrate_run(opened, images, weights)
        text += f"\n{calibration_words.describe_calibration(opened, measured)}"
        more = {"calibration": measured.to_dict()}
    print_result(
        {
            "run": run,
            "weights": which,
            "epoch": epoch,
            "measured_on": TEST_SETS[on],
            "accuracy": result.accuracy,
            "interval": [low, high],
            "correct": result.correct,
            "total": result.total,
            "loss": result.loss,
            "note": note,
            **more,
        },
        text,
        json_,
    )


predict_command.register(app)
run_commands.register(app)
run_file_commands.register(app)
experiment_commands.register(app)
export_command.register(app)
digit_commands.register(app)
sweep_commands.register(app)
precision_command.register(app)


def main() -> None:
    """Run a command and exit: 0 success, 1 refused, 2 usage error, 130 interrupted."""
    _prepare_streams()
    try:
        # In typer's standalone mode, usage errors are printed in a box of several lines.
        status = app(standalone_mode=False, prog_name="python -m core")
        sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except UserError as error:
        _fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted.", 130)
    except typer.TyperException as error:
        _fail(getattr(error, "format_message", error.__str__)(), 2)
    except BrokenPipeError:  # nobody reads the output any more
        _fail("", 1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}.", 1)


def _prepare_streams() -> None:
    """Open closed streams, and escape what the terminal's encoding does not have."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # Otherwise the next file that is opened would get the descriptor, and the output.
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, status: int) -> None:
    """Print one sentence on standard error, and exit without writing what is still buffered."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is sys.stderr and message:
                sentence = " ".join(plain(message).split())
                shortened = "…" if len(sentence) > MAX_MESSAGE else ""
                print(f"Error: {sentence[:MAX_MESSAGE]}{shortened}", file=stream)
            stream.flush()
        except OSError:
            # Python would flush again at exit, and print a traceback.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)
