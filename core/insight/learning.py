"""When a network learnt each labelled image, from its predictions after several epochs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

NEVER = -1
Epochs = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Learning:
    """Predictions of a network for labelled images after several epochs.

    Raises:
        UserError: the shapes do not fit each other, or there are no epochs.
    """

    epochs: Epochs
    """(K,) ascending, those whose weights were kept; 0: before the first epoch."""
    predicted: npt.NDArray[np.integer[Any]]
    """(K, N) the predicted digit after each of these epochs."""
    labels: npt.NDArray[np.integer[Any]]
    """(N,) 0 to 9."""

    def __post_init__(self) -> None:
        if not len(self.epochs) or self.predicted.shape != (len(self.epochs), len(self.labels)):
            raise UserError(
                f"predictions of shape {self.predicted.shape} do not fit {len(self.epochs)} epochs "
                f"and {len(self.labels):,} labels."
            )

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(K, N) whether the prediction is the label."""
        return self.predicted == self.labels

    @cached_property
    def first_correct(self) -> Epochs:
        """(N,) the first epoch after which the image was classified correctly, or `NEVER`."""
        return np.where(self.correct.any(axis=0), self.epochs[self.correct.argmax(axis=0)], NEVER)

    @cached_property
    def last_correct(self) -> Epochs:
        """(N,) the last epoch after which the image was classified correctly, or `NEVER`."""
        places = len(self.epochs) - 1 - self.correct[::-1].argmax(axis=0)
        return np.where(self.correct.any(axis=0), self.epochs[places], NEVER)

    @cached_property
    def learnt(self) -> Epochs:
        """(N,) the epoch from which on the image was always classified correctly, or `NEVER`."""
        wrong = ~self.correct
        # Place after the last error; K where the last prediction is one.
        places = np.where(wrong.any(axis=0), len(self.epochs) - wrong[::-1].argmax(axis=0), 0)
        known = np.append(self.epochs, NEVER)
        return known[places]

    @cached_property
    def forgotten(self) -> npt.NDArray[np.int64]:
        """(N,) how often a correct prediction was followed by an error.

        Forgetting events of Toneva et al., arXiv:1812.05159, counted between the kept epochs.
        """
        return (self.correct[:-1] & ~self.correct[1:]).sum(axis=0)

    def describe(self, index: int) -> str:
        """Return in a sentence when an image was learnt and forgotten."""
        if self.first_correct[index] == NEVER:
            return f"Never classified correctly, over {len(self.epochs)} kept epochs."
        times = int(self.forgotten[index])
        again = f", forgotten {'once' if times == 1 else f'{times} times'}" if times else ""
        first = f"First correct {describe_epoch(int(self.first_correct[index]))}{again}"
        if self.learnt[index] == NEVER:
            return f"{first}; last correct {describe_epoch(int(self.last_correct[index]))}."
        return f"{first}; always correct from {_short(int(self.learnt[index]))} on."


def describe_epoch(epoch: int) -> str:
    """Return when a network's weights were as they were: `after epoch 3`, `before training`."""
    return f"after epoch {epoch}" if epoch else "before training"


def _short(epoch: int) -> str:
    return f"epoch {epoch}" if epoch else "the beginning"
