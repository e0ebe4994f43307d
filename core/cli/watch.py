"""Training shown in a terminal: the epoch table while it grows, and the table of all runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from core.cli.output import (
    err,
    out,
    print_json,
    print_message,
    print_result,
    print_table,
    print_text,
)
from core.errors import UserError
from core.runs import run_queue, status, store
from core.runs.run import DamagedRun, Run
from core.training.results import HEADER, EpochResult, format_row
from core.wording import plural

if TYPE_CHECKING:
    from torch import Tensor

    from core.data.labelled_images import LabelledImages

POLL = 0.25  # seconds
STOP_TIMEOUT = 30.0  # seconds


def progress_bar(quiet: bool) -> Progress:
    """Return a progress bar with the time left, hidden if quiet or without a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=quiet or not err.is_terminal,
    )


def fetch_data(quiet: bool) -> None:
    """Download the dataset if it is missing, with a progress bar.

    Raises:
        DataError: It cannot be downloaded.
    """
    from core.data import dataset

    with progress_bar(quiet) as bar:
        task = bar.add_task("Fetching MNIST", total=1.0)
        dataset.fetch(
            dataset.data_folder(),
            lambda text, share: bar.update(task, description=text, completed=share),
        )


def load_test_set(name: str, quiet: bool) -> LabelledImages[Tensor]:
    """Load images to score a run on; download them if they are missing, with a progress bar.

    Args:
        name: One of `core.task.TEST_SETS`.
        quiet: Show no progress.

    Raises:
        DataError: There is no such set, or it cannot be downloaded.
    """
    from core.data import test_sets

    with progress_bar(quiet) as bar:
        task = bar.add_task("Loading the images", total=1.0)
        return test_sets.load_test_set(
            name,
            progress=lambda text, share: bar.update(task, description=text, completed=share),
        )


def show_training(name: str, json_: bool, expected_states: tuple[str, ...] = ("finished",)) -> None:
    """Show a run until it stops training.

    Args:
        name: Name of a submitted run.
        json_: Print nothing while it trains, then the run as JSON.
        expected_states: States it may end in.

    Raises:
        UserError: It ended in another state.
    """
    run = follow(name, quiet=json_)
    if json_:
        print_json(run_to_dict(run))
    if run.state not in expected_states:
        raise UserError(f"{name} is {run.state}{f': {run.message}' if run.message else '.'}")


def follow(name: str, quiet: bool) -> Run:
    """Print the epoch table of a run while it trains. Ctrl-C stops the run.

    Args:
        name: Name of a submitted run.
        quiet: Print nothing.

    Returns:
        The run, no longer training.

    Raises:
        UserError: The run could not be stopped.
    """
    try:
        return _print_epochs(name, quiet)
    except KeyboardInterrupt:
        run = store.open_run(name)
        if run.state == "queued":
            run_queue.remove(name)
        elif run.is_live:
            if not quiet:
                print_message(f"\nStopping {name} ...")
            status.write_request(run.folder, "stop")
            wait_until_stopped(name)
        return store.open_run(name)


def wait_until_stopped(name: str) -> None:
    """Wait until no process trains a run.

    Raises:
        UserError: It still trains after STOP_TIMEOUT.
    """
    deadline = time.monotonic() + STOP_TIMEOUT
    while store.open_run(name).is_live:
        if time.monotonic() > deadline:
            raise UserError(
                f"{name} has not stopped within {STOP_TIMEOUT:.0f} seconds; it may still do so."
            )
        time.sleep(POLL)


def describe_start(run: Run, started: str = "has started") -> str:
    """Return a sentence that says whether a submitted run has started or waits in the queue."""
    return f"{run.name} {'is queued' if run.state == 'queued' else started}."


def run_to_dict(run: Run | DamagedRun) -> dict[str, Any]:
    """Return a run as JSON values."""
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
        "owner": run.owner,
        "config": run.config.to_dict(),
        "runtime": run.runtime.to_dict() if run.runtime else None,
        "epochs": [_epoch_to_dict(row) for row in run.epochs],
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
        "title": run.title,
    }


def print_run(run: Run, text: str, json_: bool) -> None:
    """Print a run as JSON, or a text about it."""
    print_result(run_to_dict(run), text, json_)


def print_runs(runs: list[Run | DamagedRun]) -> None:
    """Print a table of runs."""
    rows: list[Sequence[str]] = []
    for run in runs:
        if isinstance(run, DamagedRun):
            rows.append((run.name, "damaged", "", "", "", "", run.reason, ""))
            continue
        accuracies = [f"{row.val_accuracy:.2f} %" if row else "" for row in (run.last, run.best)]
        rows.append(
            (
                run.name,
                run.state,
                f"{len(run.epochs)}/{run.config.epochs}",
                f"{run.parameters:,}",
                *accuracies,
                run.runtime.validated_on if run.runtime else "",
                run.runtime.device if run.runtime else "",
            )
        )
    print_table(
        ("Run", "State", "Epochs", "Parameters", "Last", "Best", "Measured on", "Device"),
        rows,
        left=("Run", "State", "Measured on", "Device"),
    )


def _print_epochs(name: str, quiet: bool) -> Run:
    printed, announced = 0, False
    with progress_bar(quiet) as bar:
        task = bar.add_task(f"{name}: starting", total=None)
        while True:
            run_queue.start_waiting()
            run = store.open_run(name)
            if not quiet:
                if run.state == "queued" and not announced:
                    announced = True
                    print_message(f"{name} is waiting in the queue.")
                for row in run.epochs[printed:]:
                    if printed == 0:
                        print_message(_header(run))
                        _print_row(bar, HEADER)
                    _print_row(bar, format_row(row))
                    printed += 1
                _update_bar(bar, task, run)
            if not run.is_live and run.state != "queued":
                return run
            time.sleep(POLL)


def _print_row(bar: Progress, text: str) -> None:
    # On a terminal both streams share the screen, and the bar has to make room for the row.
    if not bar.disable and out.is_terminal:
        print_message(text)
    else:
        print_text(text, flush=True)


def _header(run: Run) -> str:
    runtime, config = run.runtime, run.config
    device = ""
    if runtime:
        device = (
            f"Device: {runtime.device} ({runtime.precision}, {plural(runtime.threads, 'thread')})  "
        )
    return (
        f"{device}Epochs: {config.epochs}  Lr: {config.lr:g}  Max Lr: {config.max_lr:g}"
        f"  Batch Size: {config.batch_size}  Parameters: {run.parameters:,}"
        f"  Validated on: {'hold-out' if config.holdout else 'test'}"
    )


def _update_bar(bar: Progress, task: Any, run: Run) -> None:
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


def _epoch_to_dict(row: EpochResult) -> dict[str, Any]:
    return {**row.to_dict(), "train_accuracy": row.train_accuracy, "val_accuracy": row.val_accuracy}
