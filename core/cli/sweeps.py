"""The commands for sweeps: begin one, work on it from as many machines as there are, look at it, train its winner.

They only read their options, call core and print; `register` puts them on the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from core.cli import experiments as cli_experiments
from core.cli import watch as cli_watch
from core.cli.options import with_changes
from core.cli.output import Detach, Json, Yes, ask, err, out, print_json, say
from core.config import RunConfig
from core.errors import ConfigError, UserError, listed
from core.recipes import RECIPES, recipe
from core.runs import jobs
from core.sweeps import space as sweep_space
from core.sweeps import storage as sweep_storage
from core.sweeps import sweep as sweeps
from core.sweeps import worker as sweep_worker
from core.sweeps.slots import DONE, RUNNING, Trial
from core.sweeps.sweep import AIMS, PRUNERS, SAMPLERS, Found, Sweep

Name = Annotated[
    str, typer.Argument(help="The sweep's name; `python -m core sweep status` lists them.")
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="Address of the storage that machines share, such as postgresql://user@host/database; without it a file "
        f"beside the runs, or ${sweep_storage.STORAGE}.",
        show_default=False,
    ),
]
FEW = 12  # trials that a terminal shows

app = typer.Typer(
    no_args_is_help=True, help="Search for the best config, on one machine or on many."
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
    name: Annotated[str, typer.Argument(help="What the sweep is to be called.")],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="What to vary, as often as needed: max_lr=0.02..0.2:log, epochs=5..15, ema_decay=0.9,0.99,0.999, "
            "rows.2.channels=8..24..4, or rows.2+4.channels for rows that change together.",
            show_default=False,
        ),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(
            help="Vary the channels of every row that has some of its own: 8..32, or 8..32..4.",
            show_default=False,
        ),
    ] = None,
    aim: Annotated[
        str, typer.Option(help=f"What to look for on the held-out images: {listed(AIMS)}.")
    ] = "accuracy",
    runs: Annotated[int, typer.Option(help="Runs to train at most.")] = 20,
    minutes: Annotated[
        float,
        typer.Option(help="After so many minutes of work begin no run any more; 0: no limit."),
    ] = 0.0,
    max_parameters: Annotated[
        int, typer.Option(help="Train no network larger than this; 0: any.")
    ] = 0,
    sampler: Annotated[
        str, typer.Option(help=f"How draws are proposed: {listed(SAMPLERS)}.")
    ] = "tpe",
    pruner: Annotated[
        str, typer.Option(help=f"How runs that promise little are ended early: {listed(PRUNERS)}.")
    ] = "none",
    recipe_name: Annotated[
        str | None,
        typer.Option(
            "--recipe", help=f"Begin with one of {', '.join(RECIPES)}.", show_default=False
        ),
    ] = None,
    storage: Storage = None,
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Begin a sweep and work on it. Ctrl-C leaves it; `sweep work` goes on, here or on other machines."""
    changes.setdefault("holdout", sweeps.HOLDOUT)
    config = (recipe(recipe_name).config if recipe_name else RunConfig()).changed(**changes)
    space = sweep_space.typed_space(_texts(vary or [], widths), config)
    sweep = Sweep(
        name, config, space, aim, sampler, pruner, runs, minutes, max_parameters, recipe_name
    )
    sweeps.create(sweep, storage)
    if detach and storage is None:
        sweep_worker.start(name)
        _tell(sweeps.find(name), json_)
        return
    if detach:
        say(sweeps.find(name, storage).to_dict(), f"{name} waits for workers.", json_)
        return
    _work(name, storage, json_)


def work(name: Name, storage: Storage = None, json_: Json = False) -> None:
    """Work on a sweep until nothing is left of it; the same command on every machine that reaches the storage.

    A sweep that was stopped goes on. Ctrl-C leaves it: the run under way stops, and whoever works next goes on with it.
    """
    sweeps.find(name, storage)
    _work(name, storage, json_)


