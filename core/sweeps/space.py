"""Search spaces: the config fields and layer-row values that a sweep varies.

Must not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from core import aliases
from core.config import FIELDS, RunConfig, parse
from core.errors import ConfigError, listed
from core.models.architectures import rows_of
from core.models.rows import KINDS
from core.schema import Field, raising, shown
from core.sweeps.dimension import Dimension, number_text
from core.sweeps.widths import adapt_depthwise, width_names
from core.training.plan import plan

ROW_PARAMETER = re.compile(r"rows\.(\d{1,3}(?:\+\d{1,3})*)\.(\w+)")
WIDTHS = "widths"
MAX_CHOICES = 50
MAX_VALUES = 10_000  # of a range with steps
Space = Mapping[str, Dimension]
_FIXED = {
    "layers": "vary values of its rows, such as rows.2.channels",
    "transforms": "vary augmentation",
    "holdout": "all runs of a sweep are compared on the same images",
    "holdout_seed": "all runs of a sweep are compared on the same images",
    "seed": "the best of several seeds is luck",
    "kept_epochs": "it does not change the result",
    "device": "it does not change the result",
    "threads": "it does not change the result",
}


def read_space(values: Any, base: RunConfig) -> dict[str, Dimension]:
    """Read a space from JSON values and check it against the config that it changes.

    Args:
        values: name -> {"low", "high"} with "step" or "log", or {"choices"}. A name is a config
            field, `rows.2.channels`, or `rows.2+5.channels` for rows that change together.
        base: the config to change.

    Raises:
        ConfigError: the space is not valid; the message names the parameter.
    """
    if not isinstance(values, Mapping) or not values:
        raise ConfigError("a sweep needs at least one field to vary, such as max_lr=0.02..0.2:log.")
    space = {}
    for name, value in values.items():
        # A sweep may be stored under a field's old name; the current name wins if both are there.
        current = aliases.FIELDS.get(name, name) if isinstance(name, str) else name
        if current != name and current in values:
            continue
        space[current] = _read_dimension(current, value, base, stored_name=name)
    if "architecture" in space and any(map(ROW_PARAMETER.fullmatch, space)):
        raise ConfigError("a sweep varies the architecture or the rows of one, not both.")
    return space


def parse_dimension(name: str, text: str, base: RunConfig) -> dict[str, Any]:
    """Convert `0.02..0.2:log`, `8..24..2` or `none,light` to the JSON values of a dimension.

    Raises:
        ConfigError: the text is neither a range nor a list of choices.
    """
    text = text.strip()
    if ".." not in text:
        return {"choices": [_parse_value(name, part.strip(), base) for part in text.split(",")]}
    text, log = text.removesuffix(":log"), text.endswith(":log")
    parts = text.split("..")
    if len(parts) > 3:
        raise ConfigError(
            f"{name} takes LOW..HIGH, LOW..HIGH..STEP or LOW..HIGH:log, not {text[:40]!r}."
        )
    numbers = [_parse_value(name, part, base) for part in parts]
    return {**dict(zip(("low", "high", "step"), numbers, strict=False)), "log": log}


def parse_space(texts: Mapping[str, str], base: RunConfig) -> dict[str, Dimension]:
    """Read a space from typed ranges and choices; `widths` stands for all widths of the network.

    Raises:
        ConfigError: as `read_space`, or two parameters change the same value of a row.
    """
    values: dict[str, Any] = {}
    for name, text in texts.items():
        names = width_names(rows_of(base)) if name == WIDTHS else [name]
        if not names:
            raise ConfigError(f"{base.architecture} has no row whose width can be varied.")
        _check_rows_vary_once(names, values)
        values |= {parameter: parse_dimension(parameter, text, base) for parameter in names}
    return read_space(values, base)


def apply_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """The config with sampled values; depthwise rows take the width of their input.

    Raises:
        UserError: the values make no valid config.
    """
    changes: dict[str, Any] = {}
    varies_rows = any(ROW_PARAMETER.fullmatch(name) for name in values)
    before = [dict(row) for row in rows_of(config)] if varies_rows else []
    rows = [dict(row) for row in before]
    for name, value in values.items():
        if match := ROW_PARAMETER.fullmatch(name):
            for number in map(int, match[1].split("+")):
                if not 1 <= number <= len(rows):
                    raise ConfigError(f"{name}: the network has rows 1 to {len(rows)}.")
                rows[number - 1][match[2]] = value
            continue
        changes[name] = value
        # A named architecture or augmentation replaces the config's own rows.
        if name == "architecture":
            changes["layers"] = []
        elif name == "augmentation":
            changes["transforms"] = []
    if rows:
        changes["layers"] = adapt_depthwise(before, rows)
    return config.changed(**changes)


def parameter_title(name: str) -> str:
    """The title of a parameter, such as `channels of rows 2 and 5`; a field's is its name."""
    match = ROW_PARAMETER.fullmatch(name)
    if match is None:
        return name
    numbers = match[1].split("+")
    return f"{match[2]} of row{'s' if len(numbers) > 1 else ''} {' and '.join(numbers)}"


