"""The architectures that have a name, each a list of layer rows. No torch in here."""

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
    """A named network: title and one line of help for the page, and its rows."""

    title: str
    help: str
    rows: tuple[Row, ...]


def _conv(channels: int, kernel: int = 3, **more: Any) -> Row:
    return {"kind": "conv", "channels": channels, "kernel": kernel, **more}


def _normed(channels: int, **more: Any) -> Row:
    """A 3x3 convolution that keeps the size, with batch norm and so without a bias."""
    return _conv(channels, **{"padding": 1, "bias": False, "norm": "batch", **more})


def _original_blocks(bias: bool) -> tuple[Row, ...]:
    four, eight = (_normed(channels, bias=bias) for channels in (4, 8))
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
        _CLASSES,
    )


def _separable(inputs: int, outputs: int) -> tuple[Row, Row]:
    """A 3x3 that looks at each channel by itself, and a 1x1 that mixes them; one batch norm for both."""
    return (
        _normed(inputs, groups=inputs, norm="none", activation="none"),
        _normed(outputs, kernel=1, padding=0),
    )


def stacked(stem: int, early: tuple[int, ...], late: tuple[int, ...]) -> tuple[Row, ...]:
    """Rows of a full-size 3x3, then separable convolutions of these channels at 14x14 and at 7x7."""
    widths = (stem, *early, *late)
    pairs = [_separable(*pair) for pair in pairwise(widths)]
    first, second = (chain(*part) for part in (pairs[: len(early)], pairs[len(early) :]))
    return (_normed(stem), _POOL, *first, _POOL, *second, _AVERAGE, _CLASSES)


_POOL: Row = {"kind": "maxpool"}
_AVERAGE: Row = {"kind": "global_avgpool"}
_DROPOUT: Row = {"kind": "dropout"}
_UNSHUFFLE: Row = {"kind": "space_to_depth"}
_CLASSES: Row = _conv(10, 1, activation="none")
_SCORES: Row = {"kind": "linear", "channels": 10, "activation": "none"}

ARCHITECTURES: Mapping[str, Architecture] = {
    "initial": Architecture(
        "Initial",
        "The seed's first network: ten plain convolutions, 16,530 parameters.",
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
        "Seed",
        "The seed's small network: nine 3x3 convolutions with batch norm, 3,762 parameters.",
        _original_blocks(bias=True),
    ),
    "original-3702": Architecture(
        "Seed without idle biases",
        "Computes what the seed's does, less the 60 biases that batch norm takes away.",
        _original_blocks(bias=False),
    ),
    "unshuffle-7786": Architecture(
        "Unshuffle",
        "Folds 2x2 pixels into channels first: a quarter of the area, much faster, 7,786 parameters.",
        (_UNSHUFFLE, _normed(16), _normed(16), _POOL, _normed(16), _normed(16), _AVERAGE, _CLASSES),
    ),
    "unshuffle-vote-7786": Architecture(
        "Unshuffle, votes averaged",
        "As Unshuffle, but each place votes for a digit and the votes are averaged.",
        (
            _UNSHUFFLE,
            _normed(16),
            _normed(16),
            _POOL,
            _normed(16),
            _normed(16, padding=0),
            _CLASSES,
            _AVERAGE,
        ),
    ),
    "residual-7850": Architecture(
        "Residual",
        "Convolutions that are added to what they were given, so that gradients pass by them.",
        (
            _UNSHUFFLE,
            _normed(14),
            _normed(14),
            _normed(14, activation="none"),
            {"kind": "add", "from": 2, "activation": "relu"},
            _POOL,
            _normed(14),
            _normed(14, activation="none"),
            {"kind": "add", "from": 6, "activation": "relu"},
            _AVERAGE,
            _CLASSES,
        ),
    ),
    "separable-2634": Architecture(
        "Separable",
        "Each 3x3 looks at one channel, each 1x1 mixes the channels: few parameters.",
        (
            _UNSHUFFLE,
            _normed(16),
            *(_normed(16, groups=16), _normed(16, kernel=1, padding=0)) * 2,
            _POOL,
            *(_normed(16, groups=16), _normed(16, kernel=1, padding=0)) * 2,
            _AVERAGE,
            _CLASSES,
        ),
    ),
    "tiny-2650": Architecture(
        "Tiny, shorter",
        "A full-size look of 8 channels, then six separable convolutions: 2,650 parameters.",
        stacked(8, (16, 16, 16), (16, 16, 16)),
    ),
    "tiny-3514": Architecture(
        "Tiny",
        "A full-size look of 8 channels, then eight separable convolutions of 16: 3,514 parameters.",
        stacked(8, (16,) * 4, (16,) * 4),
    ),
    "wide-7124": Architecture(
        "Wide",
        "Six separable convolutions of up to 34 channels: what 7,124 parameters can do.",
        stacked(12, (26, 26, 26), (34, 34, 34)),
    ),
    "deep-7846": Architecture(
        "Deep",
        "As Tiny, with 24 and 29 channels: what 7,846 parameters can do.",
        stacked(12, (24,) * 4, (29,) * 4),
    ),
    "teacher-179018": Architecture(
        "Teacher",
        "Folds pixels into channels, then 64 and 96 of them: large but quick to ask, 179,018 parameters.",
        (
            _UNSHUFFLE,
            _normed(64),
            _normed(64),
            _POOL,
            _normed(96),
            _DROPOUT,
            _normed(96, padding=0),
            _DROPOUT,
            _CLASSES,
            _AVERAGE,
        ),
    ),
    "linear-7850": Architecture(
        "Linear",
        "No hidden layer at all: one template for each digit. What the others have to beat.",
        (_SCORES,),
    ),
    "keras-style": Architecture(
        "Keras's example",
        "Two convolutions, two pools and one linear layer, 34,826 parameters.",
        (_conv(32), _POOL, _conv(64), _POOL, {"kind": "dropout", "p": 0.5}, _SCORES),
    ),
    "pytorch-example": Architecture(
        "PyTorch's example",
        "The network of PyTorch's own MNIST example, 1,199,882 parameters.",
        (
            _conv(32),
            _conv(64),
            _POOL,
            {"kind": "dropout", "p": 0.25},
            {"kind": "linear", "channels": 128},
            {"kind": "dropout", "p": 0.5},
            _SCORES,
        ),
    ),
}


def rows_of(config: RunConfig) -> tuple[dict[str, Any], ...]:
    """The rows of a run's network, defaults filled in: its own layers, or those of the named architecture.

    Raises:
        ConfigError: there is no architecture of that name.
        ArchitectureError: one of the config's own layers is wrong by itself (`shapes.trace` checks the whole).
    """
    if not config.layers and config.architecture not in ARCHITECTURES:
        raise ConfigError(
            f"unknown architecture {config.architecture[:40]!r}; the architectures are "
            f"{listed(ARCHITECTURES)}."
        )
    rows = config.layers or ARCHITECTURES[config.architecture].rows
    return tuple(complete(row, number) for number, row in enumerate(rows, 1))
