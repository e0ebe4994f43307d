"""Run: a run's folder, read and checked. No torch at import; nothing is written in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.errors import RunError, UserError, listed
from core.runs import events, files, status, weights
from core.training.plan import plan
from core.training.results import EpochResult, TestResult

FORMAT = 1
WEIGHTS = ("last", "best")


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was when its folder was read; open it again to see it move."""

    name: str
    folder: Path
    config: RunConfig
    created: datetime
    recipe: str | None
    parent: Mapping[str, Any] | None
    """Of a forked run: `name`, `which` weights, `epoch`."""
    notes: str
    tags: tuple[str, ...]
    facts: Mapping[str, Any]
    """What the machine decided at the start, as `Training.facts`; empty before."""
    test: TestResult | None
    """The one score on the test images, of a finished run that validated on a hold-out."""
    state: str
    message: str
    """Why it is in this state, in words; may be empty."""
    updated: datetime
    epochs: tuple[EpochResult, ...]

    @property
    def last(self) -> EpochResult | None:
        """The last row of the epoch table."""
        return self.epochs[-1] if self.epochs else None

    @property
    def best(self) -> EpochResult | None:
        """The row whose weights are in best.pt: chosen on the validation images, so no fair score on them."""
        return best_row(self.epochs)

    @property
    def is_live(self) -> bool:
        """Whether a process is training it."""
        return self.state in status.LIVE

    @property
    def can_resume(self) -> bool:
        """Whether it can go on from where it stands."""
        return self.state in status.RESUMABLE and (not self.epochs or (self.folder / "state.pt").is_file())

    def events(self) -> list[events.Event]:
        """What has happened so far, oldest first; cheap to ask again."""
        return events.read(self.folder / events.NAME)

    def weights_path(self, which: str = "last") -> Path:
        """The file with the weights of the last epoch or of the best one.

        Raises:
            RunError: there is none yet, or no such choice.
        """
        if which not in WEIGHTS:
            raise RunError(f"weights are {listed(WEIGHTS)}, not {str(which)[:40]!r}.")
        if not self.epochs:
            raise RunError(f"{self.name} has no weights yet; they are saved at the end of each epoch.")
        return self.folder / f"{which}.pt"

    def log_end(self, lines: int = 20) -> str:
        """The last lines that its worker printed."""
        return status.log_end(self.folder, lines)


@dataclass(frozen=True, slots=True)
class Damaged:
    """Something among the runs that cannot be read as one, and why."""

    name: str
    folder: Path
    reason: str
    state: str = "damaged"


def best_row(rows: Sequence[EpochResult]) -> EpochResult | None:
    """The epoch with most validation images right; among equals the lower loss, then the earlier one."""
    return max(rows, key=lambda row: (row.val_correct, -row.val_loss, -row.epoch), default=None)


def read(folder: Path) -> Run:
    """Read and check a run's folder.

    Raises:
        RunError: it is damaged; the sentence says how.
    """
    if folder.is_symlink():
        raise RunError("it is a link, and links out of the list of runs are not followed.")
    if not folder.is_dir():
        raise RunError("it is not a folder.")
    values = files.read_json(folder / "run.json")
    if not isinstance(values, Mapping) or "format" not in values or "config" not in values:
        raise RunError("run.json is not a run of this app.")
    if values["format"] != FORMAT:
        raise RunError(f"it was written in format {str(values['format'])[:20]} by another version of the app; this one "
                       f"reads format {FORMAT}.")
    try:
        config = RunConfig.from_dict(values["config"])
        prepared = plan(config)
    except UserError as error:
        raise RunError(f"run.json describes no run that can be trained: {error}") from None
    parent, facts, notes, tags = (values.get(name) for name in ("parent", "facts", "notes", "tags"))
    recipe = values.get("recipe")
    if not ((parent is None or _is_parent(parent)) and isinstance(facts, Mapping) and isinstance(notes, str)
            and isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
            and (recipe is None or isinstance(recipe, str))):
        raise RunError("run.json is damaged: parent, facts, notes, tags or recipe are not what they should be.")
    rows = read_rows(folder)
    if rows:
        shapes = weights.expected(prepared.rows)
        for which in WEIGHTS:
            weights.check(folder / f"{which}.pt", shapes)
    now = status.read(folder)
    return Run(folder.name, folder, config, status.parse_time(values.get("created")), recipe, parent, notes,
               tuple(tags), facts, _test(values.get("test")), now.state, now.message, now.updated, tuple(rows))


def read_rows(folder: Path) -> list[EpochResult]:
    """The epoch table of a run's folder.

    Raises:
        RunError: epochs.json is missing or damaged.
    """
    return parse_rows(files.read_json(folder / "epochs.json"))


def parse_rows(values: Any) -> list[EpochResult]:
    """An epoch table from JSON values.

    Raises:
        RunError: it is no table, or its epochs do not count up from 1.
    """
    if not isinstance(values, list):
        raise RunError("epochs.json is damaged: it holds no table.")
    rows = [EpochResult.from_dict(value) for value in values]
    if [row.epoch for row in rows] != list(range(1, len(rows) + 1)):
        raise RunError("epochs.json is damaged: its epochs do not count up from 1.")
    return rows


def _is_parent(value: Any) -> bool:
    return (isinstance(value, Mapping) and isinstance(value.get("name"), str) and value.get("which") in WEIGHTS
            and type(value.get("epoch")) is int)


def _test(value: Any) -> TestResult | None:
    if value is None:
        return None
    if (not isinstance(value, Mapping) or not isinstance(value.get("loss"), float)
            or type(value.get("correct")) is not int or type(value.get("total")) is not int or value["total"] < 1):
        raise RunError("run.json is damaged: its test result is none.")
    return TestResult(value["loss"], value["correct"], value["total"])
