"""The settings of a run in words: its network, its augmentation, and what was changed.

Layer rows and transforms of the user's own replace the network and the preset that a config names,
so they are described in their place. Must not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.config import RunConfig
from core.recipes import RECIPES
from core.training.effects import unused_fields
from core.wording import plural

# The named choice -> the field of rows that replaces it.
REPLACED_BY = {"architecture": "layers", "augmentation": "transforms"}
_ROWS = {"layers": "custom layer", "transforms": "custom transform"}
_MAX_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that differs between two configs."""

    field: str
    """Name in `core.config.FIELDS`; of rows, that of the choice that they replace."""
    now: str
    before: str


def describe_setting(config: RunConfig, name: str) -> str:
    """Return the value of a field in words; of a choice that rows replace, their number.

    Args:
        config: the config.
        name: of the field.
    """
    rows = REPLACED_BY.get(name, name)
    if rows in _ROWS and getattr(config, rows):
        return plural(len(getattr(config, rows)), _ROWS[rows])
    return _format(getattr(config, name))


def list_changes(config: RunConfig, before: RunConfig) -> list[Change]:
    """Return the settings in which a config differs from an earlier one.

    Rows and the name that they replace are one setting. A setting that has no effect in the later
    config is left out: the change that takes its effect away is in the list.
    """
    differing = config.differences(before)
    unused = unused_fields(config).keys() - REPLACED_BY.keys()
    names = {rows: name for name, rows in REPLACED_BY.items()}
    changes: dict[str, Change] = {}
    for field in differing:
        name = names.get(field, field)
        if name in unused:
            continue
        rows = REPLACED_BY.get(name)
        if rows and rows not in differing and getattr(config, rows):
            continue  # the name has no effect: the same rows replace it
        now, was = describe_setting(config, name), describe_setting(before, name)
        changes[name] = Change(name, now, f"other {was}" if now == was else was)
    return list(changes.values())


def find_nearest_recipe(config: RunConfig) -> str:
    """Return the name of the recipe with the fewest settings that differ; the first of several."""
    return min(RECIPES, key=lambda name: len(list_changes(config, RECIPES[name].config)))


def _format(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)[:_MAX_LENGTH]
