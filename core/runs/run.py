"""Run: a run's folder, read and checked. No torch at import; nothing is written here."""

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
from core.errors import RunError, UserError, listed
from core.models.architectures import rows_of
from core.models.shapes import count_parameters, trace
from core.runs import events, files, status, weights
from core.runs.file_cache import FileCache, file_signature
from core.runtime import Runtime
from core.training import schedules
from core.training.plan import plan
from core.training.results import EpochResult, TestResult

FORMAT = 1
WHICH_WEIGHTS = ("last", "best")
PARENT_FIELDS = ("name", "which", "epoch")
STATE = "state.pt"
MAX_COUNT = 10**9  # of images; far above any data set of ours
MAX_NOTES = 10_000
MAX_TAGS = 20

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
    """Of a forked run: `name`, `which` weights, `epoch`."""
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

    def weights_path(self, which: str = "last") -> Path:
        """Return the file with the weights of the last epoch or of the best one.

        Raises:
            RunError: there are no weights yet, or `which` is neither "last" nor "best".
        """
        if which not in WHICH_WEIGHTS:
            raise RunError(f"weights are {listed(WHICH_WEIGHTS)}, not {str(which)[:40]!r}.")
        if not self.epochs:
            raise RunError(
                f"{self.name} has no weights yet; they are saved at the end of each epoch."
            )
        return self.folder / f"{which}{weights.SUFFIX}"

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
    values = files.read_json(folder / "run.json")
    if not isinstance(values, Mapping) or "format" not in values or "config" not in values:
        raise RunError("run.json does not describe a run of this app.")
    check_format(values["format"])
    try:
        config = RunConfig.from_dict(values["config"])
        expected = weights.expected_tensors(plan(config).rows)
    except UserError as error:
        raise RunError(f"run.json describes a run that cannot be trained: {error}") from None
    parent, notes, tags = (values.get(name) for name in ("parent", "notes", "tags"))
    recipe, group = values.get("recipe"), values.get("group")
    if not (
        (parent is None or is_parent(parent))
        and isinstance(notes, str)
        and isinstance(tags, list)
        and all(isinstance(tag, str) for tag in tags)
        and all(text is None or isinstance(text, str) for text in (recipe, group))
    ):
        raise RunError(
            "run.json is damaged: parent, notes, tags, recipe or group has a wrong type."
        )
    rows = read_epochs(folder)
    weights.refuse_old_format(folder)
    if rows:
        for which in WHICH_WEIGHTS:
            weights.check_file(folder / f"{which}{weights.SUFFIX}", expected)
    created = status.parse_time(values.get("created"))
    return Run(
        name=folder.name,
        folder=folder,
        config=config,
        created=created,
        recipe=recipe,
        parent=parent,
        notes=notes,
        tags=tuple(tags),
        runtime=parse_runtime(values),
        test=parse_test(values.get("test")),
        state="",
        message="",
        updated=created,
        epochs=tuple(rows),
        group=group,
    )


def check_format(value: Any) -> None:
    """Refuse a run.json of another version.

    Raises:
        RunError: names both versions.
    """
    if value != FORMAT:
        raise RunError(
            f"it was written in format {str(value)[:20]} by another version of the app; this one "
            f"reads format {FORMAT}."
        )


def read_epochs(folder: Path) -> list[EpochResult]:
    """Read the epoch table of a run's folder.

    Raises:
        RunError: epochs.json is missing or damaged.
    """
    return parse_epochs(files.read_json(folder / "epochs.json"))


def parse_epochs(values: Any) -> list[EpochResult]:
    """Return an epoch table from JSON values.

    Raises:
        RunError: they are not a table, or its epochs do not count up from 1.
    """
    if not isinstance(values, list):
        raise RunError("epochs.json is damaged: it is not a table.")
    rows = [EpochResult.from_dict(value) for value in values]
    for row in rows:
        if not (
            _are_counts(row.train_correct, row.train_total)
            and _are_counts(row.val_correct, row.val_total)
            and all(
                0 <= value < 1e300 for value in (row.lr, row.seconds, row.train_loss, row.val_loss)
            )
        ):
            raise RunError(
                f"epochs.json is damaged: the row of epoch {str(row.epoch)[:9]} holds impossible "
                "values."
            )
    if [row.epoch for row in rows] != list(range(1, len(rows) + 1)):
        raise RunError("epochs.json is damaged: its epochs do not count up from 1.")
    return rows


def is_parent(value: Any) -> bool:
    """Return whether a value is valid as `Run.parent`."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("name"), str)
        and value.get("which") in WHICH_WEIGHTS
        and type(value.get("epoch")) is int
    )


def parse_runtime(values: Mapping[str, Any]) -> Runtime | None:
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


def parse_test(value: Any) -> TestResult | None:
    """Return the result on the test images from its JSON value, None where there is none yet.

    Raises:
        RunError: the value is not a result.
    """
    if value is None:
        return None
    if (
        not isinstance(value, Mapping)
        or set(value) != {"loss", "correct", "total"}
        or not isinstance(value["loss"], float)
        or not _are_counts(value["correct"], value["total"])
    ):
        raise RunError('run.json is damaged: "test" is not a valid result.')
    return TestResult(value["loss"], value["correct"], value["total"])


def check_notes_and_tags(notes: Any, tags: tuple[Any, ...]) -> None:
    """Refuse notes and tags that are too long, too many, or not text.

    Raises:
        RunError: says which.
    """
    if not isinstance(notes, str) or len(notes) > MAX_NOTES:
        raise RunError(f"notes take up to {MAX_NOTES:,} characters.")
    if len(tags) > MAX_TAGS or not all(isinstance(tag, str) and 0 < len(tag) <= 40 for tag in tags):
        raise RunError(f"a run takes up to {MAX_TAGS} tags of 1 to 40 characters.")


def _are_counts(correct: Any, total: Any) -> bool:
    return (
        type(correct) is int
        and type(total) is int
        and 0 <= correct <= total
        and 1 <= total < MAX_COUNT
    )


@lru_cache(maxsize=1_000)
def _count_parameters(architecture: str, layers: str) -> int:
    config = RunConfig(architecture=architecture, layers=json.loads(layers))
    return count_parameters(trace(rows_of(config)))


_checked_runs: FileCache[Path, Run] = FileCache(max_entries=2_000)
