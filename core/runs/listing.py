"""Many runs at once: finding some, putting them in order, and what tells their configs apart. No files in here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from core.config import FIELDS
from core.errors import RunError, listed
from core.runs.run import Run

_UNMEASURED = -1.0

# What runs can be ordered by, the first one first.
SORT_KEYS: dict[str, Callable[[Run], Any]] = {
    "newest": lambda run: (-run.created.timestamp(), run.name),
    "last accuracy": lambda run: -(run.last.val_accuracy if run.last else _UNMEASURED),
    "best accuracy": lambda run: -(run.best.val_accuracy if run.best else _UNMEASURED),
    "fewest parameters": lambda run: run.parameters,
    "shortest time": lambda run: total_seconds(run) or float("inf"),
    "name": lambda run: run.name.lower(),
}


def filter_runs(runs: Iterable[Run], text: str = "", state: str | None = None) -> list[Run]:
    """Those runs in which every word of a text occurs, whatever its case: in name, tags, recipe, network or parent.

    Args:
        runs: where to look.
        text: words; none: all runs.
        state: that they are in; None: any.
    """
    words = text.lower().split()
    return [
        run
        for run in runs
        if (state is None or run.state == state) and all(word in _said_of(run) for word in words)
    ]


def sort_runs(runs: Iterable[Run], by: str) -> list[Run]:
    """The runs by one of ORDERS; equals stay as they were.

    Raises:
        RunError: there is no such order.
    """
    if by not in SORT_KEYS:
        raise RunError(f"runs are ordered by {listed(SORT_KEYS)}, not {by[:40]!r}.")
    return sorted(runs, key=SORT_KEYS[by])


def total_seconds(run: Run) -> float:
    """How long its epochs took, together."""
    return sum(row.seconds for row in run.epochs)


def differing_fields(runs: Sequence[Run]) -> list[str]:
    """The fields of the config in which not all runs agree."""
    configs = [run.config.to_dict() for run in runs]
    return [
        name for name in FIELDS if any(config[name] != configs[0][name] for config in configs[1:])
    ]


def _said_of(run: Run) -> str:
    words = [
        run.name,
        *run.tags,
        run.recipe or "",
        run.config.architecture,
        run.parent["name"] if run.parent else "",
    ]
    return "\n".join(words).lower()
