"""Old names of config fields and values, which stored runs and links may still use.

This is the only table of old names; nothing is written with an old name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Old name of a config field -> its present name.
FIELDS = {"augmented": "augment_fraction", "decay": "gamma", "ema": "ema_decay"}

# Old key of run.json -> its key, and old field of its runtime -> its name.
RUN = {"facts": "runtime"}
RUNTIME = {"tried": "benchmarked"}

# Old attribute of a sweep's trial in Optuna's storage -> its present name.
TRIAL = {"place": "slot", "ended": "outcome"}

# Name of a recipe in runs and sweeps of format 1 -> its present name; `final` is another recipe
# now.
OLD_RECIPES = {"final": "taught"}

# Field -> {old value: present value}; layout: of a runtime.
VALUES = {
    "layout": {"batch_last": "compiled"},
    "architecture": {"seed-3762": "original-3762", "seed-3702": "original-3702"},
    "schedule": {"seed-one-cycle": "original-one-cycle"},
    "outcome": {
        "surplus": "duplicate",
        "left": "interrupted",
        "refused": "rejected",
        "broken": "untrainable",
    },
}


def current_value(field: str, value: Any) -> Any:
    """A field's value under its present name; other values are returned unchanged."""
    return VALUES.get(field, {}).get(value, value) if isinstance(value, str) else value


def current_names(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """A config's fields and values under their present names.

    If a field is given under both names, the present one counts.
    """
    renamed = {}
    for name, value in values.items():
        field = FIELDS.get(name, name) if isinstance(name, str) else name
        if field == name or field not in values:
            renamed[field] = current_value(field, value)
    return renamed


def run_value(values: Mapping[str, Any], key: str) -> Any:
    """A value of run.json by its present key, or by the old one where the present is missing."""
    for old, present in RUN.items():
        if present == key and key not in values:
            return values.get(old)
    return values.get(key)
