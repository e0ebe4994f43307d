"""A board: the runs that share a tag or the beginning of their name, the best first.

Must not import torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from core.runs import listing
from core.runs.run import Run

_SEPARATORS = "-_."


def list_boards(runs: Iterable[Run]) -> list[str]:
    """The tags, then the beginnings of names that at least two runs share, the most frequent first.

    The beginning of a name ends before its last separator: `class-7b` of `class-7b-ada`.
    """
    runs = list(runs)
    tags = Counter(tag for run in runs for tag in run.tags)
    starts = Counter(start for run in runs if (start := _beginning(run.name)))
    shared = [start for start, count in starts.most_common() if count > 1 and start not in tags]
    return [*(tag for tag, _ in tags.most_common()), *shared]


def select_board(runs: Iterable[Run], board: str) -> list[Run]:
    """The runs of a board: the most accurate first, then those without an epoch, oldest first.

    A run belongs to it if it has the tag, or if its name is the board's or goes on with a
    separator; case is ignored.
    """
    key = board.lower()
    members = [
        run
        for run in runs
        if key in map(str.lower, run.tags)
        or run.name.lower() == key
        or (run.name.lower().startswith(key) and run.name[len(key) : len(key) + 1] in _SEPARATORS)
    ]
    return sorted(
        members,
        key=lambda run: (-run.last.val_accuracy if run.last else 1.0, run.created, run.name),
    )


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """The config fields in which runs differ, without their seed."""
    return [name for name in listing.differing_fields(runs) if name != "seed"]


def _beginning(name: str) -> str:
    cut = max(name.rfind(separator) for separator in _SEPARATORS)
    return name[:cut] if cut > 0 else ""
