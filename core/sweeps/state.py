"""The state of a sweep: its trials, the best of them, and what is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.sweeps.slots import (
    DONE,
    FAILED,
    OPEN,
    PRUNED,
    RUNNING,
    WAITING,
    Attempt,
    Trial,
    attempts_by_slot,
    to_trial,
    worked_minutes,
)
from core.sweeps.sweep import AIMS, Sweep
from core.wording import plural


@dataclass(frozen=True)
class SweepState:
    """A sweep and its trials, as the storage has them."""

    sweep: Sweep
    trials: tuple[Trial, ...]
    """By slot."""
    stopped: bool
    """Whether its workers were told to stop."""
    minutes: float
    """Time in which at least one run was training."""

    @property
    def front(self) -> tuple[Trial, ...]:
        """The best trial, or the Pareto front for two objectives, the most accurate first."""
        best = (trial for trial in self.trials if trial.best)
        return tuple(sorted(best, key=lambda trial: -(trial.accuracy or 0)))

    @property
    def best(self) -> Trial | None:
        """The most accurate finished trial."""
        return next(iter(self.front), None)

    def count(self, *states: str) -> int:
        """Number of trials in these states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train."""
        return self.is_out_of_time or not self.count(OPEN, WAITING, RUNNING)

    @property
    def is_out_of_time(self) -> bool:
        """Whether its minutes are used up."""
        return 0 < self.sweep.minutes <= self.minutes

    @property
    def summary(self) -> str:
        """The state in a sentence or two."""
        done = self.count(DONE, PRUNED, FAILED)
        parts = [f"{done} of {plural(self.sweep.slots, 'run')} done"]
        parts += [
            f"{count} {title}"
            for state, title in ((RUNNING, "training"), (PRUNED, "pruned"), (FAILED, "failed"))
            if (count := self.count(state))
        ]
        text = f"{self.sweep.name}: {', '.join(parts)}."
        if (best := self.best) is not None:
            text += (
                f" Best on {self.sweep.config.holdout:,} validation images: {best.accuracy:.2f} % "
                f"by {best.title} with {best.parameters:,} parameters."
            )
        return text

    def to_dict(self) -> dict[str, Any]:
        """The sweep and its trials as JSON values."""
        return {
            "sweep": self.sweep.to_dict(),
            "stopped": self.stopped,
            "over": self.is_over,
            "minutes": round(self.minutes, 2),
            "best": self.best and self.best.slot,
            "trials": [trial.to_dict() for trial in self.trials],
        }


def state_of(sweep: Sweep, attempts: Sequence[Attempt], stopped: bool) -> SweepState:
    """The state that the attempts at a sweep's slots make."""
    by_slot = attempts_by_slot(attempts, sweep.slots)
    trials = [to_trial(slot, of_slot) for slot, of_slot in by_slot.items()]
    best = pareto_front(trials, AIMS[sweep.aim])
    trials = [
        _with_rounded_params(sweep, to_trial(slot, of_slot, best))
        for slot, of_slot in by_slot.items()
    ]
    return SweepState(sweep, tuple(trials), stopped, worked_minutes(attempts))


def _with_rounded_params(sweep: Sweep, trial: Trial) -> Trial:
    """The trial with the values that it was trained with; Optuna stores them before rounding."""
    params = {
        name: sweep.space[name].round(value) if name in sweep.space else value
        for name, value in trial.params.items()
    }
    return replace(trial, params=params)


def pareto_front(trials: Iterable[Trial], objectives: Sequence[str]) -> set[int]:
    """Slots of the finished trials that no other dominates; for one objective, the first best.

    Args:
        trials: of a sweep.
        objectives: `accuracy`, which is maximised, and names of fields to minimise.
    """
    costs = {
        trial.slot: tuple(
            -getattr(trial, name) if name == "accuracy" else getattr(trial, name)
            for name in objectives
        )
        for trial in trials
        if trial.state == DONE
    }
    if len(objectives) == 1:
        return {min(costs, key=lambda slot: costs[slot])} if costs else set()
    return {
        slot
        for slot, cost in costs.items()
        if not any(
            other != cost and all(a <= b for a, b in zip(other, cost, strict=True))
            for other in costs.values()
        )
    }
