"""Schemas of values that come from outside: config fields, layer rows, transforms, uploaded files.

A `Field` describes one named JSON value, and checks it; `check_object` checks an object of named
values, `check_row` a row whose "kind" decides which values it takes. A check returns plain values
of the types asked for, with defaults filled in, or raises one sentence that names the field and the
value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.errors import UserError, listed

LARGEST = 2**63  # of any number; larger whole numbers need not fit a float, nor a sentence
_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "an object of named values",
    object: "text, a number, true, false or null",
}
_CONTROL = {"Cc", "Cs", "Zl", "Zp"}  # control characters, unpaired surrogates, line separators
_DIRECTION = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # reorder what is shown


class SchemaError(UserError):
    """A value does not fit its schema."""


@contextmanager
def raising(error: Callable[[str], UserError]) -> Iterator[None]:
    """Raise `error(message)` in place of a SchemaError from the block."""
    try:
        yield
    except SchemaError as wrong:
        raise error(str(wrong)) from None


@dataclass(frozen=True, slots=True)
class Field:
    """A named value: what it may be, and what an editor or a help text says about it.

    Args:
        name: its key in the object.
        type: int, float, bool, str, list, dict, or object for any single JSON value (no list, no
            object). Whole numbers pass as float, and floats without a fraction as int.
        default: taken when the value is left out; may be None for any type.
        help: one or two sentences for people.
        low, high: range of a number, both ends included; None: up to LARGEST.
        step: distance between two positions of a slider.
        unit: of a number, for people.
        choices: the only texts allowed; empty: any text.
        min_length, max_length: characters of a text, elements of a list, entries of an object.
        multiline: whether a text may hold line breaks and tabs.
        items: of a list, each element; of an object without `fields`, each value. None: unchecked.
        fields: of an object, the only values it has; None: any names.
        required: refuse an object that lacks the value.
        nullable: accept None.
    """

    name: str
    type: type
    default: Any = None
    help: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    min_length: int = 0
    max_length: int = 200
    multiline: bool = False
    items: Field | None = None
    fields: tuple[Field, ...] | None = None
    required: bool = False
    nullable: bool = False

    def check(self, value: Any, label: str = "") -> Any:
        """The value in this field's type.

        Args:
            value: what JSON, a widget or an option gave.
            label: how the error names the value; the field's name unless given.

        Raises:
            SchemaError: wrong type, out of range, too long, or not one of the choices.
        """
        label = label or self.name
        if value is None and (self.nullable or self.type is object):
            return None
        if isinstance(value, bool):
            if self.type in (bool, object):
                return value
        elif isinstance(value, int | float) and self.type in (int, float, object):
            return self._check_number(value, label)
        elif isinstance(value, str) and self.type in (str, object):
            return self._check_text(value, label)
        elif isinstance(value, list | tuple) and self.type is list:
            item = self.items
            self._check_length(len(value), label, f"{item.name}s" if item else "elements")
            return [
                element if item is None else item.check(element, f"{label}, {item.name} {number}")
                for number, element in enumerate(value, 1)
            ]
        elif isinstance(value, Mapping) and self.type is dict:
            if self.fields is not None:
                return check_object(value, self.fields, label)
            self._check_length(len(value), label, "entries")
            names, item = Field("name", str), self.items
            return {
                names.check(key, f"{label}, name"): element
                if item is None
                else item.check(element, f"{label}: {shown(key)}")
                for key, element in value.items()
            }
        raise self._wrong_type(value, label)

    def parse(self, text: str) -> Any:
        """The value that a text stands for, as an option or a link gives it; not yet checked.

        Raises:
            SchemaError: the text does not read as the field's type, or the type has no text form.
        """
        if self.type is str:
            return text
        if self.type is bool and text.lower() in ("true", "1", "yes", "false", "0", "no"):
            return text.lower() in ("true", "1", "yes")
        if self.type in (int, float):
            try:
                return self.type(text)
            except ValueError:
                pass
        raise self._wrong_type(text, self.name)

    def _check_number(self, value: float, label: str) -> float:
        if self.type is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        if self.type is int and isinstance(value, float):
            raise self._wrong_type(value, label)
        low = -LARGEST if self.low is None else self.low
        high = LARGEST if self.high is None else self.high
        if not low <= value <= high:  # true of NaN as well
            raise SchemaError(
                f"{label} is {shown(value)}, but it must be between "
                f"{_short_number(low)} and {_short_number(high)}."
            )
        return float(value) if self.type is float else value

    def _check_text(self, value: str, label: str) -> str:
        if self.choices and value not in self.choices:
            raise SchemaError(f"{label} is {shown(value)}, but it must be {listed(self.choices)}.")
        self._check_length(len(value), label, "characters")
        allowed = "\n\t" if self.multiline else ""
        for character in value:
            category = unicodedata.category(character)
            if character not in allowed and (category in _CONTROL or character in _DIRECTION):
                raise SchemaError(
                    f"{label} holds the character {shown(character)}, which cannot be shown; "
                    "remove it."
                )
        return value

    def _check_length(self, length: int, label: str, unit: str) -> None:
        if not self.min_length <= length <= self.max_length:
            low = f"between {self.min_length:,} and" if self.min_length else "at most"
            raise SchemaError(
                f"{label} has {length:,} {unit}; {low} {self.max_length:,} are allowed."
            )

    def _wrong_type(self, value: Any, label: str) -> SchemaError:
        return SchemaError(f"{label} must be {_TYPE_NAMES[self.type]}, not {shown(value)}.")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row, such as a convolution or a blur: its title, its help, and what it takes."""

    name: str
    title: str
    help: str
    parameters: tuple[Field, ...] = ()


