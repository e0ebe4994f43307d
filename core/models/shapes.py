"""Shapes, parameters, multiply-adds and receptive fields of layer rows, computed without torch.

Rows that do not make a network are refused here, so that a page can name the row and the reason at
once. `network` builds what passes, and the tests hold the two equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.config import MAX_ROWS
from core.errors import ArchitectureError, listed
from core.models.rows import Row, complete
from core.schema import shown
from core.task import CLASSES, INPUT_SHAPE

# Far above any network of use on MNIST, and small enough that editing a table stays fast.
MAX_PARAMETERS = 20_000_000
MAX_VALUES = 4_000_000
MAX_MULTIPLY_ADDS = 2_000_000_000

Shape = tuple[int, ...]

# What a convolution has in common with the earlier one whose weights it uses.
_SHARED_SETTINGS = ("channels", "kernel", "stride", "padding", "groups", "bias", "norm")


@dataclass(frozen=True, slots=True)
class ModuleShape:
    """One torch module that a row expands into.

    Args:
        type: name of its class in torch.nn.
        output_shape: for one image: (channels, height, width) or (values,).
        parameters: number of learned parameters; 0 for a convolution with another row's weights.
        multiply_adds: for one image; norms, pooling and activations count as 0.
    """

    type: str
    output_shape: Shape
    parameters: int = 0
    multiply_adds: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of a traced network.

    Args:
        number: the row's position, counted from 1.
        row: the row with its defaults filled in.
        input_shape, output_shape: for one image.
        receptive_field: side in pixels of the square of the image that one output value depends on;
            padding counts, so it can exceed the image.
        jump: distance in pixels of the image between neighbouring output values.
        modules: what the row expands into; empty for `add`.
        shares: number of the earlier row whose convolution this row uses; 0: of none.
    """

    number: int
    row: dict[str, Any]
    input_shape: Shape
    output_shape: Shape
    receptive_field: int
    jump: int
    modules: tuple[ModuleShape, ...]
    shares: int = 0

    @property
    def parameters(self) -> int:
        """Number of learned parameters."""
        return sum(module.parameters for module in self.modules)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(module.multiply_adds for module in self.modules)


def trace(rows: Sequence[Row], input_shape: Shape = INPUT_SHAPE) -> list[Layer]:
    """Trace a whole network.

    Args:
        rows: layer rows; values may be left out.
        input_shape: (channels, height, width).

    Raises:
        ArchitectureError: there are no rows, a row is wrong or does not fit, or the network does
            not end in 10 outputs; names the row.
    """
    layers = list(iter_layers(rows, input_shape))
    last = layers[-1]
    if last.output_shape not in ((CLASSES,), (CLASSES, 1, 1)):
        raise ArchitectureError(
            f"the network ends in {_describe(last.output_shape)}, but it must end in "
            f"{CLASSES} values, one for each class.",
            last.number,
        )
    return layers


def iter_layers(rows: Sequence[Row], input_shape: Shape = INPUT_SHAPE) -> Iterator[Layer]:
    """Trace rows one by one, as far as they fit, without checking the network's final output.

    Args:
        rows: layer rows; values may be left out.
        input_shape: (channels, height, width).

    Raises:
        ArchitectureError: no rows, too many rows, or the next row is wrong or does not fit.
    """
    if not isinstance(rows, list | tuple):
        raise ArchitectureError(f"a network must be a list of rows, not {shown(rows)}.")
    if not rows:
        raise ArchitectureError("a network needs at least one row.")
    if len(rows) > MAX_ROWS:
        raise ArchitectureError(
            f"the network has {len(rows)} rows; at most {MAX_ROWS} are allowed."
        )
    layers: list[Layer] = []
    parameters = values = multiply_adds = 0
    for number, row in enumerate(rows, 1):
        layer = _trace_row(number, complete(row, number), layers, input_shape)
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
                    f"up to here the network has {total:,} {word}; at most {limit:,} are allowed.",
                    number,
                )
        layers.append(layer)
        yield layer


def count_parameters(layers: Sequence[Layer]) -> int:
    """Number of learned parameters of a network."""
    return sum(layer.parameters for layer in layers)


