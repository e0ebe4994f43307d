"""Layer rows: which kinds there are, which values each takes, and the check of one row.

A network is a list of rows, each a mapping of JSON values such as
{"kind": "conv", "channels": 8, "kernel": 3}; values left out take their defaults. Whether rows fit
together is checked in `shapes`; what they compute stands in `network`. Must not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import ArchitectureError
from core.schema import Field, Kind, check_row, raising

Row = Mapping[str, Any]

ACTIVATIONS = ("relu", "none", "silu", "gelu")
NORMS = ("none", "batch")


def _count(name: str, default: int, help: str, low: int, high: int) -> Field:
    return Field(name, int, default, help, low, high)


def _activation(default: str, where: str) -> Field:
    return Field("activation", str, default, f"Activation function {where}.", choices=ACTIVATIONS)


_BIAS = Field("bias", bool, True, "Learn a bias for each channel. Batch norm makes it redundant.")


def _pool(verb: str) -> tuple[Field, ...]:
    return (
        _count("kernel", 2, f"Side of the square window that is {verb}, in pixels.", 1, 28),
        _count("stride", 2, "Pixels from one window to the next.", 1, 28),
    )


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "conv",
            "Convolution",
            "Slides a window over the image and computes weighted sums of what is in it.",
            (
                _count("channels", 8, "Number of output channels.", 1, 1024),
                _count("kernel", 3, "Side of the square window, in pixels.", 1, 28),
                _count("stride", 1, "Pixels from one window to the next.", 1, 28),
                _count(
                    "padding",
                    0,
                    "Pixels of zeros around the image; 1 keeps the size with a 3x3 kernel.",
                    0,
                    14,
                ),
                _count(
                    "groups",
                    1,
                    "Groups of channels that are convolved separately. As many groups as input "
                    "channels make a depthwise convolution.",
                    1,
                    1024,
                ),
                _BIAS,
                Field(
                    "norm",
                    str,
                    "none",
                    "Normalisation after the convolution. Batch norm gives each channel mean 0 "
                    "and variance 1, then scales and shifts it.",
                    choices=NORMS,
                ),
                _activation("relu", "after the convolution and its norm"),
                Field(
                    "shared",
                    bool,
                    False,
                    "Use the weights of the nearest earlier convolution with the same settings, "
                    "instead of weights of its own. Its batch norm is not shared.",
                ),
            ),
        ),
        Kind("maxpool", "Max pooling", "Keeps the maximum of each window.", _pool("searched")),
        Kind("avgpool", "Average pooling", "Keeps the mean of each window.", _pool("averaged")),
        Kind(
            "global_avgpool",
            "Global average pooling",
            "Replaces each channel by the mean of its values.",
        ),
        Kind(
            "dropout",
            "Dropout",
            "Sets random values to zero during training.",
            (
                Field(
                    "p",
                    float,
                    None,
                    "Probability that a value is set to zero. Empty: the run's dropout setting.",
                    0,
                    0.9,
                ),
            ),
        ),
        Kind(
            "space_to_depth",
            "Space to depth",
            "Moves each block of pixels into the channels (pixel unshuffle): a smaller image "
            "without loss of information.",
            (_count("block", 2, "Side of the block, in pixels.", 2, 14),),
        ),
        Kind(
            "add",
            "Add",
            "Adds the output of an earlier row (a residual connection).",
            (
                _count("from", 1, "Number of the row whose output is added.", 1, 200),
                _activation("none", "after the sum"),
            ),
        ),
        Kind(
            "linear",
            "Linear",
            "Flattens its input and computes weighted sums of all values.",
            (
                _count("channels", 10, "Number of output values.", 1, 4096),
                _BIAS,
                _activation("relu", "after the layer"),
            ),
        ),
    )
}
_ALL_NAMES = {parameter.name for kind in KINDS.values() for parameter in kind.parameters}


def complete(row: Any, number: int | None = None) -> dict[str, Any]:
    """The row with its values checked and defaults for those left out.

    None counts as left out, also for a parameter that the kind does not take: a table editor has
    one column for each parameter of any kind.

    Args:
        row: a mapping of JSON values with a "kind".
        number: the row's position, counted from 1, for the error.

    Raises:
        ArchitectureError: no mapping, no or unknown kind, unknown parameter, or a wrong value.
    """
    if isinstance(row, Mapping):
        row = {
            name: value
            for name, value in row.items()
            if value is not None or name not in _ALL_NAMES
        }
    with raising(lambda message: ArchitectureError(message, number)):
        return check_row(row, KINDS)
