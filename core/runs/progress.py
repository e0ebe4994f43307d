"""How far a run is and how long it will still take, from its events. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from core.runs.run import Run


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    epoch: int
    """The epoch under way, from 1."""
    epochs: int
    step: int
    """Steps done in it."""
    steps: int
    """Steps in an epoch."""
    share: float
    """Of the whole run, 0 to 1."""
    seconds_left: float | None
    """At the speed since it was last started; None while there is nothing to judge by."""


def estimate_progress(run: Run) -> Progress:
    """Where the run stands, by its last event."""
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
