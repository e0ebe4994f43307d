"""How good a run is: one figure, with what it was measured on and how sure it is. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from core.experiments.statistics import wilson
from core.runs.run import Run
from core.task import GOAL_ACCURACY, GOAL_EPOCHS, PARAMETER_BUDGET

TEST = "test images"


@dataclass(frozen=True, slots=True)
class Score:
    """Right answers after the last epoch."""

    correct: int
    total: int
    measured_on: str
    """In words: `test images`, or `5,000 held-out training images`."""

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy on images like these, in percent (Wilson)."""
        return wilson(self.correct, self.total)


def score(run: Run) -> Score | None:
    """What a run's last weights reach: on the test images as soon as that is known, else in validation; None: no epoch.

    A run that validates on a hold-out is scored on the test images once, at its end.
    """
    if run.test is not None:
        return Score(run.test.correct, run.test.total, TEST)
    if run.last is None:
        return None
    return Score(run.last.val_correct, run.last.val_total, validated_on(run))


def validated_on(run: Run) -> str:
    """What a run's validation accuracy is measured on, in words."""
    return TEST if run.config.holdout == 0 else f"{run.config.holdout:,} held-out training images"


def meets_goal(accuracy: float, measured_on: str, run: Run) -> bool:
    """Whether an accuracy reached by runs like this one meets the goal: accuracy, epochs and parameters."""
    return (
        accuracy >= GOAL_ACCURACY
        and measured_on == TEST
        and run.config.epochs <= GOAL_EPOCHS
        and run.parameters < PARAMETER_BUDGET
    )