def status(
    name: Annotated[
        str | None,
        typer.Argument(help="A sweep's name; without it all are listed.", show_default=False),
    ] = None,
    storage: Storage = None,
    json_: Json = False,
) -> None:
    """Show the sweeps, or how one stands."""
    if name is not None:
        _tell(sweeps.find(name, storage), json_)
        return
    found = [sweeps.find(each, storage) for each in sweeps.names(storage)]
    if json_:
        print_json([each.to_dict() for each in found])
    elif found:
        print("\n".join(each.words for each in found))
    else:
        print(
            "There is no sweep yet; begin with: python -m core sweep start mine --recipe final "
            "--vary max_lr=0.02..0.3:log"
        )


def stop(name: Name, storage: Storage = None, json_: Json = False) -> None:
    """Ask all workers of a sweep to leave, on whatever machine; `sweep work` goes on."""
    sweeps.stop(name, storage)
    say(
        sweeps.find(name, storage).to_dict(),
        f"{name} stops; its runs are left within seconds and go on with "
        f"`python -m core sweep work {name}`.",
        json_,
    )


def winner(
    name: Name,
    repeats: Annotated[int, typer.Option(help="How many seeds to train it with.", min=2)] = 5,
    place: Annotated[
        int | None,
        typer.Option(
            help="Train the config of this run of the sweep; else that of the most accurate one.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="For how many epochs; else as many as the sweep's runs.", show_default=False
        ),
    ] = None,
    storage: Storage = None,
    detach: Detach = False,
    json_: Json = False,
) -> None:
    """Train a sweep's best config on all training images, with several seeds, and score it on the test images."""
    cli_experiments.follow_group(
        sweeps.train_winner(name, repeats, place, storage, epochs=epochs), detach, json_
    )


def delete(name: Name, storage: Storage = None, yes: Yes = False, json_: Json = False) -> None:
    """Forget a sweep; its runs stay."""
    found = sweeps.find(name, storage)
    ask(f"Forget {name} and what its {found.count(DONE)} runs showed? The runs stay.", yes)
    sweeps.delete(name, storage)
    say({"name": name}, f"{name} is forgotten.", json_)


def _texts(vary: list[str], widths: str | None) -> dict[str, str]:
    texts = {} if widths is None else {sweep_space.WIDTHS: widths}
    for text in vary:
        name, mark, value = text.partition("=")
        if not mark:
            raise ConfigError(
                f"--vary takes NAME=VALUES, such as max_lr=0.02..0.2:log, not {text[:40]!r}."
            )
        name = name.strip()
        texts[name if name.startswith("rows.") else name.replace("-", "_")] = value
    return texts


def _work(name: str, storage: str | None, json_: bool) -> None:
    cli_watch.fetch_data(err, json_)
    try:
        with jobs.interrupt_on_signals():
            found = sweep_worker.work(
                name, storage, say=lambda words: err.print(words, markup=False)
            )
    except KeyboardInterrupt:
        raise UserError(
            f"{name} is left; `python -m core sweep work {name}` goes on with it."
        ) from None
    _tell(found, json_)


def _tell(found: Found, json_: bool) -> None:
    if json_:
        print_json(found.to_dict())
        return
    best = (
        found.front
        if len(AIMS[found.sweep.aim]) > 1
        else sorted(
            (trial for trial in found.trials if trial.state == DONE),
            key=lambda trial: -(trial.accuracy or 0),
        )
    )
    if best:
        out.print(_table(best[:FEW]))
    under_way = [
        f"{trial.run} on {trial.machine}" for trial in found.trials if trial.state == RUNNING
    ]
    if under_way:
        print(f"Training: {', '.join(under_way)}.")
    print(found.words + (" It is stopped." if found.stopped and not found.over else ""))


def _table(trials: Sequence[Trial]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Run", "Held-out", "Parameters", "Seconds", "Drawn"):
        table.add_column(title, justify="left" if title in ("Run", "Drawn") else "right")
    for trial in trials:
        table.add_row(
            trial.run,
            f"{trial.accuracy:.2f} %",
            f"{trial.parameters:,}",
            f"{trial.seconds:.0f}",
            sweep_space.told(trial.params),
        )
    return table
