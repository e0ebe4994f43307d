"""Transforms as one line of text, for links and for copying."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from core.data.augmentations import KINDS, Transform, check, complete
from core.errors import ConfigError
from core.json_input import parse_json
from core.schema import SchemaError, shown

MAX_TEXT = 4_000  # characters: more than the longest list of transforms needs
# Values that a text leaves out, where they are not the rows' own defaults. Links written before
# there were fractional shifts meant whole pixels.
_DEFAULTS = {"affine": {"shifts": "whole"}}


def to_text(transforms: Iterable[Mapping[str, Any]]) -> str:
    """The transforms as compact JSON; `from_text` adds the values that are left out.

    Args:
        transforms: rows; values may be left out.

    Raises:
        ConfigError: as `check`.
    """
    rows = []
    for row in check(transforms):
        kind = row["kind"]
        defaults = {item.name: _rounded(item.default) for item in KINDS[kind].parameters}
        defaults |= _DEFAULTS.get(kind, {})
        short = {name: _rounded(value) for name, value in row.items()}
        rows.append({name: value for name, value in short.items() if value != defaults.get(name)})
    return json.dumps(rows, separators=(",", ":"))


def from_text(text: str) -> tuple[Transform, ...]:
    """The transforms that a text describes, checked and completed; an empty text describes none.

    An affine transform without `shifts` is shifted by whole pixels.

    Raises:
        ConfigError: the text is too long, not a JSON list, or a transform is wrong.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError(
            f"the text of transforms may have at most {MAX_TEXT:,} characters, not {len(text):,}."
        )
    try:
        rows = parse_json(text, "the text") if text.strip() else []
    except SchemaError:
        raise ConfigError(
            'transforms must be a list, such as [{"kind":"affine","rotate":10}], '
            f"not {shown(text)}."
        ) from None
    if not isinstance(rows, list):
        raise ConfigError(f"transforms must be a list, not {shown(rows)}.")
    return check(
        {**_DEFAULTS.get(str(row.get("kind")), {}), **row} if isinstance(row, dict) else row
        for row in rows
    )


def with_value(
    transforms: Iterable[Transform], number: int, name: str, value: float | str
) -> tuple[Transform, ...]:
    """The transforms with one value of one row replaced.

    Args:
        transforms: rows as `check` returns them.
        number: the row, counted from 0.
        name: the parameter.
        value: its new value.

    Raises:
        ConfigError: the parameter does not take the value.
    """
    return tuple(
        complete({**row, name: value}, index + 1) if index == number else row
        for index, row in enumerate(transforms)
    )


def _rounded(value: float | str) -> float | str:
    """7.0 as 7, and without the rounding errors of a slider's steps."""
    if isinstance(value, str):
        return value
    return int(value) if value == int(value) else round(value, 6)
