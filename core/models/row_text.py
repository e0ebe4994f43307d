"""Layer rows as one line of text, for links and for copying.

A named network is written as its name, any other as JSON without default values. Rows that are read
hold plain values but need not make a network: an editor shows what is wrong, at its row (`drafts`).
Must not import torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from core.aliases import current_value
from core.config import MAX_ROWS
from core.errors import ArchitectureError, listed
from core.json_input import parse_json
from core.models.architectures import ARCHITECTURES
from core.models.rows import KINDS, Row, complete
from core.schema import Field, SchemaError, raising, shown

MAX_TEXT = 12_000  # characters: enough for MAX_ROWS rows like those of the named networks
_VALUE = Field("value", object, low=-1e9, high=1e9, max_length=40)
_ROWS = Field(
    "network", list, items=Field("row", dict, items=_VALUE, max_length=20), max_length=MAX_ROWS
)


def to_text(rows: Iterable[Row]) -> str:
    """The network's name if it has one, else its rows as compact JSON without default values.

    Args:
        rows: layer rows, valid or not.

    Raises:
        ArchitectureError: the text would be longer than MAX_TEXT characters.
    """
    short = [without_defaults(row) for row in rows]
    if (name := find_name(short)) is not None:
        return name
    text = json.dumps(short, separators=(",", ":"))
    if len(text) > MAX_TEXT:
        raise ArchitectureError(
            f"these rows take {len(text):,} characters of text; a link holds at most {MAX_TEXT:,}."
        )
    return text


def from_text(text: str) -> tuple[dict[str, Any], ...]:
    """The rows that a text stands for, which need not make a network.

    Args:
        text: the name of an architecture, or rows as `to_text` writes them.

    Raises:
        ArchitectureError: the text is too long, neither a name nor a list of rows, or a row is not
            an object of plain values.
    """
    text = text.strip()
    text = current_value("architecture", text)
    if text in ARCHITECTURES:
        return tuple(dict(row) for row in ARCHITECTURES[text].rows)
    if len(text) > MAX_TEXT:
        raise ArchitectureError(
            f"the text of a network may have at most {MAX_TEXT:,} characters, not {len(text):,}."
        )
    try:
        rows = parse_json(text, "the text") if text else []
    except SchemaError:
        raise ArchitectureError(
            f'a network is a list of rows, such as [{{"kind":"conv","channels":8}}], or one of the '
            f"names {listed(ARCHITECTURES)}, not {shown(text)}."
        ) from None
    with raising(ArchitectureError):
        checked: list[dict[str, Any]] = _ROWS.check(rows)
    for number, row in enumerate(checked, 1):
        if not isinstance(row.get("kind"), str | None):
            raise ArchitectureError(
                f"kind must be one of {listed(KINDS)}, not {shown(row['kind'])}.", number
            )
    return tuple(checked)


def find_name(rows: Iterable[Row]) -> str | None:
    """The name of the architecture that has these rows; None if there is none."""
    short = [without_defaults(row) for row in rows]
    return next((name for name, named in _NAMED.items() if named == short), None)


def without_defaults(row: Row) -> dict[str, Any]:
    """The row without the values that are None or equal to their default."""
    name = row.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    defaults = {item.name: item.default for item in kind.parameters} if kind else {}
    # The type is compared too: True equals 1, but is a different value.
    return {
        name: value
        for name, value in row.items()
        if value is not None
        and not (
            name in defaults
            and value == defaults[name]
            and isinstance(value, bool) == isinstance(defaults[name], bool)
        )
    }


_NAMED = {
    name: [without_defaults(complete(row)) for row in architecture.rows]
    for name, architecture in ARCHITECTURES.items()
}
