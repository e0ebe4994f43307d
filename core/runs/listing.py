"""Filtering, sorting and comparing lists of runs. Reads no files."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from core.config import FIELDS
from core.errors import RunError, listed
from core.runs.measures import parse_search, read_value
from core.runs.run import Run
from core.training.effects import unused_fields

_NO_ACCURACY = -1.0
HIGHEST, LOWEST = "highest first", "lowest first"

# Sort keys by name; the smallest key comes first.
SORT_KEYS: dict[str, Callable[[Run], Any]] = {
    "newest": lambda run: (-run.created.timestamp(), run.name),
    "last accuracy": lambda run: -(run.last.val_accuracy if run.last else _NO_ACCURACY),
    "best accuracy": lambda run: -(run.best.val_accuracy if run.best else _NO_ACCURACY),
    "fewest parameters": lambda run: run.parameters,
    "shortest time": lambda run: total_seconds(run) or float("inf"),
    "name": lambda run: run.name.lower(),
}


def filter_runs(runs: Iterable[Run], text: str = "", state: str | None = None) -> list[Run]:
    """Return the runs that contain every word of a text, meet its conditions and have a state.

    The words are looked for in name, title, tags, recipe, architecture and parent. Case and accents
    are ignored, and an apostrophe may be typed either way.

    Args:
        runs: the runs to filter.
        text: words and conditions such as `max_lr > 0.1`, separated by spaces; "" for all runs.
        state: state of the runs; None: any.

    Raises:
        RunError: as `measures.parse_search`.
    """
    words, conditions = parse_search(text)
    words = [*map(_fold, words)]
    return [
        run
        for run in runs
        if (state is None or run.state == state)
        and all(condition.holds(run) for condition in conditions)
        and all(word in _searchable_text(run) for word in words)
    ]


def sort_key(by: str) -> Callable[[Run], Any]:
    """Return the sort key of that name: one of SORT_KEYS, or a setting or measure with its end.

    Args:
        by: one of SORT_KEYS, or `NAME, highest first` or `NAME, lowest first`. Runs without the
            value come last; text is sorted in alphabetical order.
    """
    if by in SORT_KEYS:
        return SORT_KEYS[by]
    name, _, end = by.partition(", ")
    sign = -1 if end == HIGHEST else 1

    def key(run: Run) -> tuple[bool, bool, float, str]:
        value = read_value(run, name)
        if isinstance(value, int | float):
            return (False, False, sign * value, "")
        return (not value, True, 0.0, str(value).lower())

    return key


def sort_runs(runs: Iterable[Run], by: str) -> list[Run]:
    """Sort runs by one of SORT_KEYS; the sort is stable.

    Raises:
        RunError: there is no such key.
    """
    if by not in SORT_KEYS:
        raise RunError(f"runs are sorted by {listed(SORT_KEYS)}, not {by[:40]!r}.")
    return sorted(runs, key=SORT_KEYS[by])


def total_seconds(run: Run) -> float:
    """Return the seconds that all epochs of a run took together."""
    return sum(row.seconds for row in run.epochs)


def differing_fields(runs: Sequence[Run]) -> list[str]:
    """Return the config fields whose values differ between runs and have an effect on one."""
    configs = [run.config.to_dict() for run in runs]
    differing = [
        name for name in FIELDS if any(config[name] != configs[0][name] for config in configs[1:])
    ]
    if not differing:
        return []
    unused = set.intersection(*(set(unused_fields(run.config)) for run in runs))
    return [name for name in differing if name not in unused]


def _searchable_text(run: Run) -> str:
    words = [
        run.name,
        run.title or "",
        *run.tags,
        run.recipe or "",
        run.config.architecture,
        run.parent["name"] if run.parent else "",
    ]
    return _fold("\n".join(words))


def _fold(text: str) -> str:
    """The text without case, accents and typographic apostrophes."""
    letters = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
