"""What a sweep may change: fields of the config and values of layer rows, each with a range or choices. No torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.config import FIELDS, RunConfig, parse
from core.errors import ConfigError, listed
from core.models.architectures import rows_of
from core.models.rows import KINDS, Row
from core.models.shapes import trace
from core.schema import Field, raising
from core.training.plan import plan

if TYPE_CHECKING:
    from optuna.trial import Trial

ROWS = re.compile(r"rows\.(\d{1,3}(?:\+\d{1,3})*)\.(\w+)")
WIDTHS = "widths"
MOST_CHOICES = 50
DIGITS = 4  # that a drawn rate keeps, so that it can be read and typed
_FIXED = {
    "layers": "vary values of its rows, such as rows.2.channels",
    "transforms": "vary augmentation",
    "holdout": "all runs of a sweep are compared on the same images",
    "holdout_seed": "all runs of a sweep are compared on the same images",
    "seed": "the best of several seeds is luck",
    "device": "it changes no result",
    "threads": "it changes no result",
}


@dataclass(frozen=True, slots=True)
class Dimension:
    """What one thing may be: a range with both ends, or one of some choices."""

    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    """Whether 0.01 to 0.1 gets as many draws as 0.1 to 1."""
    choices: tuple[Any, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The dimension as JSON values."""
        if self.choices:
            return {"choices": list(self.choices)}
        values: dict[str, Any] = {"low": self.low, "high": self.high}
        return (
            values
            | ({} if self.step is None else {"step": self.step})
            | ({"log": True} if self.log else {})
        )

    @property
    def words(self) -> str:
        """The dimension as one types it."""
        if self.choices:
            return ",".join(
                str(choice).lower() if isinstance(choice, bool) else str(choice)
                for choice in self.choices
            )
        step = "" if self.step is None else f"..{self.step:g}"
        return f"{self.low:g}..{self.high:g}{step}{':log' if self.log else ''}"

    def draw(self, trial: Trial, name: str) -> Any:
        """Let a sampler choose a value."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(
                name, self.low, self.high, step=int(self.step or 1), log=self.log
            )
        assert self.low is not None
        assert self.high is not None
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def points(self) -> tuple[Any, ...] | None:
        """Every value that it may be; None where they cannot be counted."""
        if self.choices:
            return self.choices
        assert self.low is not None
        assert self.high is not None
        step = self.step or (1 if isinstance(self.low, int) else None)
        if step is None or self.log:
            return None
        return tuple(
            self.low + step * number
            for number in range(math.floor((self.high - self.low) / step + 1e-9) + 1)
        )


Space = Mapping[str, Dimension]


def read_space(values: Any, base: RunConfig) -> dict[str, Dimension]:
    """The space that JSON values describe, checked against what it changes.

    Args:
        values: name -> {"low", "high"} with "step" or "log", or {"choices"}; names are fields of the config, or
            `rows.2.channels`, or `rows.2+5.channels` for rows that change together.
        base: the config that is changed.

    Raises:
        ConfigError: it is none; the sentence names what is at fault.
    """
    if not isinstance(values, Mapping) or not values:
        raise ConfigError("a sweep needs at least one field to vary, such as max_lr=0.02..0.2:log.")
    found = {name: _read(name, value, base) for name, value in values.items()}
    if "architecture" in found and any(map(ROWS.fullmatch, found)):
        raise ConfigError("a sweep varies the architecture or the rows of one, not both.")
    return found


def parse_dimension(name: str, text: str, base: RunConfig) -> dict[str, Any]:
    """The JSON values of a dimension from its typed form: `0.02..0.2:log`, `8..24..2`, `none,light`.

    Raises:
        ConfigError: it reads as neither a range nor choices.
    """
    text = text.strip()
    if ".." not in text:
        return {"choices": [_value(name, each.strip(), base) for each in text.split(",")]}
    text, log = text.removesuffix(":log"), text.endswith(":log")
    ends = text.split("..")
    if len(ends) > 3:
        raise ConfigError(
            f"{name} takes LOW..HIGH, LOW..HIGH..STEP or LOW..HIGH:log, not {text[:40]!r}."
        )
    return {
        **dict(
            zip(("low", "high", "step"), (_value(name, each, base) for each in ends), strict=False)
        ),
        "log": log,
    }


def typed_space(texts: Mapping[str, str], base: RunConfig) -> dict[str, Dimension]:
    """The space that typed ranges and choices describe; what is given for `widths` goes for all rows that have one.

    Raises:
        ConfigError: as `read_space`.
    """
    values: dict[str, Any] = {}
    for name, text in texts.items():
        names = width_names(rows_of(base)) if name == WIDTHS else [name]
        if not names:
            raise ConfigError(f"{base.architecture} has no row whose width can be chosen.")
        values |= {each: parse_dimension(each, text, base) for each in names}
    return read_space(values, base)


def apply(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """The config with drawn values in it; depthwise rows follow the width of those before them.

    Raises:
        UserError: the values make no config.
    """
    changes: dict[str, Any] = {}
    rows = before = (
        [dict(row) for row in rows_of(config)]
        if any(ROWS.fullmatch(name) for name in values)
        else []
    )
    rows = [dict(row) for row in before]
    for name, value in values.items():
        if match := ROWS.fullmatch(name):
            for number in match[1].split("+"):
                rows[int(number) - 1][match[2]] = value
            continue
        changes[name] = _short(value) if type(value) is float else value
        if name in (
            "architecture",
            "augmentation",
        ):  # what is named takes the place of the base's own rows
            changes["layers" if name == "architecture" else "transforms"] = []
    if rows:
        changes["layers"] = _follow(before, rows)
    return config.changed(**changes)


def widths(rows: Sequence[Row]) -> list[tuple[int, ...]]:
    """The rows whose channels can be chosen, those together that a sum ties to each other; the last row's cannot.

    Args:
        rows: a network's, defaults filled in.
    """
    layers = trace(rows)
    setter: list[int] = [
        0
    ]  # of each row's output: the row that sets its channels; 0: they are given
    tied: dict[int, int] = {}

    def root(number: int) -> int:
        while number in tied:
            number = tied[number]
        return number

    for layer in layers:
        kind, row = layer.row["kind"], layer.row
        if kind == "linear" or (kind == "conv" and not _depthwise(row, layer.input_shape[0])):
            setter.append(layer.number)
        elif kind == "space_to_depth":
            setter.append(0)
        else:
            setter.append(setter[-1])
        if kind == "add" and (mine := root(setter[-1])) != (theirs := root(setter[row["from"]])):
            tied[max(mine, theirs)] = min(mine, theirs)
    fixed = {root(0), root(setter[-1])}
    found: dict[int, list[int]] = {}
    for number in sorted(set(setter)):
        if root(number) not in fixed:
            found.setdefault(root(number), []).append(number)
    return [tuple(numbers) for numbers in found.values()]


def width_names(rows: Sequence[Row]) -> list[str]:
    """The names under which a space varies the widths of all rows that have one of their own."""
    return [f"rows.{'+'.join(map(str, numbers))}.channels" for numbers in widths(rows)]


def title(name: str) -> str:
    """What one thing varied is called: `channels of row 2`, `channels of rows 2 and 5`; a field keeps its name."""
    match = ROWS.fullmatch(name)
    if match is None:
        return name
    numbers = match[1].split("+")
    return f"{match[2]} of row{'s' if len(numbers) > 1 else ''} {' and '.join(numbers)}"


def told(values: Mapping[str, Any]) -> str:
    """Drawn values in few words, the widths of rows behind each other: `widths 8-16-16, max_lr 0.12`."""
    rows = [
        value
        for name, value in values.items()
        if (match := ROWS.fullmatch(name)) and match[2] == "channels"
    ]
    words = [f"widths {'-'.join(map(str, rows))}"] if len(rows) > 1 else []
    for name, value in values.items():
        match = ROWS.fullmatch(name)
        if match is None or match[2] != "channels" or len(rows) < 2:
            words.append(f"{name} {_short(value):g}" if type(value) is float else f"{name} {value}")
    return ", ".join(words)


def told_space(space: Space) -> str:
    """What is varied in few words, widths that have the same range once: `widths 8..24, max_lr 0.02..0.2:log`."""
    words: dict[str, None] = {}
    for name, dimension in space.items():
        match = ROWS.fullmatch(name)
        alike = [
            each
            for each, other in space.items()
            if other == dimension and each.endswith(".channels")
        ]
        words[
            f"{WIDTHS if match and match[2] == 'channels' and len(alike) > 1 else name} {dimension.words}"
        ] = None
    return ", ".join(words)


def _depthwise(row: Row, inputs: int) -> bool:
    return row["kind"] == "conv" and 1 < row["groups"] == inputs


def _follow(before: Sequence[Row], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with changed widths, their depthwise convolutions made as wide as what they are given."""
    channels = 1
    for layer, row in zip(trace(before), rows, strict=True):
        if _depthwise(layer.row, layer.input_shape[0]):
            row["channels"] = channels * (layer.row["channels"] // layer.row["groups"])
            row["groups"] = channels
        channels = (
            channels * row["block"] ** 2
            if row["kind"] == "space_to_depth"
            else row.get("channels", channels)
        )
    return rows


def _read(name: str, value: Any, base: RunConfig) -> Dimension:
    _known(name, base)
    if not isinstance(value, Mapping) or not set(value) <= {
        "low",
        "high",
        "step",
        "log",
        "choices",
    }:
        raise ConfigError(
            f"{str(name)[:40]} takes low and high, with step or log, or choices; nothing else."
        )
    if "choices" in value:
        choices = value["choices"]
        if (
            set(value) != {"choices"}
            or not isinstance(choices, list | tuple)
            or not 1 <= len(choices) <= MOST_CHOICES
        ):
            raise ConfigError(
                f"{name} takes a list of 1 to {MOST_CHOICES} choices, and no range beside it."
            )
        checked = [_checked(name, choice, base) for choice in choices]
        if len(set(checked)) < len(checked):
            raise ConfigError(f"{name} offers the same choice twice.")
        return Dimension(choices=tuple(checked))
    if "low" not in value or "high" not in value or _default(name, base) not in (int, float):
        raise ConfigError(
            f"{name} takes {'low and high' if _default(name, base) in (int, float) else 'choices'}."
        )
    low, high = _checked(name, value["low"], base), _checked(name, value["high"], base)
    step, log = value.get("step"), value.get("log", False)
    if not low < high:
        raise ConfigError(f"{name} goes from {low:g} to {high:g}; the first must be the lower one.")
    if type(log) is not bool or (log and (low <= 0 or step is not None)):
        raise ConfigError(
            f"{name} can only be drawn by its logarithm from a range above 0, without a step."
        )
    if step is not None:
        step = _checked_step(name, step, low, high)
    return Dimension(low, high, step, log)


def _checked_step(name: str, step: Any, low: float, high: float) -> float:
    if type(low) is int and type(step) is float and step.is_integer():
        step = int(step)
    if (
        type(step) not in (int, float)
        or (type(low) is int and type(step) is not int)
        or not 0 < step <= high - low
    ):
        raise ConfigError(
            f"{name} cannot go from {low:g} to {high:g} in steps of {str(step)[:20]}."
        )
    return step


def _known(name: Any, base: RunConfig) -> None:
    if not isinstance(name, str) or (name not in FIELDS and not ROWS.fullmatch(name)):
        raise ConfigError(
            f"a sweep cannot vary {str(name)[:40]!r}; it varies fields of the config, or values of layer "
            "rows such as rows.2.channels."
        )
    if name in _FIXED:
        raise ConfigError(f"a sweep does not vary {name}: {_FIXED[name]}.")
    _parameters(name, base)


def _parameters(name: str, base: RunConfig) -> list[Field]:
    """What rows take under a name such as `rows.2+5.channels`; nothing for a field of the config.

    Raises:
        ConfigError: there are no such rows, or they take no such value.
    """
    match = ROWS.fullmatch(name)
    if match is None:
        return []
    rows, found = rows_of(base), []
    for number in map(int, match[1].split("+")):
        if not 1 <= number <= len(rows):
            raise ConfigError(
                f"{name}: the network has rows 1 to {len(rows)}, and no row {number}."
            )
        takes = {
            each.name: each
            for each in KINDS[rows[number - 1]["kind"]].parameters
            if each.name != "from"
        }
        if match[2] not in takes:
            what = f"takes {listed(takes)}" if takes else "takes nothing"
            raise ConfigError(f"{name}: row {number} is {rows[number - 1]['kind']}, which {what}.")
        found.append(takes[match[2]])
    return found


def _default(name: str, base: RunConfig) -> type:
    """The type of a thing's values."""
    parameters = _parameters(name, base)
    return parameters[0].type if parameters else FIELDS[name].type


def _checked(name: str, value: Any, base: RunConfig) -> Any:
    """A value in the type of what it is for.

    Raises:
        ConfigError: it cannot be had.
    """
    for parameter in _parameters(name, base):
        with raising(lambda message: ConfigError(f"{name}: {message}")):
            value = parameter.check(value)
    if name in FIELDS:
        changed = apply(base, {name: value})
        if name in ("architecture", "augmentation"):
            plan(changed)
        value = value if type(value) is float else getattr(changed, name)
    return value


def _value(name: str, text: str, base: RunConfig) -> Any:
    """A typed value in the type of what it is for."""
    _known(name, base)
    kind = _default(name, base)
    if name in FIELDS:
        return parse(name, text)
    try:
        return text == "true" if kind is bool else kind(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number, not {text[:40]!r}.") from None


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
