"""Networks side by side, row by row: which rows they share, and where they differ.

Must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from core.models.row_text import without_defaults
from core.models.rows import KINDS, Row

_FIRST = ("channels", "kernel")  # stand behind the title without their names


def describe_row(row: Row) -> str:
    """A row in words: `Convolution 8, 3x3, norm batch`; values that are the default are left out.

    The number of channels and the kernel are always given.
    """
    kind = KINDS.get(str(row.get("kind")))
    if kind is None:
        return str(row.get("kind"))[:40]
    values = {item.name: row.get(item.name, item.default) for item in kind.parameters}
    parts = [str(values["channels"])] if "channels" in values else []
    if "kernel" in values:
        parts.append(f"{values['kernel']}x{values['kernel']}")
    for name, value in without_defaults(row).items():
        if name not in ("kind", *_FIRST):
            parts.append(f"{name} {_shown(value)}")
    return f"{kind.title} {', '.join(parts)}".strip()


def align_rows(networks: Sequence[Sequence[Row]]) -> list[list[str]]:
    """Align the rows of networks as a diff does.

    Args:
        networks: at least one list of layer rows.

    Returns:
        One list per line with a cell for each network: the row in words, "" where the network has
        no such row. Lines whose cells are equal are shared by all.
    """
    lines = [[describe_row(row)] for row in networks[0]]
    for count, network in enumerate(networks[1:], 1):
        lines = _merge(lines, [describe_row(row) for row in network], count)
    return lines


def _merge(lines: Sequence[Sequence[str]], rows: Sequence[str], count: int) -> list[list[str]]:
    """Add a network's rows as one more cell to lines with `count` cells."""
    # The first row that a line holds stands for it.
    stands = [next(filter(None, line), "") for line in lines]
    merged: list[list[str]] = []
    for _, first, last, start, end in SequenceMatcher(
        None, stands, rows, autojunk=False
    ).get_opcodes():
        for offset in range(max(last - first, end - start)):
            line = list(lines[first + offset]) if first + offset < last else [""] * count
            merged.append([*line, rows[start + offset] if start + offset < end else ""])
    return merged


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