def check_object(
    values: Any,
    fields: Iterable[Field],
    label: str = "",
    *,
    noun: str = "field",
    drop_unknown: bool = False,
) -> dict[str, Any]:
    """The values of all fields, checked, with defaults for those left out.

    Args:
        values: a mapping of JSON values.
        fields: what it may hold; the result has them all, in this order.
        label: how errors name the whole; empty: not at all.
        noun: what errors call a field.
        drop_unknown: leave out names that are no fields instead of refusing them.

    Raises:
        SchemaError: no mapping, an unknown name, a missing required value, or a wrong value.
    """
    start = f"{label}: " if label else ""
    if not isinstance(values, Mapping):
        raise SchemaError(f"{label or 'this'} must be {_TYPE_NAMES[dict]}, not {shown(values)}.")
    known = {field.name: field for field in fields}
    for name in () if drop_unknown else values:
        if name not in known:
            valid = f"the {noun}s are {listed(known, 'and')}" if known else f"there are no {noun}s"
            raise SchemaError(f"{start}unknown {noun} {shown(name)}; {valid}.")
    missing = [
        field.name for field in known.values() if field.required and field.name not in values
    ]
    if missing:
        raise SchemaError(f"{start}{missing[0]} is missing.")
    return {
        name: field.check(values[name], start + name) if name in values else field.default
        for name, field in known.items()
    }


def check_row(row: Any, kinds: Mapping[str, Kind], noun: str = "a row") -> dict[str, Any]:
    """A row with the values that its kind takes, checked, with defaults for those left out.

    Args:
        row: `{"kind": ..., parameter: value, ...}`.
        kinds: the kinds there are, by name.
        noun: what errors call a row.

    Raises:
        SchemaError: no mapping, no or unknown kind, unknown parameter, or a wrong value.
    """
    if not isinstance(row, Mapping):
        raise SchemaError(f"{noun} must be {_TYPE_NAMES[dict]}, not {shown(row)}.")
    name = row.get("kind")
    if not isinstance(name, str) or name not in kinds:
        wrong = "kind is missing" if name is None else f"unknown kind {shown(name)}"
        raise SchemaError(f"{wrong}; the kinds are {listed(kinds, 'and')}.")
    values = {key: value for key, value in row.items() if key != "kind"}
    parameters = check_object(values, kinds[name].parameters, noun=f"{name} parameter")
    return {"kind": name, **parameters}


def shown(value: Any) -> str:
    """A value as an error shows it: short, on one line, without control characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:40]}…")
    if isinstance(value, int) and value.bit_length() > 128:  # Python may refuse to print it
        return "a number of more than 38 digits"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    return repr(value)[:40]


def _short_number(value: float) -> str:
    return str(value) if isinstance(value, int) and abs(value) < 2**32 else f"{value:g}"
