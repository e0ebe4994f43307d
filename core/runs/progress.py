"""How far a run is and how long it will take, estimated from its events. Must not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from core.runs.run import Run


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    epoch: int
    """The current epoch, from 1."""
    epochs: int
    step: int
    """Steps done in this epoch."""
    steps: int
    """Steps in an epoch."""
    share: float
    """Fraction of the whole run, 0 to 1."""
    seconds_left: float | None
    """At the speed since the last start; None before a first step and when not training."""


def estimate_progress(run: Run) -> Progress:
    """Return how far a run is, by its last event."""
    steps = run.steps_per_epoch
    past = run.read_events()
    if not past:
        return Progress(1, run.config.epochs, 0, steps, 0.0, None)
    total = run.config.epochs * steps
    done = [min(total, (event["epoch"] - 1) * steps + event["step"]) for event in past]
    first = next(
        (
            number
            for number in range(len(past) - 1, -1, -1)
            if past[number]["kind"] in ("started", "resumed")
        ),
        None,
    )
    left = None
    if run.is_live and first is not None and done[-1] > done[first]:
        speed = (past[-1]["time"] - past[first]["time"]) / (done[-1] - done[first])
        left = max(0.0, speed * (total - done[-1]))
    return Progress(
        past[-1]["epoch"], run.config.epochs, past[-1]["step"], steps, done[-1] / total, left
    )
