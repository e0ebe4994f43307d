"""Networks that are being edited: rows that may be wrong, with what can be said of them so far. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ArchitectureError
from core.models.rows import Row, complete
from core.models.shapes import Layer, follow
from core.models.summary import Summary, summarise


@dataclass(frozen=True, slots=True)
class Draft:
    """A list of rows as it stands, right or wrong.

    Args:
        rows: as they were given.
        layers: those worked out, from the first to the last that fits.
        mistakes: row, counted from 1 -> what is wrong with it; 0: what is wrong with the whole.
        summary: of the network; None while there is a mistake.
    """

    rows: tuple[Mapping[str, Any], ...]
    layers: tuple[Layer, ...]
    mistakes: Mapping[int, str]
    summary: Summary | None


def inspect(rows: Sequence[Row]) -> Draft:
    """Work out the rows as far as they fit, and name the mistakes: all values, and the first row that doesn't fit."""
    mistakes: dict[int, str] = {}
    for number, row in enumerate(rows, 1):
        try:
            complete(row, number)
        except ArchitectureError as error:
            _note(mistakes, error)
    layers: list[Layer] = []
    summary = None
    try:
        for layer in follow(tuple(rows)):
            layers.append(layer)
        summary = summarise(tuple(rows))
    except ArchitectureError as error:
        _note(mistakes, error)
    return Draft(tuple(rows), tuple(layers), mistakes, summary)


def told(mistakes: Mapping[int, str]) -> Iterable[str]:
    """The mistakes as sentences that name their rows."""
    for number, words in sorted(mistakes.items()):
        yield f"Row {number}: {words}" if number else words[:1].upper() + words[1:]


def _note(mistakes: dict[int, str], error: ArchitectureError) -> None:
    number = error.row or 0
    mistakes.setdefault(number, str(error).removeprefix(f"row {number}: "))
