"""What rows become, worked out without torch: shapes, parameters, multiply-adds and receptive fields.

This is where a list of rows is refused, so a page can say at once what is wrong and which row it is; `network`
builds what passed here, and the tests hold the two equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import MAX_ROWS
from core.errors import ArchitectureError
from core.models.rows import Row, complete
from core.task import CLASSES, INPUT_SHAPE

# Far above any network that is of use on MNIST, and small enough that nothing explodes while a table is edited.
MAX_PARAMETERS = 20_000_000
MAX_VALUES = 4_000_000
MAX_MULTIPLY_ADDS = 2_000_000_000

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModuleShape:
    """One torch module that a row expands into.

    Args:
        type: its class's name in torch.nn.
        output_shape: of one image, without the batch: (channels, height, width) or (values,).
        parameters: learned numbers.
        multiply_adds: for one image; norms, pools and activations count as 0.
    """

    type: str
    output_shape: Shape
    parameters: int = 0
    multiply_adds: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of a network, worked out.

    Args:
        number: the row's place, counted from 1.
        row: the row with its defaults filled in.
        input_shape, output_shape: of one image, without the batch.
        receptive_field: side in pixels of the square of the image that one output value depends on. In theory:
            paddings count, so it can be larger than the image.
        jump: pixels of the image between two neighbouring output values.
        modules: what the row expands into; none for `add`, which is a plain sum.
    """

    number: int
    row: dict[str, Any]
    input_shape: Shape
    output_shape: Shape
    receptive_field: int
    jump: int
    modules: tuple[ModuleShape, ...]

    @property
    def parameters(self) -> int:
        """Learned numbers in the row."""
        return sum(module.parameters for module in self.modules)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the row for one image."""
        return sum(module.multiply_adds for module in self.modules)


def trace(rows: Sequence[Row], input_shape: Shape = INPUT_SHAPE) -> list[Layer]:
    """Follow one image through the rows.

    Args:
        rows: layer rows; defaults needn't be filled in.
        input_shape: (channels, height, width).

    Raises:
        ArchitectureError: the first row that is wrong or doesn't fit, by its number; no rows; or no 10 outputs.
    """
    layers = list(follow(rows, input_shape))
    last = layers[-1]
    if last.output_shape not in ((CLASSES,), (CLASSES, 1, 1)):
        raise ArchitectureError(
            f"the last row gives {_words(last.output_shape)}, but a network must end in "
            f"{CLASSES} outputs, one for each digit.",
            last.number,
        )
    return layers


def follow(rows: Sequence[Row], input_shape: Shape = INPUT_SHAPE) -> Iterator[Layer]:
    """The rows worked out one after the other, as far as they fit; what comes out at the end isn't looked at.

    Args:
        rows: layer rows; defaults needn't be filled in.
        input_shape: (channels, height, width).

    Raises:
        ArchitectureError: no rows, too many, or the next one is wrong or doesn't fit.
    """
    if not isinstance(rows, list | tuple):
        raise ArchitectureError(f"a network is a list of rows, not {type(rows).__name__}.")
    if not rows:
        raise ArchitectureError("a network needs at least one row.")
    if len(rows) > MAX_ROWS:
        raise ArchitectureError(f"{len(rows)} rows are too many; at most {MAX_ROWS} are allowed.")
    layers: list[Layer] = []
    parameters = values = multiply_adds = 0
    for number, row in enumerate(rows, 1):
        layer = _followed(number, complete(row, number), layers, input_shape)
        parameters += layer.parameters
        multiply_adds += layer.multiply_adds
        values += math.prod(layer.output_shape)
        for total, limit, word in (
            (parameters, MAX_PARAMETERS, "parameters"),
            (values, MAX_VALUES, "values for one image"),
            (multiply_adds, MAX_MULTIPLY_ADDS, "multiply-adds for one image"),
        ):
            if total > limit:
                raise ArchitectureError(
                    f"the network reaches {total:,} {word} here; at most {limit:,} are allowed.",
                    number,
                )
        layers.append(layer)
        yield layer


def total_parameters(layers: Sequence[Layer]) -> int:
    """Learned numbers of a whole network."""
    return sum(layer.parameters for layer in layers)


def smallest_batch(layers: Sequence[Layer]) -> int:
    """The fewest images that a training step can take: 2 where a batch norm sees one value per image, else 1."""
    lonely = any(
        module.type == "BatchNorm2d" and module.output_shape[1:] == (1, 1)
        for layer in layers
        for module in layer.modules
    )
    return 2 if lonely else 1


def _followed(number: int, row: dict[str, Any], before: list[Layer], input_shape: Shape) -> Layer:
    shape = before[-1].output_shape if before else input_shape
    field, jump = (before[-1].receptive_field, before[-1].jump) if before else (1, 1)
    if row["kind"] == "add":
        _check_source(number, row["from"], before)
        return Layer(
            number, row, shape, shape, field, jump, ()
        )  # the row above sees at least what the added one does
    modules, window, stride = _EXPAND[row["kind"]](number, row, shape)
    return Layer(
        number,
        row,
        shape,
        modules[-1].output_shape,
        field + (window - 1) * jump,
        jump * stride,
        modules,
    )


# Each of these gives the row's modules, the side of the window it looks through and its stride.
Expansion = tuple[tuple[ModuleShape, ...], int, int]


def _conv(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    channels, height, width = _image(number, row, shape)
    out, kernel, groups = row["channels"], row["kernel"], row["groups"]
    for word, count in (("the input's", channels), ("its own", out)):
        if count % groups:
            raise ArchitectureError(
                f"{groups} groups do not divide {word} {count} channels.", number
            )
    size = _windows(number, row, (height, width), row["padding"])
    weights = out * (channels // groups) * kernel * kernel
    modules = [
        ModuleShape("Conv2d", (out, *size), weights + out * row["bias"], weights * math.prod(size))
    ]
    if row["norm"] == "batch":
        modules.append(ModuleShape("BatchNorm2d", (out, *size), 2 * out))
    return tuple(modules), kernel, row["stride"]


def _pool(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    channels, height, width = _image(number, row, shape)
    size = _windows(number, row, (height, width), 0)
    name = "MaxPool2d" if row["kind"] == "maxpool" else "AvgPool2d"
    return (ModuleShape(name, (channels, *size)),), row["kernel"], row["stride"]


def _global_avgpool(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    channels, height, width = _image(number, row, shape)
    side = max(height, width)
    return (ModuleShape("AdaptiveAvgPool2d", (channels, 1, 1)),), side, side


def _dropout(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    return (ModuleShape("Dropout", shape),), 1, 1


def _space_to_depth(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    channels, height, width = _image(number, row, shape)
    block = row["block"]
    if height % block or width % block:
        raise ArchitectureError(
            f"blocks of {block}x{block} do not divide an input of {height}x{width}.", number
        )
    return (
        (
            ModuleShape(
                "PixelUnshuffle", (channels * block * block, height // block, width // block)
            ),
        ),
        block,
        block,
    )


def _linear(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    inputs, out = math.prod(shape), row["channels"]
    side = max(shape[1:], default=1)
    return (
        (ModuleShape("Linear", (out,), inputs * out + out * row["bias"], inputs * out),),
        side,
        side,
    )


_EXPAND: dict[str, Callable[[int, dict[str, Any], Shape], Expansion]] = {
    "conv": _conv,
    "maxpool": _pool,
    "avgpool": _pool,
    "global_avgpool": _global_avgpool,
    "dropout": _dropout,
    "space_to_depth": _space_to_depth,
    "linear": _linear,
}


def _check_source(number: int, source: int, before: list[Layer]) -> None:
    if source >= number:
        raise ArchitectureError(
            f"it adds row {source}, but only rows above it can be added.", number
        )
    mine, theirs = before[-1].output_shape, before[source - 1].output_shape
    if mine != theirs:
        raise ArchitectureError(
            f"it adds row {source}, which gives {_words(theirs)}, to {_words(mine)}; "
            "the two must be alike.",
            number,
        )


def _image(number: int, row: dict[str, Any], shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ArchitectureError(
            f"{row['kind']} needs an image, but what comes in is {_words(shape)}; "
            "put it before the first linear row.",
            number,
        )
    channels, height, width = shape
    return channels, height, width


def _windows(
    number: int, row: dict[str, Any], size: tuple[int, int], padding: int
) -> tuple[int, int]:
    kernel, stride = row["kernel"], row["stride"]
    height, width = (side + 2 * padding for side in size)
    if kernel > min(height, width):
        padded = " with its padding" if padding else ""
        raise ArchitectureError(
            f"a kernel of {kernel}x{kernel} is larger than its input of {height}x{width}{padded}.",
            number,
        )
    return (height - kernel) // stride + 1, (width - kernel) // stride + 1


def _words(shape: Shape) -> str:
    if len(shape) == 1:
        return f"{shape[0]} values in a line"
    return f"{shape[0]} {'channel' if shape[0] == 1 else 'channels'} of {shape[1]}x{shape[2]}"
