"""Layer rows as one short line of text, as a link holds them and a person can copy them.

A network that has a name is written as its name, any other as JSON without what is at its default. What is read may
still be wrong: whoever edits a network needs to see the wrong value, at its row (`drafts`). No torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from core.aliases import current_value
from core.config import MAX_ROWS
from core.errors import ArchitectureError, listed
from core.models.architectures import ARCHITECTURES
from core.models.rows import KINDS, Row, complete

MAX_TEXT = 12_000  # characters: room for every row that the longest list may have, if they are like those shipped
_MAX_VALUES, _MAX_WORD, _MAX_NUMBER = 20, 40, 10**9


def to_text(rows: Iterable[Row]) -> str:
    """The name of the network, or its rows as compact JSON without the values that are at their defaults.

    Args:
        rows: layer rows, right or wrong.

    Raises:
        ArchitectureError: they take more than MAX_TEXT characters.
    """
    short = [shortened(row) for row in rows]
    if (name := name_of(short)) is not None:
        return name
    text = json.dumps(short, separators=(",", ":"))
    if len(text) > MAX_TEXT:
        raise ArchitectureError(
            f"these rows are written in {len(text):,} characters; a link holds at most "
            f"{MAX_TEXT:,}."
        )
    return text


def from_text(text: str) -> tuple[dict[str, Any], ...]:
    """The rows that a text stands for: sets of plain values, not yet checked for what they mean.

    Args:
        text: the name of an architecture, or rows as `to_text` writes them.

    Raises:
        ArchitectureError: the text is too long, neither a name nor a list, or a row of it is no set of plain values.
    """
    text = text.strip()
    text = current_value("architecture", text)
    if text in ARCHITECTURES:
        return tuple(dict(row) for row in ARCHITECTURES[text].rows)
    if len(text) > MAX_TEXT:
        raise ArchitectureError(
            f"rows are written in at most {MAX_TEXT:,} characters, not {len(text):,}."
        )
    try:
        rows = json.loads(text) if text else []
    except (ValueError, RecursionError):
        raise ArchitectureError(
            f'rows are written as a list, such as [{{"kind":"conv","channels":8}}], or as one of '
            f"the names {listed(ARCHITECTURES)}; this is none: {text[:40]!r}."
        ) from None
    if not isinstance(rows, list):
        raise ArchitectureError(f"rows are a list, not {text[:40]!r}.")
    if len(rows) > MAX_ROWS:
        raise ArchitectureError(f"{len(rows):,} rows are too many; at most {MAX_ROWS} are allowed.")
    return tuple(_plain(row, number) for number, row in enumerate(rows, 1))


def name_of(rows: Iterable[Row]) -> str | None:
    """The name of the architecture that consists of these rows."""
    short = [shortened(row) for row in rows]
    return next((name for name, each in _SHORT.items() if each == short), None)


def shortened(row: Row) -> dict[str, Any]:
    """The row without the values that are empty or at their default."""
    kind = KINDS.get(row.get("kind", ""))
    defaults = {item.name: item.default for item in kind.parameters} if kind else {}
    # True equals 1, but stands for something else
    return {
        name: value
        for name, value in row.items()
        if value is not None
        and not (
            name in defaults
            and value == defaults[name]
            and isinstance(value, bool) is isinstance(defaults[name], bool)
        )
    }


def _plain(row: Any, number: int) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise ArchitectureError(f"a row is a set of named values, not {str(row)[:40]!r}.", number)
    if len(row) > _MAX_VALUES:
        raise ArchitectureError(f"it has {len(row):,} values; no kind takes so many.", number)
    for name, value in row.items():
        well = (
            value is None
            or isinstance(value, bool)
            or (isinstance(value, str) and len(value) <= _MAX_WORD)
            or (
                isinstance(value, int | float)
                and math.isfinite(value)
                and abs(value) <= _MAX_NUMBER
            )
        )
        if not well or len(name) > _MAX_WORD:
            raise ArchitectureError(
                f"{name[:_MAX_WORD]} is neither a short word nor a number of a size that anything "
                "here has.",
                number,
            )
    if isinstance(row.get("kind"), str | None):
        return dict(row)
    raise ArchitectureError(
        f"its kind is {str(row['kind'])[:40]!r}; the kinds are {listed(KINDS)}.", number
    )


_SHORT = {
    name: [shortened(complete(row)) for row in each.rows] for name, each in ARCHITECTURES.items()
}
