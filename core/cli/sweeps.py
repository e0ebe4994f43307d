"""Commands for sweeps: start, work, status, stop, winner, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from core.cli import experiments as experiment_commands
from core.cli import watch
from core.cli.options import recipe_option, warn_unused, with_changes
from core.cli.output import (
    Detach,
    Json,
    Yes,
    confirm,
    print_json,
    print_message,
    print_result,
    print_table,
    print_text,
)
from core.config import RunConfig
from core.errors import ConfigError, RunError, UserError
from core.recipes import recipe
from core.runs import jobs
from core.sweeps import space as search_space
from core.sweeps import study
from core.sweeps import winner as sweep_winner
from core.sweeps import worker as sweep_worker
from core.sweeps.slots import DONE, RUNNING, Trial
from core.sweeps.state import SweepState
from core.sweeps.storage import STORAGE
from core.sweeps.sweep import AIMS, HOLDOUT, PRUNERS, SAMPLERS, Sweep
from core.wording import plural

SweepName = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP",
        help="Name of a sweep; `python -m core sweep status` lists them.",
        show_default=False,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Database that several machines share, such as postgresql://user@host/database. "
        f"[default: ${STORAGE}, else a file beside the runs]",
        show_default=False,
    ),
]
SHOWN_TRIALS = 12

app = typer.Typer(
    no_args_is_help=True, help="Search for the best config, on one machine or several."
)


def register(main: typer.Typer) -> None:
    """Add these commands to the command line."""
    for name, command in (
        ("start", start),
        ("work", work),
        ("status", status),
        ("stop", stop),
        ("winner", winner),
        ("delete", delete),
    ):
        app.command(name)(command)
    main.add_typer(app, name="sweep")


@with_changes
def start(
    changes: dict[str, Any],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the sweep.", show_default=False)
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUES",
            help="A field to vary and its values; may be repeated. Examples: "
            "max_lr=0.02..0.2:log, epochs=5..15, ema_decay=0.9,0.99,0.999, "
            "rows.2.channels=8..24..4, or rows.2+4.channels for rows that change together.",
            show_default=False,
        ),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES",
            help="Vary the channels of every row that has its own, such as 8..32 or 8..32..4.",
            show_default=False,
        ),
    ] = None,
    aim: Annotated[
        str,
        typer.Option(
            metavar="|".join(AIMS),
            help="Maximise the validation accuracy, alone or against the number of parameters or "
            "the seconds of training.",
        ),
    ] = "accuracy",
    runs: Annotated[int, typer.Option(metavar="NUMBER", help="Maximum number of runs.")] = 20,
    minutes: Annotated[
        float,
        typer.Option(metavar="NUMBER", help="Start no runs after so many minutes; 0: no limit."),
    ] = 0.0,
    max_parameters: Annotated[
        int, typer.Option(metavar="NUMBER", help="Skip larger networks; 0: no limit.")
    ] = 0,
    sampler: Annotated[
        str,
        typer.Option(metavar="|".join(SAMPLERS), help="Optuna sampler that proposes configs."),
    ] = "tpe",
    pruner: Annotated[
        str,
        typer.Option(metavar="|".join(PRUNERS), help="Optuna pruner that ends poor runs early."),
    ] = "none",
    recipe_name: Annotated[str | None, recipe_option()] = None,
    storage: Storage = None,
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Create a sweep and start working on it.

    Its runs train one after the other. On a GPU, runs that differ only in numbers such as the
    learning rate train together.

    Ctrl-C stops this worker; `sweep work` continues the sweep, here or on other machines.
    """
    given = list(changes)
    changes.setdefault("holdout", HOLDOUT)
    config = (recipe(recipe_name).config if recipe_name else RunConfig()).changed(**changes)
    space = search_space.parse_space(_parse_vary(vary or [], widths), config)
    warn_unused(config, given, varied=space)
    sweep = Sweep(
        name, config, space, aim, sampler, pruner, runs, minutes, max_parameters, recipe_name
    )
    study.create(sweep, storage)
    if detach and storage is None:
        sweep_worker.start(name)
        _show_sweep(study.read(name), json_)
        return
    if detach:
        values = study.read(name, storage).to_dict()
        print_result(values, f"{name} is waiting for workers.", json_)
        return
    _run_worker(name, storage, json_)


def work(name: SweepName, storage: Storage = None, json_: Json = False) -> None:
    """Work on a sweep until all its runs are done.

    Run the same command on every machine that can reach the storage. A stopped sweep continues.
    Ctrl-C stops this worker and its run, which the next worker continues.
    """
    study.read(name, storage)
    _run_worker(name, storage, json_)


