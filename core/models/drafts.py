"""Drafts: networks that are being edited, whose rows may still be wrong. Must not import torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ArchitectureError
from core.models.rows import Row, complete
from core.models.shapes import Layer, iter_layers
from core.models.summary import Summary, summarise


@dataclass(frozen=True, slots=True)
class Draft:
    """A list of rows, valid or not.

    Args:
        rows: as given.
        layers: the rows traced, from the first to the last that fits.
        errors: number of a row, counted from 1 -> what is wrong with it; 0: what is wrong with the
            whole network.
        summary: of the network; None while there are errors.
    """

    rows: tuple[Mapping[str, Any], ...]
    layers: tuple[Layer, ...]
    errors: Mapping[int, str]
    summary: Summary | None


def inspect(rows: Sequence[Row]) -> Draft:
    """Trace rows as far as they fit.

    Errors are every row with a wrong value, and the first row that does not fit.
    """
    errors: dict[int, str] = {}
    for number, row in enumerate(rows, 1):
        try:
            complete(row, number)
        except ArchitectureError as error:
            _add(errors, error)
    layers: list[Layer] = []
    summary = None
    try:
        for layer in iter_layers(tuple(rows)):
            layers.append(layer)
        summary = summarise(tuple(rows))
    except ArchitectureError as error:
        _add(errors, error)
    return Draft(tuple(rows), tuple(layers), errors, summary)


def _add(errors: dict[int, str], error: ArchitectureError) -> None:
    number = error.row or 0
    errors.setdefault(number, str(error).removeprefix(f"row {number}: "))
