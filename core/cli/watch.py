"""What the command line shows of runs: the table that grows while one trains, and the list of all. No commands."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from core.cli.output import err, out, print_json
from core.errors import UserError
from core.runs import run_queue, status, store
from core.runs.run import DamagedRun, Run
from core.training.results import HEADER, EpochResult, format_row

POLL = 0.25  # seconds
PATIENCE = 30.0  # seconds that a run may take to stop


def progress_bar(console: Console, quiet: bool) -> Progress:
    """A bar with the time left, which goes when its work is done; nothing where no terminal shows it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


def fetch_data(console: Console, quiet: bool) -> None:
    """Have the dataset in place before a run needs it, with a bar if it must be downloaded.

    Raises:
        DataError: it cannot be had.
    """
    from core.data import dataset

    with progress_bar(console, quiet) as bar:
        task = bar.add_task("Fetching MNIST", total=1.0)
        dataset.fetch(
            dataset.data_folder(),
            lambda words, share: bar.update(task, description=words, completed=share),
        )


def watch(name: str, json_: bool, good: tuple[str, ...] = ("finished",)) -> None:
    """Show a run until it trains no more.

    Args:
        name: a run that is submitted.
        json_: say nothing until then, and all of it as JSON.
        good: the states that it may end in.

    Raises:
        UserError: it ended in another.
    """
    run = follow(name, out, err, quiet=json_)
    if json_:
        print_json(as_json(run))
    if run.state not in good:
        raise UserError(f"{name} is {run.state}{f': {run.message}' if run.message else '.'}")


def follow(name: str, out: Console, err: Console, quiet: bool) -> Run:
    """Print a run's epoch table as it grows, until it trains no more. Ctrl-C stops the run.

    Args:
        name: a run that is submitted.
        out: gets the table.
        err: gets the progress bar.
        quiet: print nothing.

    Returns:
        The run as it ended.

    Raises:
        UserError: the run could not be stopped.
    """
    try:
        return _follow(name, out, err, quiet)
    except KeyboardInterrupt:
        run = store.open_run(name)
        if run.state == "queued":
            run_queue.remove(name)
        elif run.is_live:
            if not quiet:
                print(f"\nStopping {name} ...", file=sys.stderr)
            status.write_request(run.folder, "stop")
            wait_until_left(name)
        return store.open_run(name)


def _follow(name: str, out: Console, err: Console, quiet: bool) -> Run:
    shown, waiting = 0, False
    with progress_bar(err, quiet) as bar:
        task = bar.add_task(f"{name}: starting", total=None)
        while True:
            run_queue.start_waiting()
            run = store.open_run(name)
            if not quiet:
                if run.state == "queued" and not waiting:
                    waiting = True
                    print(f"{name} waits for its turn.", file=sys.stderr)
                for row in run.epochs[shown:]:
                    if shown == 0:
                        bar.console.print(_header(run), markup=False)
                        _line(bar, out, HEADER)
                    _line(bar, out, format_row(row))
                    shown += 1
                _advance(bar, task, run)
            if not run.is_live and run.state != "queued":
                return run
            time.sleep(POLL)


def _line(bar: Progress, out: Console, text: str) -> None:
    # On a terminal both streams share the screen, and the bar has to make room for the line.
    if bar.disable:
        print(text, flush=True)
    elif out.is_terminal:
        bar.console.print(text, markup=False)
    else:
        print(text, flush=True)


def _header(run: Run) -> str:
    runtime, config = run.runtime, run.config
    device = (
        f"Device: {runtime.device} ({runtime.precision}, {runtime.threads} threads)  "
        if runtime
        else ""
    )
    return (
        f"{device}"
        f"Epochs: {config.epochs}  Lr: {config.lr:g}  Max Lr: {config.max_lr:g}  Batch Size: {config.batch_size}  "
        f"Parameters: {run.parameters:,}  Validated on: {'hold-out' if config.holdout else 'test'}"
    )


def _advance(bar: Progress, task: Any, run: Run) -> None:
    steps = run.steps_per_epoch
    last = next(
        (event for event in reversed(run.read_events()) if event["kind"] in ("batch", "epoch")),
        None,
    )
    if last is None:
        return
    done = (last["epoch"] - 1) * steps + min(last["step"], steps)
    bar.update(
        task,
        total=run.config.epochs * steps,
        completed=done,
        description=f"{run.name}: epoch {last['epoch']} of {run.config.epochs}",
    )


def wait_until_left(name: str) -> None:
    """Wait until no process trains a run any more.

    Raises:
        UserError: it did not end in time.
    """
    deadline = time.monotonic() + PATIENCE
    while store.open_run(name).is_live:
        if time.monotonic() > deadline:
            raise UserError(
                f"{name} has not stopped within {PATIENCE:.0f} seconds; it may still do so."
            )
        time.sleep(POLL)


def as_json(run: Run | DamagedRun) -> dict[str, Any]:
    """A run as JSON values: name, state, config, epoch rows and what else there is to tell."""
    if isinstance(run, DamagedRun):
        return {
            "name": run.name,
            "state": run.state,
            "message": run.reason,
            "config": None,
            "epochs": [],
        }
    test = run.test
    return {
        "name": run.name,
        "state": run.state,
        "message": run.message,
        "recipe": run.recipe,
        "parent": run.parent,
        "created": run.created.isoformat(),
        "config": run.config.to_dict(),
        "runtime": run.runtime.to_dict() if run.runtime else None,
        "epochs": [_row(row) for row in run.epochs],
        "test": None
        if test is None
        else {
            "loss": test.loss,
            "correct": test.correct,
            "total": test.total,
            "accuracy": test.accuracy,
        },
        "notes": run.notes,
        "tags": list(run.tags),
        "group": run.group,
    }


def _row(row: EpochResult) -> dict[str, Any]:
    return {**row.to_dict(), "train_accuracy": row.train_accuracy, "val_accuracy": row.val_accuracy}


def table_of(runs: list[Run | DamagedRun]) -> Table:
    """All runs as a table for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Run", "State", "Epochs", "Parameters", "Last", "Best", "Measured on", "Device"):
        table.add_column(
            title, justify="right" if title in ("Epochs", "Parameters", "Last", "Best") else "left"
        )
    for run in runs:
        if isinstance(run, DamagedRun):
            table.add_row(run.name, "damaged", "", "", "", "", run.reason, "")
            continue
        accuracies = [f"{row.val_accuracy:.2f} %" if row else "" for row in (run.last, run.best)]
        table.add_row(
            run.name,
            run.state,
            f"{len(run.epochs)}/{run.config.epochs}",
            f"{run.parameters:,}",
            *accuracies,
            run.runtime.validated_on if run.runtime else "",
            run.runtime.device if run.runtime else "",
        )
    return table
