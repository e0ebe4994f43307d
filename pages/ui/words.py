"""How runs are put into words: their state, their time, what they are made of."""

from __future__ import annotations

from core.experiments import overview
from core.experiments.repeats import Group
from core.experiments.scores import TEST
from core.experiments.statistics import wilson
from core.runs.progress import Progress
from core.runs.run import Run

_COLOURS = {
    "running": "blue",
    "pausing": "blue",
    "queued": "gray",
    "paused": "orange",
    "stopped": "gray",
    "finished": "green",
}
_ICONS = {
    "running": "autorenew",
    "pausing": "autorenew",
    "queued": "hourglass_empty",
    "paused": "pause",
    "stopped": "stop",
    "finished": "check",
}


def capitalise(words: str) -> str:
    """The words, begun with a capital; not for those that begin with a name, which stays as it is."""
    return words[:1].upper() + words[1:]


def parameters(run: Run) -> int:
    """How many numbers its network learns."""
    return run.parameters


def format_accuracy(run: Run) -> str:
    """Validation accuracy after its last epoch."""
    return f"{run.last.val_accuracy:.2f}\u00a0%" if run.last else "–"


def describe_interval(run: Run) -> str:
    """How sure the last epoch's accuracy is, as a sentence; empty before there is one."""
    if run.last is None:
        return ""
    low, high = wilson(run.last.val_correct, run.last.val_total)
    images = "held-out training images" if run.config.holdout else TEST
    return (
        f"On {run.last.val_total:,} {images} its 95 % interval goes from {low:.2f} to {high:.2f} %."
    )


def describe_test(run: Run) -> str:
    """What a run with a hold-out reached on the test images, as a sentence; empty where they were not asked apart."""
    if run.test is None:
        return ""
    low, high = wilson(run.test.correct, run.test.total)
    return (
        f"Scored once, at its end, on the {run.test.total:,} {TEST}: {run.test.accuracy:.2f}\u00a0% "
        f"({low:.2f} to {high:.2f})."
    )


def reaches_goal(run: Run) -> bool:
    """Whether it meets the goal at its end: accuracy on the test images, epochs and parameters."""
    return overview.reaches_goal(run)


def describe_goal(entry: Run | Group) -> str:
    """By how much evidence it meets the goal, in words; empty where it does not."""
    if not overview.reaches_goal(entry):
        return ""
    return (
        f"goal reached by {len(entry.finished)} seeds"
        if isinstance(entry, Group)
        else "goal reached, by one run"
    )


def state_badge(state: str) -> tuple[str, str]:
    """Colour and icon of a state."""
    return _COLOURS.get(state, "red"), f":material/{_ICONS.get(state, 'error')}:"


def format_duration(seconds: float) -> str:
    """A span of time as one would say it: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        minutes, rest = divmod(seconds, 60)
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, rest = divmod(seconds // 60, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def format_remaining(seconds: float | None) -> str:
    """How long work will still take, to be said behind how far it is; empty while that cannot be told."""
    return "" if seconds is None else f", about {format_duration(seconds)} left"


def describe_progress(run: Run, now: Progress) -> str:
    """Where a run stands, in one line."""
    if run.state == "queued":
        return "Waits for its turn"
    if run.is_live and not now.step and not run.epochs:
        return (run.message or "starting").capitalize()
    line = f"Epoch {min(max(now.epoch, 1), now.epochs)} of {now.epochs}"
    if run.is_live:
        return f"{line}{format_remaining(now.seconds_left)}" + (
            f", {run.message}" if run.message else ""
        )
    return line
