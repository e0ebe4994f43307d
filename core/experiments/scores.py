"""The accuracy of a run, with what it was measured on and its confidence interval.

Must not import torch.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from core.errors import RunError
from core.experiments.statistics import wilson_interval
from core.runs.run import Run
from core.runs.store import open_run
from core.task import GOAL_ACCURACY, GOAL_EPOCHS, PARAMETER_BUDGET

TEST_IMAGES = "test images"


@dataclass(frozen=True, slots=True)
class Score:
    """Correct predictions after the last epoch."""

    correct: int
    total: int
    measured_on: str
    """`test images`, or `5,000 validation images`."""

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy, in percent (Wilson)."""
        return wilson_interval(self.correct, self.total)


def score_run(run: Run) -> Score | None:
    """Score a run's last weights: on the test images if that is known, else in validation.

    A run that validates on a hold-out is tested once, at its end. None: no epoch is done.
    """
    if run.test is not None:
        return Score(run.test.correct, run.test.total, TEST_IMAGES)
    if run.last is None:
        return None
    return Score(run.last.val_correct, run.last.val_total, describe_validation_images(run))


def describe_validation_images(run: Run) -> str:
    """The images that a run's validation accuracy is measured on."""
    return TEST_IMAGES if run.config.holdout == 0 else f"{run.config.holdout:,} validation images"


def count_epochs(run: Run) -> int:
    """The epochs behind a run's last weights: its own, and for a fork those before it.

    Where a parent has been deleted, the epochs before that parent are not known.
    """
    epochs, visited = run.config.epochs, {run.name}
    with contextlib.suppress(RunError):
        while run.parent is not None:
            epochs += run.parent["epoch"]
            run = open_run(run.parent["name"], run.folder.parent)
            if run.name in visited:
                break
            visited.add(run.name)
    return epochs


def meets_goal(accuracy: float, measured_on: str, run: Run) -> bool:
    """Whether an accuracy of runs like this one meets the goal: accuracy, epochs and parameters."""
    return (
        accuracy >= GOAL_ACCURACY
        and measured_on == TEST_IMAGES
        and count_epochs(run) <= GOAL_EPOCHS
        and run.parameters < PARAMETER_BUDGET
    )
