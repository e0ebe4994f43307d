"""The command line: every command in words for people, and with --json for machines.

Commands read their options, call core, and print. Errors are one sentence on standard error and a status other
than 0, never a traceback.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from core.aliases import current_value
from core.cli import experiments as cli_experiments
from core.cli import runs as cli_runs
from core.cli import sweeps as cli_sweeps
from core.cli import watch as cli_watch
from core.cli.options import with_config
from core.cli.output import Detach, Json, RunName, Which, err, print_json, say
from core.config import RunConfig
from core.errors import UserError
from core.experiments import repeats, scores
from core.experiments.statistics import wilson
from core.models.architectures import ARCHITECTURES
from core.runs import creation, folders, loading, run_names, run_queue, store
from core.training import schedules

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train tiny networks on MNIST, look at them, and test them.\n\n"
    "Begin with: python -m core train --recipe final --name my-first",
)


@app.command()
@with_config
def train(
    recipe_name: str | None,
    config: RunConfig,
    name: Annotated[
        str | None, typer.Option(help="What the run is to be called.", show_default=False)
    ] = None,
    count: Annotated[
        int,
        typer.Option(
            "--repeats", help="Train it so many times with different seeds, as a group.", min=1
        ),
    ] = 1,
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Train a network, and show its epoch table as it grows. Ctrl-C stops it; `resume` goes on."""
    if count > 1:
        group = name or repeats.free_name(recipe_name or config.architecture)
        cli_experiments.train_group(config, group, count, recipe_name, detach, json_)
        return
    wanted = name or run_names.find_free_name(recipe_name or config.architecture)
    run = creation.create_run(config, wanted, recipe=recipe_name)
    cli_watch.fetch_data(err, json_)
    run_queue.submit(run.name)
    if detach:
        say(
            {"name": run.name, "state": store.open_run(run.name).state},
            f"{run.name} is started.",
            json_,
        )
        return
    cli_watch.watch(run.name, json_)


@app.command()
def summary(
    architecture: Annotated[
        str, typer.Argument(help=f"One of {', '.join(ARCHITECTURES)}, or a run's name.")
    ],
    budget: Annotated[
        int, typer.Option(help="Parameters that one wants to stay below.", min=1)
    ] = 8_000,
    json_: Json = False,
) -> None:
    """Show a network's layers, parameters, multiply-adds and receptive field."""
    from core.models.architectures import rows_of
    from core.models.summary import summarise

    architecture = current_value("architecture", architecture)
    known = architecture in ARCHITECTURES
    config = RunConfig(architecture=architecture)
    if not known and architecture in {
        path.name for path in folders.list_entries(folders.checkpoints_folder())
    }:
        config = store.open_run(architecture).config
    facts = summarise(rows_of(config), budget)
    if json_:
        print_json({"architecture": architecture, **facts.to_dict()})
        return
    print(facts.text())
    left = f"{facts.left:,} below" if facts.left >= 0 else f"{-facts.left:,} above"
    print(
        f"{facts.multiply_adds:,} multiply-adds an image, a receptive field of {facts.receptive_field} pixels,\n"
        f"{left} the budget of {budget:,} parameters."
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
    print("| Epoch | LR       |")
    for epoch, rate in enumerate(rates, 1):
        print(f"| {epoch:5d} | {rate:.6f} |")


@app.command()
def evaluate(run: RunName, which: Which = "last", json_: Json = False) -> None:
    """Score a run on the 10,000 test images."""
    from core.data.dataset import load
    from core.training.trainer import choose_device
    from core.training.trainer import evaluate as score

    opened = store.open_run(run)
    model = loading.load_model(opened, which)
    device = choose_device("auto")
    data = load()
    loss, correct = score(model.to(device), data.test.images, data.test.labels, device)
    total = len(data.test.labels)
    low, high = wilson(correct, total)
    row = opened.last if which == "last" else opened.best
    epoch = row.epoch if row else None
    chosen = which == "best" and not opened.config.holdout
    say(
        {
            "run": run,
            "weights": which,
            "epoch": epoch,
            "measured_on": scores.TEST,
            "accuracy": 100 * correct / total,
            "interval": [low, high],
            "correct": correct,
            "total": total,
            "loss": loss,
        },
        f"{run} ({which} epoch, {epoch}): {100 * correct / total:.2f} % of the {scores.TEST}, {correct:,} of {total:,} "
        f"(95 % interval {low:.2f} to {high:.2f}), mean loss {loss:.6f}."
        + (" This epoch was chosen on these images, so it is no fair measure." if chosen else ""),
        json_,
    )


@app.command()
def predict(
    run: RunName,
    images: Annotated[list[Path], typer.Argument(help="Pictures of one digit each.")],
    which: Which = "last",
    json_: Json = False,
) -> None:
    """Name the digits in pictures, dark on light or light on dark."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    from core.drawing import pictures, preparation
    from core.insight import predictions

    model = loading.load_model(store.open_run(run), which)
    digits = []
    for path in images:
        try:
            with Image.open(path) as picture:
                digit = preparation.to_mnist(pictures.picture_to_ink(picture))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError):
            raise UserError(
                f"{path} is no picture that can be read; give it as PNG or JPEG."
            ) from None
        if not digit.any():
            raise UserError(f"{path} shows no digit: nothing in it stands out from its background.")
        digits.append(digit)
    rows = predictions.predict(model, np.stack(digits))  # (N, 10)
    if json_:
        print_json(
            [
                {
                    "image": str(path),
                    "digit": int(row.argmax()),
                    "probabilities": [float(p) for p in row],
                }
                for path, row in zip(images, rows, strict=True)
            ]
        )
        return
    for path, row in zip(images, rows, strict=True):
        first, second = row.argsort()[::-1][:2]
        print(f"{path}: {first} ({row[first]:.1%}), else {second} ({row[second]:.1%})")


cli_runs.register(app)
cli_experiments.register(app)
cli_sweeps.register(app)


def main() -> None:
    """Run a command and end the process with its status: 0 done, 1 refused, 2 wrong usage, 130 interrupted."""
    try:
        # typer's "standalone" mode would print usage errors in a box, over several lines.
        status = app(standalone_mode=False, prog_name="python -m core")
        sys.exit(status if isinstance(status, int) else 0)
    except UserError as error:
        _fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted.", 130)
    except typer.TyperException as error:
        _fail(getattr(error, "format_message", error.__str__)(), 2)
    except BrokenPipeError:
        # Whoever read our output has gone; python would complain once more at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(words: str, status: int) -> None:
    print(f"Error: {' '.join(words.split())}", file=sys.stderr)
    sys.exit(status)