def describe_values(values: Mapping[str, Any]) -> str:
    """Sampled values in short, such as `widths 8-16-16, max_lr 0.12`."""
    widths = [str(value) for name, value in values.items() if _is_width(name)]
    parts = [f"widths {'-'.join(widths)}"] if len(widths) > 1 else []
    for name, value in values.items():
        if len(widths) < 2 or not _is_width(name):
            parts.append(f"{name} {number_text(value) if type(value) is float else value}")
    return ", ".join(parts)


def describe_space(space: Space) -> str:
    """A space in short, such as `widths 8..24, max_lr 0.02..0.2:log`; equal widths are joined."""
    parts: dict[str, None] = {}  # in order, each once
    for name, dimension in space.items():
        equal = [other for other in space if space[other] == dimension and _is_width(other)]
        title = WIDTHS if _is_width(name) and len(equal) > 1 else name
        parts[f"{title} {dimension.text}"] = None
    return ", ".join(parts)


def _is_width(name: str) -> bool:
    match = ROW_PARAMETER.fullmatch(name)
    return match is not None and match[2] == "channels"


def _read_dimension(name: Any, value: Any, base: RunConfig, stored_name: Any) -> Dimension:
    _check_name(name, base)  # raises if a sweep cannot vary it
    if not isinstance(value, Mapping) or not set(value) <= {
        *("low", "high", "step", "log", "choices")
    }:
        raise ConfigError(
            f"{name} takes either low and high (optionally with step or log) or choices."
        )
    # Optuna's storage of an old sweep knows the parameter only by its old name.
    stored = stored_name if stored_name != name else None
    if "choices" in value:
        return _read_choices(name, value, base, stored)
    if "low" not in value or "high" not in value or _type_of(name, base) not in (int, float):
        takes = "low and high" if _type_of(name, base) in (int, float) else "choices"
        raise ConfigError(f"{name} takes {takes}.")
    low, high = _check_value(name, value["low"], base), _check_value(name, value["high"], base)
    step, log = value.get("step"), value.get("log", False)
    if not low < high:
        raise ConfigError(f"{name} goes from {low:g} to {high:g}; the first must be the lower one.")
    if type(log) is not bool:
        raise ConfigError(f"{name}: log must be true or false, not {shown(log)}.")
    if log and (low <= 0 or step is not None):
        raise ConfigError(f"{name}: a logarithmic range must start above 0 and has no step.")
    if step is not None:
        step = _check_step(name, step, low, high)
    dimension = Dimension(low, high, step, log, stored_name=stored)
    if step is not None and (dimension.count() or 0) > MAX_VALUES:
        raise ConfigError(
            f"{name} has {dimension.count():,} values in steps of {step:g}, and a range has at "
            f"most {MAX_VALUES:,}; choose a larger step, or none."
        )
    return dimension


def _read_choices(
    name: str, value: Mapping[str, Any], base: RunConfig, stored_name: str | None
) -> Dimension:
    choices = value["choices"]
    if (
        set(value) != {"choices"}
        or not isinstance(choices, list | tuple)
        or not 1 <= len(choices) <= MAX_CHOICES
    ):
        raise ConfigError(f"{name} takes a list of 1 to {MAX_CHOICES} choices, without a range.")
    # Optuna's storage of an old sweep knows renamed choices only by their old names.
    current = [aliases.current_value(name, choice) for choice in choices]
    checked = tuple(_check_value(name, choice, base) for choice in current)
    if len(set(checked)) < len(checked):
        raise ConfigError(f"{name} has the same choice twice.")
    stored_choices = tuple(choices) if current != list(choices) else ()
    return Dimension(choices=checked, stored_name=stored_name, stored_choices=stored_choices)


