"""What training reports: batch and epoch results, and the epoch table in the seed's columns. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One step done: `loss` is the mean nll of its images, a 0-d tensor still on the device."""

    epoch: int
    """From 1."""
    step: int
    """From 1, within the epoch."""
    steps: int
    """Steps in this epoch."""
    loss: Tensor
    lr: float


@dataclass(frozen=True, slots=True)
class EpochResult:
    """One epoch done: a row of the epoch table. Losses are mean nll per image, in nats."""

    epoch: int
    """From 1."""
    lr: float
    """The learning rate at the start of the epoch."""
    seconds: float
    train_loss: float
    train_correct: int
    train_total: int
    val_loss: float
    val_correct: int
    val_total: int

    @property
    def train_accuracy(self) -> float:
        """Share of the training images named rightly while they were trained on, in percent."""
        return 100 * self.train_correct / self.train_total

    @property
    def val_accuracy(self) -> float:
        """Share of the validation images named rightly, in percent."""
        return 100 * self.val_correct / self.val_total

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpochResult:
        """The row that a file holds.

        Raises:
            RunError: fields are missing, foreign or not numbers.
        """
        names = {item.name: item.type for item in dataclasses.fields(cls)}
        if not isinstance(values, Mapping) or set(values) != set(names):
            raise RunError("a row of the epoch table does not hold the fields it should.")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(
                value, int if names[name] == "int" else int | float
            ):
                raise RunError(f"a row of the epoch table holds no number in {name}.")
        if values["train_total"] < 1 or values["val_total"] < 1:
            raise RunError("a row of the epoch table counts no images.")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class TestResult:
    """The one score on the test images at the end of a run that validated on a hold-out."""

    __test__ = False

    loss: float
    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / self.total


HEADER = "| Epoch | LR       | Time    | TrainLoss | TrainCorrect | TrainAcc | ValLoss  | ValCorrect | ValAcc |"


def format_row(row: EpochResult) -> str:
    """An epoch as a line under HEADER, in the seed's own widths."""
    minutes, seconds = divmod(round(row.seconds), 60)
    train_loss = f"{round(row.train_loss, 6)}"
    return (
        f"| {row.epoch:5d} | {row.lr:.6f} | {minutes:02d}m {seconds:02d}s | {train_loss:<9} | "
        f"{row.train_correct:12d} | {round(row.train_accuracy, 2):<7}% | {row.val_loss:.6f} | "
        f"{row.val_correct:10d} | {round(row.val_accuracy, 2):<5}% |"
    )


def table(rows: list[EpochResult]) -> str:
    """The whole epoch table as text."""
    return "\n".join([HEADER, *map(format_row, rows)])
