"""The rows that a network is written in: which kinds there are, what each takes, and the check of one row.

A row is a plain mapping of JSON values, {"kind": "conv", "channels": 8, "kernel": 3}; what it leaves out takes
its default. Whether rows fit together is checked in `shapes`, what they compute stands in `network`. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import ArchitectureError, listed

Row = Mapping[str, Any]

ACTIVATIONS = ("relu", "none", "silu", "gelu")
NORMS = ("none", "batch")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of a row, with what a table editor needs to offer it.

    Args:
        default: taken when the row leaves the value out; its type is the type asked for, unless `type` says so.
        low, high: the range of a number, both ends included.
        choices: the words allowed; empty for numbers and switches.
    """

    name: str
    default: Any
    help: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()
    type: type = int

    def checked(self, value: Any, row: int | None) -> Any:
        """The value in this parameter's type.

        Raises:
            ArchitectureError: wrong type, out of range or no such word.
        """
        asked: Any = self.type  # a plain type would make mypy narrow the value to object
        if asked is int and type(value) is float and value.is_integer():
            value = int(value)  # a table editor hands whole numbers on as floats
        whole_for_share = asked is float and type(value) is int
        if type(value) is not asked and not whole_for_share:
            raise ArchitectureError(
                f"{self.name} takes {_TYPE_WORDS[asked]}, not {_shown(value)}.", row
            )
        if self.choices and value not in self.choices:
            raise ArchitectureError(
                f"{self.name} is {_shown(value)}, but it must be {listed(self.choices)}.", row
            )
        if asked in (int, float) and not self.low <= value <= self.high:
            raise ArchitectureError(
                f"{self.name} is {_shown(value)}, but it must lie between {self.low:g} and "
                f"{self.high:g}.",
                row,
            )
        if whole_for_share:
            value = float(value)
        return value


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row: its title and help for the page, and the parameters it takes."""

    name: str
    title: str
    help: str
    parameters: tuple[Parameter, ...] = ()


_TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
_ACTIVATION = Parameter(
    "activation",
    "relu",
    "Bend behind the layer (and behind its norm).",
    choices=ACTIVATIONS,
    type=str,
)
_BIAS = Parameter(
    "bias",
    True,
    "Add a learned number to each channel; useless in front of a batch norm.",
    type=bool,
)


def _pool(verb: str) -> tuple[Parameter, ...]:
    return (
        Parameter("kernel", 2, f"Side of the square that is {verb}.", 1, 28),
        Parameter("stride", 2, "Pixels from one square to the next.", 1, 28),
    )


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "conv",
            "Convolution",
            "Slides a small window over the image and weighs what it sees.",
            (
                Parameter("channels", 8, "Feature maps that come out.", 1, 1024),
                Parameter("kernel", 3, "Side of the window.", 1, 28),
                Parameter("stride", 1, "Pixels from one window to the next.", 1, 28),
                Parameter(
                    "padding",
                    0,
                    "Pixels of zeros around the image; 1 keeps the size under a 3x3 kernel.",
                    0,
                    14,
                ),
                Parameter(
                    "groups",
                    1,
                    "Parts that the channels are split into, each seen alone; as many as channels: "
                    "depthwise.",
                    1,
                    1024,
                ),
                _BIAS,
                Parameter(
                    "norm",
                    "none",
                    "Batch norm brings each channel to mean 0 and spread 1.",
                    choices=NORMS,
                    type=str,
                ),
                _ACTIVATION,
            ),
        ),
        Kind(
            "maxpool", "Max pooling", "Keeps the largest value of each square.", _pool("searched")
        ),
        Kind("avgpool", "Average pooling", "Keeps the mean of each square.", _pool("averaged")),
        Kind("global_avgpool", "Global average", "Leaves one number of each channel: its mean."),
        Kind(
            "dropout",
            "Dropout",
            "Blanks a random share of the values while training.",
            (
                Parameter(
                    "p",
                    None,
                    "Share blanked; empty: the run's dropout setting.",
                    0,
                    0.9,
                    type=float,
                ),
            ),
        ),
        Kind(
            "space_to_depth",
            "Space to depth",
            "Turns each block of pixels into channels, so that nothing is lost while "
            "the image shrinks.",
            (Parameter("block", 2, "Side of the block.", 2, 14),),
        ),
        Kind(
            "add",
            "Add",
            "Adds the output of an earlier row (a residual connection).",
            (
                Parameter("from", 1, "Number of the row whose output is added.", 1, 200),
                Parameter(
                    "activation", "none", "Bend behind the sum.", choices=ACTIVATIONS, type=str
                ),
            ),
        ),
        Kind(
            "linear",
            "Linear",
            "Weighs all values at once, the image flattened to a line.",
            (Parameter("channels", 10, "Values that come out.", 1, 4096), _BIAS, _ACTIVATION),
        ),
    )
}
_ALL_PARAMETERS = {parameter.name for kind in KINDS.values() for parameter in kind.parameters}


def complete(row: Any, number: int | None = None) -> dict[str, Any]:
    """The row with its values checked and what it leaves out filled in.

    An empty value (None) counts as left out, also one that the kind doesn't take: a table editor has one column
    for each parameter of any kind.

    Args:
        row: a mapping of JSON values with a "kind".
        number: the row's place, counted from 1, for the error.

    Raises:
        ArchitectureError: not a mapping, no or unknown kind, unknown parameter, wrong type, out of range.
    """
    if not isinstance(row, Mapping):
        raise ArchitectureError(f"a row is a set of named values, not {_shown(row)}.", number)
    name = row.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        what = "has no kind" if name is None else f"unknown kind {_shown(name)}"
        raise ArchitectureError(f"{what}; the kinds are {listed(KINDS)}.", number)
    kind = KINDS[name]
    specs = {parameter.name: parameter for parameter in kind.parameters}
    for key, value in row.items():
        if key != "kind" and key not in specs and (value is not None or key not in _ALL_PARAMETERS):
            takes = f"it takes {listed(specs)}" if specs else "it takes none"
            raise ArchitectureError(f"{name} has no parameter {_shown(key)}; {takes}.", number)
    full: dict[str, Any] = {"kind": name}
    for key, spec in specs.items():
        value = row.get(key)
        full[key] = spec.default if value is None else spec.checked(value, number)
    return full


def _shown(value: Any) -> str:
    # Python refuses to print integers of more than 4,300 digits
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 38 digits"
    return repr(value)[:40]