def _check_step(name: str, step: Any, low: float, high: float) -> float:
    if type(low) is int and type(step) is float and step.is_integer():
        step = int(step)
    if (
        type(step) not in (int, float)
        or (type(low) is int and type(step) is not int)
        or not 0 < step <= high - low
    ):
        raise ConfigError(f"{name} cannot go from {low:g} to {high:g} in steps of {shown(step)}.")
    return step


def _check_name(name: Any, base: RunConfig) -> None:
    if not isinstance(name, str) or (name not in FIELDS and not ROW_PARAMETER.fullmatch(name)):
        raise ConfigError(
            f"a sweep cannot vary {str(name)[:40]!r}; it varies config fields, or values of layer "
            "rows such as rows.2.channels."
        )
    if name in _FIXED:
        raise ConfigError(f"a sweep does not vary {name}: {_FIXED[name]}.")
    _row_fields(name, base)  # raises if there is no such row or field


def _check_rows_vary_once(names: Iterable[str], others: Iterable[str]) -> None:
    """Raise ConfigError if one of the names changes the same value of a row as one of the others.

    Names that are no rows' are not compared.
    """
    for other in others:
        for name in names:
            first, second = ROW_PARAMETER.fullmatch(other), ROW_PARAMETER.fullmatch(name)
            if not first or not second or first[2] != second[2]:
                continue
            if common := set(first[1].split("+")) & set(second[1].split("+")):
                raise ConfigError(
                    f"{first[2]} of row {min(common, key=int)} would be varied twice, by {other} "
                    f"and by {name}; leave one out."
                )


def _row_fields(name: str, base: RunConfig) -> list[Field]:
    """The schema's fields behind a name such as `rows.2+5.channels`; [] for a config field.

    Raises:
        ConfigError: there is no such row, or it has no such field.
    """
    match = ROW_PARAMETER.fullmatch(name)
    if match is None:
        return []
    rows, fields = rows_of(base), []
    for number in map(int, match[1].split("+")):
        if not 1 <= number <= len(rows):
            raise ConfigError(
                f"{name}: the network has rows 1 to {len(rows)}, and no row {number}."
            )
        kind = rows[number - 1]["kind"]
        by_name = {field.name: field for field in KINDS[kind].parameters if field.name != "from"}
        if match[2] not in by_name:
            takes = f"takes {listed(by_name)}" if by_name else "takes nothing"
            raise ConfigError(f"{name}: row {number} is {kind}, which {takes}.")
        fields.append(by_name[match[2]])
    return fields


def _type_of(name: str, base: RunConfig) -> type:
    """The type of a parameter's values."""
    fields = _row_fields(name, base)
    return fields[0].type if fields else FIELDS[name].type


def _check_value(name: str, value: Any, base: RunConfig) -> Any:
    """Check a value and convert it to the parameter's type.

    Raises:
        ConfigError: it is of another type, or out of range.
    """
    for field in _row_fields(name, base):
        with raising(lambda message: ConfigError(f"{name}: {message}")):
            value = field.check(value)
    if name in FIELDS:
        changed = apply_values(base, {name: value})
        if name in ("architecture", "augmentation"):
            plan(changed)  # raises if it cannot be trained
        value = getattr(changed, name)
    return value


def _parse_value(name: str, text: str, base: RunConfig) -> Any:
    """Convert text entered by the user to the parameter's type."""
    _check_name(name, base)  # raises if a sweep cannot vary it
    if name in FIELDS:
        return parse(name, text)
    value_type = _type_of(name, base)
    if value_type is bool:
        if text not in ("true", "false"):
            raise ConfigError(f"{name} must be true or false, not {text[:40]!r}.")
        return text == "true"
    try:
        return value_type(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number, not {text[:40]!r}.") from None