def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="SWEEP", help="Name of a sweep. [default: list all]", show_default=False
        ),
    ] = None,
    storage: Storage = None,
    json_: Json = False,
) -> None:
    """Show the progress of a sweep, or list all sweeps."""
    if name is not None:
        _show_sweep(study.read(name, storage), json_)
        return
    listed = []
    for sweep in study.list_names(storage):
        try:
            listed.append(study.read(sweep, storage))
        except RunError as error:  # the others are shown all the same
            print_message(str(error))
    if json_:
        print_json([sweep.to_dict() for sweep in listed])
    elif listed:
        print_text("\n".join(sweep.summary for sweep in listed))
    else:
        print_text(
            "No sweeps yet. To start: python -m core sweep start my-sweep --recipe final "
            "--vary max_lr=0.02..0.3:log"
        )


def stop(name: SweepName, storage: Storage = None, json_: Json = False) -> None:
    """Stop all workers of a sweep, on every machine.

    `sweep work` continues it.
    """
    study.stop(name, storage)
    print_result(
        study.read(name, storage).to_dict(),
        f"{name} is stopping; its workers stop within seconds, and "
        f"`python -m core sweep work {name}` continues it.",
        json_,
    )


def winner(
    name: SweepName,
    repeats: Annotated[
        int, typer.Option(metavar="NUMBER", help="Number of seeds to train it with.", min=2)
    ] = 5,
    slot: Annotated[
        int | None,
        typer.Option(
            "--run",
            "--slot",
            metavar="NUMBER",
            help="Number of the sweep's run whose config to train. [default: the most accurate]",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Epochs to train for. [default: as in the sweep]",
            show_default=False,
        ),
    ] = None,
    storage: Storage = None,
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Train the best config of a sweep on all training images with several seeds.

    The accuracy is measured on the test images.
    """
    experiment_commands.run_group(
        sweep_winner.create_group(name, repeats, slot, storage, epochs=epochs), detach, json_
    )


def delete(name: SweepName, storage: Storage = None, yes: Yes = False, json_: Json = False) -> None:
    """Delete a sweep and keep its runs."""
    sweep = study.read(name, storage)
    confirm(
        f"Delete {name} with the results of {plural(sweep.count(DONE), 'run')}? The runs stay.", yes
    )
    study.delete(name, storage)
    print_result({"name": name}, f"{name} is deleted.", json_)


def _parse_vary(vary: list[str], widths: str | None) -> dict[str, str]:
    """Split FIELD=VALUES texts at the equals sign.

    Raises:
        ConfigError: A text has no equals sign.
    """
    texts = {} if widths is None else {search_space.WIDTHS: widths}
    for text in vary:
        name, mark, values = text.partition("=")
        if not mark:
            raise ConfigError(
                f"--vary takes FIELD=VALUES, such as max_lr=0.02..0.2:log, not {text[:40]!r}."
            )
        name = name.strip()
        texts[name if name.startswith("rows.") else name.replace("-", "_")] = values
    return texts


def _run_worker(name: str, storage: str | None, json_: bool) -> None:
    watch.fetch_data(json_)
    try:
        with jobs.interrupt_on_signals():
            sweep = sweep_worker.run_worker(name, storage, report=print_message)
    except KeyboardInterrupt:
        raise UserError(
            f"this worker is stopped; `python -m core sweep work {name}` continues the sweep."
        ) from None
    _show_sweep(sweep, json_)


def _show_sweep(sweep: SweepState, json_: bool) -> None:
    if json_:
        print_json(sweep.to_dict())
        return
    best: Sequence[Trial]
    if len(AIMS[sweep.sweep.aim]) > 1:
        best = sweep.front
    else:
        done = [trial for trial in sweep.trials if trial.state == DONE]
        best = sorted(done, key=lambda trial: -(trial.accuracy or 0))
    if best:
        _print_trials(best[:SHOWN_TRIALS])
    running = [
        f"{trial.title} on {trial.machine}" for trial in sweep.trials if trial.state == RUNNING
    ]
    if running:
        print_text(f"Training: {', '.join(running)}.")
    print_text(sweep.summary + (" It is stopped." if sweep.stopped and not sweep.is_over else ""))


def _print_trials(trials: Sequence[Trial]) -> None:
    print_table(
        ("Run", "Val. accuracy", "Parameters", "Seconds", "Values"),
        [
            (
                trial.title,
                f"{trial.accuracy:.2f} %",
                f"{trial.parameters:,}",
                f"{trial.seconds:.0f}",
                search_space.describe_values(trial.params),
            )
            for trial in trials
        ],
        left=("Run", "Values"),
    )