def min_batch_size(layers: Sequence[Layer]) -> int:
    """Fewest images in a training step: 2 if a batch norm has one value per channel, else 1."""
    single_value = any(
        module.type == "BatchNorm2d" and module.output_shape[1:] == (1, 1)
        for layer in layers
        for module in layer.modules
    )
    return 2 if single_value else 1


def _trace_row(number: int, row: dict[str, Any], before: list[Layer], input_shape: Shape) -> Layer:
    shape = before[-1].output_shape if before else input_shape
    field, jump = (before[-1].receptive_field, before[-1].jump) if before else (1, 1)
    if row["kind"] == "add":
        _check_source(number, row["from"], before)
        # The row above has at least the receptive field of the added one.
        return Layer(number, row, shape, shape, field, jump, ())
    modules, window, stride = _EXPAND[row["kind"]](number, row, shape)
    shares = 0
    if row.get("shared"):
        shares = _find_shared(number, row, shape, before)
        modules = (replace(modules[0], parameters=0), *modules[1:])
    return Layer(
        number,
        row,
        shape,
        modules[-1].output_shape,
        field + (window - 1) * jump,
        jump * stride,
        modules,
        shares,
    )


def _find_shared(number: int, row: dict[str, Any], shape: Shape, before: list[Layer]) -> int:
    """Number of the row that owns the weights which a row shares."""
    for layer in reversed(before):
        if (
            layer.row["kind"] == "conv"
            and layer.input_shape[0] == shape[0]
            and all(layer.row[name] == row[name] for name in _SHARED_SETTINGS)
        ):
            return layer.shares or layer.number
    raise ArchitectureError(
        f"it shares an earlier convolution's weights, but no earlier one has {shape[0]} input "
        f"channels and the same {listed(_SHARED_SETTINGS, 'and')}.",
        number,
    )


# A row's modules, the side of its window and its stride.
Expansion = tuple[tuple[ModuleShape, ...], int, int]


def _conv(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    channels, height, width = _image_shape(number, row, shape)
    out, kernel, groups = row["channels"], row["kernel"], row["groups"]
    for word, count in (("input", channels), ("output", out)):
        if count % groups:
            raise ArchitectureError(
                f"the {count} {word} channels cannot be divided into {groups} groups.", number
            )
    size = _output_size(number, row, (height, width), row["padding"])
    weights = out * (channels // groups) * kernel * kernel
    modules = [
        ModuleShape("Conv2d", (out, *size), weights + out * row["bias"], weights * math.prod(size))
    ]
    if row["norm"] == "batch":
        modules.append(ModuleShape("BatchNorm2d", (out, *size), 2 * out))
    return tuple(modules), kernel, row["stride"]


def _pool(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    channels, height, width = _image_shape(number, row, shape)
    size = _output_size(number, row, (height, width), 0)
    name = "MaxPool2d" if row["kind"] == "maxpool" else "AvgPool2d"
    return (ModuleShape(name, (channels, *size)),), row["kernel"], row["stride"]


def _global_avgpool(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    channels, height, width = _image_shape(number, row, shape)
    side = max(height, width)
    return (ModuleShape("AdaptiveAvgPool2d", (channels, 1, 1)),), side, side


def _dropout(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    return (ModuleShape("Dropout", shape),), 1, 1


def _space_to_depth(number: int, row: dict[str, Any], shape: Shape) -> Expansion:
    channels, height, width = _image_shape(number, row, shape)
    block = row["block"]
    if height % block or width % block:
        raise ArchitectureError(
            f"an input of {height}x{width} cannot be divided into blocks of {block}x{block}.",
            number,
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
            f"it adds row {source}, but only earlier rows can be added.", number
        )
    mine, theirs = before[-1].output_shape, before[source - 1].output_shape
    if mine != theirs:
        raise ArchitectureError(
            f"it adds the output of row {source}, {_describe(theirs)}, to {_describe(mine)}; "
            "the shapes must be equal.",
            number,
        )


def _image_shape(number: int, row: dict[str, Any], shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ArchitectureError(
            f"{row['kind']} needs an image as its input, not {_describe(shape)}; "
            "move it before the first linear row.",
            number,
        )
    channels, height, width = shape
    return channels, height, width


def _output_size(
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


def _describe(shape: Shape) -> str:
    if len(shape) == 1:
        return f"{shape[0]} values"
    return f"{shape[0]} {'channel' if shape[0] == 1 else 'channels'} of {shape[1]}x{shape[2]}"
