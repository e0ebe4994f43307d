"""The named architectures, each a list of layer rows. Must not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from core.config import RunConfig
from core.errors import ConfigError, listed
from core.models.rows import Row, complete


@dataclass(frozen=True, slots=True)
class Architecture:
    """A named network: its title, a line of help, and its rows."""

    title: str
    help: str
    rows: tuple[Row, ...]


def _conv(channels: int, kernel: int = 3, **more: Any) -> Row:
    return {"kind": "conv", "channels": channels, "kernel": kernel, **more}


def _conv_bn(channels: int, **more: Any) -> Row:
    """A 3x3 convolution that keeps the size, with batch norm and so without a bias."""
    return _conv(channels, **{"padding": 1, "bias": False, "norm": "batch", **more})


def _original_blocks(bias: bool) -> tuple[Row, ...]:
    four, eight = (_conv_bn(channels, bias=bias) for channels in (4, 8))
    return (
        four,
        four,
        four,
        _POOL,
        _DROPOUT,
        eight,
        eight,
        eight,
        _POOL,
        _DROPOUT,
        eight,
        eight,
        eight,
        _AVERAGE,
        _CLASS_CONV,
    )


def _separable(inputs: int, outputs: int, **more: Any) -> tuple[Row, Row]:
    """A depthwise 3x3 and a pointwise 1x1 convolution, with one batch norm after both."""
    return (
        _conv_bn(inputs, groups=inputs, **{**more, "norm": "none", "activation": "none"}),
        _conv_bn(outputs, kernel=1, padding=0, **more),
    )


def separable_network(stem: int, early: tuple[int, ...], late: tuple[int, ...]) -> tuple[Row, ...]:
    """A network of separable convolutions.

    Args:
        stem: channels of the full 3x3 convolution at 28x28.
        early, late: channels of the separable convolutions at 14x14 and at 7x7.
    """
    widths = (stem, *early, *late)
    pairs = [_separable(*pair) for pair in pairwise(widths)]
    first, second = (chain(*part) for part in (pairs[: len(early)], pairs[len(early) :]))
    return (_conv_bn(stem), _POOL, *first, _POOL, *second, _AVERAGE, _CLASS_CONV)


def _shared_network(channels: int) -> tuple[Row, ...]:
    """One separable convolution, applied three times at 14x14 and three times at 7x7."""
    first = _separable(channels, channels, activation="silu")
    again = _separable(channels, channels, activation="silu", shared=True)
    stem = _conv_bn(channels, activation="silu")
    return (stem, _POOL, *first, *again * 2, _POOL, *again * 3, _AVERAGE, _CLASS_CONV)


def _micro_network(channels: int) -> tuple[Row, ...]:
    """Four separable convolutions without padding, which share one depthwise convolution."""
    depthwise = _conv(channels, groups=channels, bias=False, activation="none")
    pointwise = _conv_bn(channels, kernel=1, padding=0)
    again = ({**depthwise, "shared": True}, pointwise)
    return (
        _conv_bn(channels),
        _POOL,
        depthwise,
        pointwise,
        *again * 3,
        _AVERAGE,
        _CLASS_LINEAR,
    )


_POOL: Row = {"kind": "maxpool"}
_AVERAGE: Row = {"kind": "global_avgpool"}
_DROPOUT: Row = {"kind": "dropout"}
_UNSHUFFLE: Row = {"kind": "space_to_depth"}
_CLASS_CONV: Row = _conv(10, 1, activation="none")
_CLASS_LINEAR: Row = {"kind": "linear", "channels": 10, "activation": "none"}

ARCHITECTURES: Mapping[str, Architecture] = {
    "initial": Architecture(
        "Initial",
        "The original's first network: eight plain convolutions and two pools, 16,530 parameters.",
        (
            _conv(8),
            _conv(8),
            _POOL,
            _conv(16, 1),
            _conv(16),
            _conv(16),
            _POOL,
            _conv(32, 1),
            _conv(32),
            _conv(10, 2, activation="none"),
        ),
    ),
    "original-3762": Architecture(
        "Original",
        "The original's final network: nine 3x3 convolutions with batch norm, 3,762 parameters.",
        _original_blocks(bias=True),
    ),
    "original-3702": Architecture(
        "Original without biases",
        "Equivalent to the original's final network, without the 60 biases that batch norm makes "
        "redundant: 3,702 parameters.",
        _original_blocks(bias=False),
    ),
    "unshuffle-7786": Architecture(
        "Unshuffle",
        "Moves 2x2 pixels into channels first, which makes it much faster: 7,786 parameters.",
        (
            _UNSHUFFLE,
            _conv_bn(16),
            _conv_bn(16),
            _POOL,
            _conv_bn(16),
            _conv_bn(16),
            _AVERAGE,
            _CLASS_CONV,
        ),
    ),
    "unshuffle-vote-7786": Architecture(
        "Unshuffle, averaged logits",
        "Like Unshuffle, but averages the logits of all positions: 7,786 parameters.",
        (
            _UNSHUFFLE,
            _conv_bn(16),
            _conv_bn(16),
            _POOL,
            _conv_bn(16),
            _conv_bn(16, padding=0),
            _CLASS_CONV,
            _AVERAGE,
        ),
    ),
    "residual-7850": Architecture(
        "Residual",
        "Unshuffle with two residual blocks: 7,850 parameters.",
        (
            _UNSHUFFLE,
            _conv_bn(14),
            _conv_bn(14),
            _conv_bn(14, activation="none"),
            {"kind": "add", "from": 2, "activation": "relu"},
            _POOL,
            _conv_bn(14),
            _conv_bn(14, activation="none"),
            {"kind": "add", "from": 6, "activation": "relu"},
            _AVERAGE,
            _CLASS_CONV,
        ),
    ),
    "separable-2634": Architecture(
        "Separable",
        "Unshuffle with depthwise separable convolutions: 2,634 parameters.",
        (
            _UNSHUFFLE,
            _conv_bn(16),
            *(_conv_bn(16, groups=16), _conv_bn(16, kernel=1, padding=0)) * 2,
            _POOL,
            *(_conv_bn(16, groups=16), _conv_bn(16, kernel=1, padding=0)) * 2,
            _AVERAGE,
            _CLASS_CONV,
        ),
    ),
    "tiny-2650": Architecture(
        "Tiny, shorter",
        "A 3x3 convolution of 8 channels, six separable convolutions of 16: 2,650 parameters.",
        separable_network(8, (16, 16, 16), (16, 16, 16)),
    ),
    "tiny-3514": Architecture(
        "Tiny",
        "A 3x3 convolution of 8 channels, eight separable convolutions of 16: 3,514 parameters.",
        separable_network(8, (16,) * 4, (16,) * 4),
    ),
    "micro-912": Architecture(
        "Micro",
        "Four separable convolutions of 11 channels with one depthwise convolution for all: "
        "912 parameters.",
        _micro_network(11),
    ),
    "shared-658": Architecture(
        "Shared weights",
        "One separable convolution of 12 channels, applied six times with the same weights: "
        "658 parameters.",
        _shared_network(12),
    ),
    "wide-7124": Architecture(
        "Wide",
        "Six separable convolutions of 26 and 34 channels: 7,124 parameters.",
        separable_network(12, (26, 26, 26), (34, 34, 34)),
    ),
    "deep-7846": Architecture(
        "Deep",
        "Eight separable convolutions of 24 and 29 channels: 7,846 parameters.",
        separable_network(12, (24,) * 4, (29,) * 4),
    ),
    "teacher-179018": Architecture(
        "Teacher",
        "Unshuffle with 64 and 96 channels and dropout, large but fast: 179,018 parameters.",
        (
            _UNSHUFFLE,
            _conv_bn(64),
            _conv_bn(64),
            _POOL,
            _conv_bn(96),
            _DROPOUT,
            _conv_bn(96, padding=0),
            _DROPOUT,
            _CLASS_CONV,
            _AVERAGE,
        ),
    ),
    "linear-7850": Architecture(
        "Linear",
        "One linear layer, the baseline: softmax regression with 7,850 parameters.",
        (_CLASS_LINEAR,),
    ),
    "keras-style": Architecture(
        "Keras's example",
        "The network of Keras's MNIST example: two convolutions, one linear layer, 34,826 "
        "parameters.",
        (_conv(32), _POOL, _conv(64), _POOL, {"kind": "dropout", "p": 0.5}, _CLASS_LINEAR),
    ),
    "pytorch-example": Architecture(
        "PyTorch's example",
        "The network of PyTorch's MNIST example: two convolutions and two linear layers, 1,199,882 "
        "parameters.",
        (
            _conv(32),
            _conv(64),
            _POOL,
            {"kind": "dropout", "p": 0.25},
            {"kind": "linear", "channels": 128},
            {"kind": "dropout", "p": 0.5},
            _CLASS_LINEAR,
        ),
    ),
}


def rows_of(config: RunConfig) -> tuple[dict[str, Any], ...]:
    """The layer rows of a config's network, with defaults filled in.

    Raises:
        ConfigError: unknown architecture.
        ArchitectureError: a row of the config's `layers` is wrong; whether the rows fit together is
            checked by `shapes.trace`.
    """
    if not config.layers and config.architecture not in ARCHITECTURES:
        raise ConfigError(
            f"unknown architecture {config.architecture[:40]!r}; the architectures are "
            f"{listed(ARCHITECTURES)}."
        )
    rows = config.layers or ARCHITECTURES[config.architecture].rows
    return tuple(complete(row, number) for number, row in enumerate(rows, 1))
