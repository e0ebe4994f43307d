"""Transforms as one short line of text, as a link holds them and a person can copy them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from core.data.augmentations import KINDS, Transform, check, complete
from core.errors import ConfigError

MAX_TEXT = 4_000  # characters: more than the longest list of transforms needs


def to_text(transforms: Iterable[Mapping[str, Any]]) -> str:
    """The transforms as compact JSON, without the settings that are at their defaults.

    Args:
        transforms: rows, whole or in part.

    Raises:
        ConfigError: as `check`.
    """
    rows = []
    for row in check(transforms):
        defaults = {item.name: _short(item.default) for item in KINDS[row["kind"]].parameters}
        short = {name: _short(value) for name, value in row.items()}
        rows.append({name: value for name, value in short.items() if value != defaults.get(name)})
    return json.dumps(rows, separators=(",", ":"))


def from_text(text: str) -> tuple[Transform, ...]:
    """The transforms that a text describes, every row checked and completed; an empty text describes none.

    Raises:
        ConfigError: the text is too long, no JSON list, or a row of it is wrong.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError(
            f"transforms are written in at most {MAX_TEXT:,} characters, not {len(text):,}."
        )
    try:
        rows = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        raise ConfigError(
            'transforms are written as a list, such as [{"kind":"affine","rotate":10}]; '
            f"this is none: {text[:40]!r}."
        ) from None
    if not isinstance(rows, list):
        raise ConfigError(f"transforms are a list of rows, not {text[:40]!r}.")
    return check(rows)


def changed(
    transforms: Iterable[Transform], number: int, name: str, value: float | str
) -> tuple[Transform, ...]:
    """The transforms with one setting of one row changed.

    Args:
        transforms: rows as `check` returns them.
        number: the row, from 0.
        name: the setting.
        value: its new value.

    Raises:
        ConfigError: the value is wrong for that setting.
    """
    return tuple(
        complete({**row, name: value}, at + 1) if at == number else row
        for at, row in enumerate(transforms)
    )


def _short(value: float | str) -> float | str:
    """7.0 as 7, and no digits that only come from a slider's arithmetic."""
    if isinstance(value, str):
        return value
    return int(value) if value == int(value) else round(value, 6)
