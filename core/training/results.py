"""Results of training, and the epoch table with the original's columns.

Must not import torch at module level.
"""

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
    """A training step; `loss` is the batch's mean nll, a 0-d tensor on the training device."""

    epoch: int
    """From 1."""
    step: int
    """From 1, within the epoch."""
    steps: int
    """Steps per epoch."""
    loss: Tensor
    lr: float


@dataclass(frozen=True, slots=True)
class EpochResult:
    """An epoch: a row of the epoch table. Losses are the mean nll per image, in nats."""

    epoch: int
    """From 1."""
    lr: float
    """Learning rate of the first step."""
    seconds: float
    """Training and validation."""
    train_loss: float
    train_correct: int
    train_total: int
    val_loss: float
    val_correct: int
    val_total: int

    @property
    def train_accuracy(self) -> float:
        """Accuracy on the training batches, before each update, in percent."""
        return 100 * self.train_correct / self.train_total

    @property
    def val_accuracy(self) -> float:
        """Accuracy on the validation images, in percent."""
        return 100 * self.val_correct / self.val_total

    @property
    def val_errors(self) -> int:
        """Number of misclassified validation images."""
        return self.val_total - self.val_correct

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpochResult:
        """Return the row that JSON values describe.

        Raises:
            RunError: fields are missing or unknown, or a value is not a valid number.
        """
        names = {item.name: item.type for item in dataclasses.fields(cls)}
        if not isinstance(values, Mapping) or set(values) != set(names):
            raise RunError("a row of the epoch table has missing or unknown fields.")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(
                value, int if names[name] == "int" else int | float
            ):
                raise RunError(
                    f"a row of the epoch table has {str(value)[:40]!r} as {name}, not a number."
                )
        if values["train_total"] < 1 or values["val_total"] < 1:
            raise RunError("a row of the epoch table has a total of 0 images.")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class StepSizes:
    """Gradient and update of the last step of an epoch, relative to the weights before it.

    Euclidean norms of each convolution's or linear layer's weights, without biases and batch norms;
    of the gradient after clipping, and of the weights that are trained, not of their average.
    """

    rows: tuple[int, ...]
    """Numbers of the network's rows with weights, from 1."""
    gradients: tuple[float, ...]
    """|gradient| / |weights| of each of these rows."""
    updates: tuple[float, ...]
    """|update| / |weights| of each of these rows."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {name: list(values) for name, values in dataclasses.asdict(self).items()}


@dataclass(frozen=True, slots=True)
class TestResult:
    """The result on the test images, at the end of a run that validated on a hold-out."""

    __test__ = False

    loss: float
    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / self.total


HEADER = (
    "| Epoch | LR       | Time    | TrainLoss | TrainCorrect | TrainAcc | ValLoss  "
    "| ValCorrect | ValAcc |"
)


def format_row(row: EpochResult) -> str:
    """Format an epoch as a line under HEADER, with the original's column widths."""
    minutes, seconds = divmod(round(row.seconds), 60)
    train_loss = f"{round(row.train_loss, 6)}"
    return (
        f"| {row.epoch:5d} | {row.lr:.6f} | {minutes:02d}m {seconds:02d}s | {train_loss:<9} | "
        f"{row.train_correct:12d} | {round(row.train_accuracy, 2):<7}% | {row.val_loss:.6f} | "
        f"{row.val_correct:10d} | {round(row.val_accuracy, 2):<5}% |"
    )


def table(rows: list[EpochResult]) -> str:
    """Format an epoch table as text."""
    return "\n".join([HEADER, *map(format_row, rows)])
