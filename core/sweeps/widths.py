"""The widths of a network: which rows' channels can be varied, and which rows follow.

Must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.models.rows import Row
from core.models.shapes import trace


def width_groups(rows: Sequence[Row]) -> list[tuple[int, ...]]:
    """Numbers of the rows whose channels can be varied; rows tied together are one group.

    A sum ties the two rows that set the channels of its terms, and shared weights tie those of the
    rows that use them.

    The last width is fixed by the number of classes, and depthwise rows follow their input.

    Args:
        rows: of a network, with defaults filled in.
    """
    # For each row, from 1, the row that sets the channels of its output; 0: the network's input.
    setters = [0]
    tied: dict[int, int] = {}

    def root(number: int) -> int:
        while number in tied:
            number = tied[number]
        return number

    def tie(first: int, second: int) -> None:
        first, second = sorted((root(first), root(second)))
        if first != second:
            tied[second] = first

    for layer in trace(rows):
        kind, row = layer.row["kind"], layer.row
        if kind == "linear" or (kind == "conv" and not _is_depthwise(row, layer.input_shape[0])):
            setters.append(layer.number)
        elif kind == "space_to_depth":
            setters.append(0)
        else:
            setters.append(setters[-1])
        if kind == "add":
            tie(setters[-1], setters[row["from"]])
        if layer.shares:  # the same inputs and outputs
            tie(setters[-2], setters[layer.shares - 1])
            tie(setters[-1], setters[layer.shares])
    fixed = {root(0), root(setters[-1])}
    groups: dict[int, list[int]] = {}
    for number in sorted(set(setters)):
        if root(number) not in fixed:
            groups.setdefault(root(number), []).append(number)
    return [tuple(numbers) for numbers in groups.values()]


def width_names(rows: Sequence[Row]) -> list[str]:
    """The names of the width parameters of a network, such as `rows.2+5.channels`."""
    return [f"rows.{'+'.join(map(str, numbers))}.channels" for numbers in width_groups(rows)]


def adapt_depthwise(before: Sequence[Row], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give depthwise convolutions the width of their input, after widths have changed.

    Args:
        before: the rows before the change.
        rows: the changed rows; changed in place.
    """
    channels = 1
    for layer, row in zip(trace(before), rows, strict=True):
        if _is_depthwise(layer.row, layer.input_shape[0]):
            row["channels"] = channels * (layer.row["channels"] // layer.row["groups"])
            row["groups"] = channels
        if row["kind"] == "space_to_depth":
            channels *= row["block"] ** 2
        else:
            channels = row.get("channels", channels)
    return rows


def _is_depthwise(row: Row, inputs: int) -> bool:
    return row["kind"] == "conv" and 1 < row["groups"] == inputs
