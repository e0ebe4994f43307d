"""Run: a run's folder, read and checked; nothing is written here.

Must not import torch at module level.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import aliases
from core.config import RunConfig
from core.data.presets import with_whole_shifts
from core.errors import LimitError, RunError, UserError, listed
from core.limits import Limits
from core.models.architectures import rows_of
from core.models.shapes import count_parameters, trace
from core.runs import epoch_weights, events, files, status, weights
from core.runs.file_cache import FileCache, file_signature
from core.runs.run_schema import (
    EPOCH_WEIGHTS,
    NOTES,
    TAGS,
    WHICH_WEIGHTS,
    check_epochs,
    check_run,
    to_test_result,
)
from core.runtime import Runtime
from core.schema import raising, shown
from core.training import schedules
from core.training.plan import plan
from core.training.results import EpochResult, TestResult

FORMAT = 2
WITHOUT_SHIFTS = 1  # the format before affine transforms had the choice of shifts
STATE = "state.pt"

# What is checked of a folder depends on these; pages list hundreds of runs that hardly ever change.
_CHECKED_FILES = ("run.json", "epochs.json", "last.safetensors", "best.safetensors", "start.pt")


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was when its folder was read; open it again to see it progress."""

    name: str
    folder: Path
    config: RunConfig
    created: datetime
    recipe: str | None
    parent: Mapping[str, Any] | None
    """Of a forked run: `name`, `which` weights ("epoch": those after `epoch`), `epoch`."""
    notes: str
    tags: tuple[str, ...]
    runtime: Runtime | None
    """What the machine decided at the start, as `Training.runtime`; None before."""
    test: TestResult | None
    """The only result on the test images, of a finished run that validated on a hold-out."""
    state: str
    message: str
    """Why it is in this state; may be empty."""
    updated: datetime
    epochs: tuple[EpochResult, ...]
    group: str | None = None
    """Name shared by runs that differ only in their seed."""
    owner: str | None = None
    """The signed-in person who made it; None: nobody was signed in."""
    title: str | None = None
    """How pages call it, in any script; None: by its name."""
    is_tested: bool = True
    """Whether a run that validates on a hold-out is evaluated on the test images at its end."""

    @property
    def label(self) -> str:
        """How pages call it: its title, or its name."""
        return self.title or self.name

    @property
    def last(self) -> EpochResult | None:
        """The last epoch."""
        return self.epochs[-1] if self.epochs else None

    @property
    def best(self) -> EpochResult | None:
        """The epoch whose weights are the best ones.

        It is chosen on the validation images, so its accuracy on them is biased upwards.
        """
        return find_best_epoch(self.epochs)

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return _count_parameters(self.config.architecture, json.dumps(self.config.layers))

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps per epoch, also before the run starts."""
        if self.runtime is not None:
            return self.runtime.steps_per_epoch
        return schedules.steps_per_epoch(self.config.training_images, self.config.batch_size)

    @property
    def is_live(self) -> bool:
        """Whether a process is training it."""
        return self.state in status.LIVE_STATES

    @property
    def can_resume(self) -> bool:
        """Whether training can continue from where it was left."""
        return self.state in status.RESUMABLE_STATES and (
            not self.epochs or (self.folder / STATE).is_file()
        )

    def read_events(self) -> list[events.Event]:
        """Read the events so far, oldest first; only new ones are read from the disk."""
        return events.read(self.folder / events.NAME)

    def list_kept_epochs(self) -> list[int]:
        """Return the epochs whose weights can be opened, ascending; 0: before the first epoch.

        The last and the best epoch are always among them.
        """
        files_of = epoch_weights.list_files(self.folder)
        kept = {epoch for epoch in files_of if epoch <= len(self.epochs)}
        return sorted(kept | {row.epoch for row in (self.last, self.best) if row is not None})

    def weights_path(self, which: str | int = "last") -> Path:
        """Return the file with the weights of the last epoch, of the best one, or of any.

        Args:
            which: "last", "best", or the number of an epoch; 0: before the first one.

        Raises:
            RunError: there are no weights yet, those of the epoch were not kept, or `which` is
                none of these.
        """
        if isinstance(which, int):
            return self._epoch_path(which)
        if which not in WHICH_WEIGHTS:
            raise RunError(f"weights are {listed(WHICH_WEIGHTS)}, not {str(which)[:40]!r}.")
        if not self.epochs:
            raise RunError(
                f"{self.name} has no weights yet; they are saved at the end of each epoch."
            )
        return self.folder / f"{which}{weights.SUFFIX}"

    def _epoch_path(self, epoch: int) -> Path:
        kept = self.list_kept_epochs()
        if not kept:
            raise RunError(f"{self.name} has no weights yet.")
        if epoch not in kept:
            raise RunError(
                f"{self.name} has no weights after epoch {epoch}; it kept those after "
                f"{'epoch' if len(kept) == 1 else 'epochs'} {epoch_weights.format_epochs(kept)}."
            )
        path = self.folder / epoch_weights.file_name(epoch)
        if path.is_file():
            return path
        return self.weights_path("last" if epoch == len(self.epochs) else "best")

    def read_log_tail(self, lines: int = 20) -> str:
        """Return the last lines that its worker printed."""
        return status.read_log_tail(self.folder, lines)


@dataclass(frozen=True, slots=True)
class DamagedRun:
    """Something in the checkpoints folder that cannot be read as a run, and why."""

    name: str
    folder: Path
    reason: str
    state: str = "damaged"
    owner: str | None = None


def describe_start(parent: Mapping[str, Any]) -> str:
    """Return which weights of its parent a fork started from, such as "last weights, epoch 15"."""
    which = "" if parent["which"] == EPOCH_WEIGHTS else f"{parent['which']} "
    return f"{which}weights, epoch {parent['epoch']}"


def find_best_epoch(rows: Sequence[EpochResult]) -> EpochResult | None:
    """Return the epoch with most validation images correct.

    Ties are broken by the lower validation loss, then by the earlier epoch.
    """
    return max(rows, key=lambda row: (row.val_correct, -row.val_loss, -row.epoch), default=None)


def read_run(folder: Path) -> Run:
    """Read and check a run's folder; only its status is read again when nothing else has changed.

    Raises:
        OldWeightsError: its weights have to be converted first.
        RunError: it is damaged; the message says how.
    """
    if folder.is_symlink():
        raise RunError("it is a symbolic link, which is not followed.")
    if not folder.is_dir():
        raise RunError("it is not a folder.")
    signature = tuple(file_signature(folder / name) for name in _CHECKED_FILES)
    run = _checked_runs.get(folder, signature, lambda: _read_checked(folder))
    now = status.read(folder)
    return replace(run, state=now.state, message=now.message, updated=now.updated)


def _read_checked(folder: Path) -> Run:
    """Read everything but the status."""
    values = read_run_json(files.read_json(folder / "run.json"))
    config = values["config"]
    expected = weights.expected_tensors(plan(config).rows)
    rows = read_epochs(folder)
    weights.refuse_old_format(folder)
    if rows:
        for which in WHICH_WEIGHTS:
            weights.check_file(folder / f"{which}{weights.SUFFIX}", expected)
    return Run(
        name=folder.name,
        folder=folder,
        config=config,
        created=values["created"],
        recipe=values["recipe"],
        parent=values["parent"],
        notes=values["notes"],
        tags=tuple(values["tags"]),
        runtime=values["runtime"],
        test=to_test_result(values["test"]),
        state="",
        message="",
        updated=values["created"],
        epochs=tuple(rows),
        group=values["group"],
        owner=values["owner"],
        title=values["title"],
        is_tested=values["is_tested"],
    )


def read_run_json(values: Any, limits: Limits | None = None) -> dict[str, Any]:
    """Return the values of run.json, checked; config, runtime and time as objects.

    Args:
        values: what the file holds.
        limits: what the config must keep to; None: no limits.

    Raises:
        RunError: names the value that is wrong.
        LimitError: the run is larger than the limits allow.
    """
    if not isinstance(values, Mapping) or "format" not in values or "config" not in values:
        raise RunError("run.json does not describe a run of this app.")
    if values["format"] not in (WITHOUT_SHIFTS, FORMAT):
        raise RunError(
            f"it was written in format {shown(values['format'])} by another version of the app; "
            f"this one reads formats up to {FORMAT}."
        )
    checked = check_run(values)
    try:
        checked["config"] = RunConfig.from_dict(checked["config"])
        if values["format"] == WITHOUT_SHIFTS:
            checked["config"] = with_whole_shifts(checked["config"])
            checked["recipe"] = aliases.OLD_RECIPES.get(checked["recipe"], checked["recipe"])
        plan(checked["config"], limits)
    except LimitError:
        raise
    except UserError as error:
        raise RunError(f"run.json describes a run that cannot be trained: {error}") from None
    checked["created"] = status.parse_time(checked["created"])
    checked["runtime"] = _parse_runtime(values)
    return checked


def read_epochs(folder: Path) -> list[EpochResult]:
    """Read the epoch table of a run's folder.

    Raises:
        RunError: epochs.json is missing or damaged.
    """
    return check_epochs(files.read_json(folder / "epochs.json"))


def _parse_runtime(values: Mapping[str, Any]) -> Runtime | None:
    """Return the runtime in run.json; None before the run's first start.

    Raises:
        RunError: it is damaged.
    """
    value = aliases.run_value(values, "runtime")
    if value is None or value == {}:
        return None
    try:
        return Runtime.from_dict(value)
    except RunError as error:
        raise RunError(f"run.json is damaged: {error}") from None


def check_notes_and_tags(notes: Any, tags: tuple[Any, ...]) -> None:
    """Refuse notes and tags that are too long, too many, or not text.

    Raises:
        RunError: says which.
    """
    with raising(RunError):
        NOTES.check(notes)
        TAGS.check(tags)


@lru_cache(maxsize=1_000)
def _count_parameters(architecture: str, layers: str) -> int:
    config = RunConfig(architecture=architecture, layers=json.loads(layers))
    return count_parameters(trace(rows_of(config)))


_checked_runs: FileCache[Path, Run] = FileCache(max_entries=2_000)
