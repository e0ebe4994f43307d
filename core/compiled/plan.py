"""Plan: what a network computes, as operations on arrays, from its traced layer rows.

Must not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.models.shapes import Layer

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of a network that computes something.

    Args:
        number: of the row, from 1.
        kind: as of the row, except that a linear row is a convolution of one pixel.
        source: number of the operation whose output it reads; 0: the images.
        added: number of the operation whose output is added to the source's, for "add".
        input_shape, output_shape: (channels, height, width) for one image.
        kernel, stride, padding, groups, block: as of the row; 1 or 0 where it has none.
        dropout: probability of a dropout row.
        activation: its name in the kernels; of what the row computes before it.
        weight, bias, norm: position in the network's state_dict of the convolution's weight and
            bias, and of the norm's first tensor; None: the row has none.
        shared: whether an earlier operation has the same weight and bias.
    """

    number: int
    kind: str
    source: int
    input_shape: Shape
    output_shape: Shape
    added: int = 0
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    block: int = 1
    dropout: float = 0.0
    activation: str = "NONE"
    weight: int | None = None
    bias: int | None = None
    norm: int | None = None
    shared: bool = False

    @property
    def weights(self) -> int:
        """Number of weights of the convolution."""
        inputs, outputs = self.input_shape[0], self.output_shape[0]
        return outputs * (inputs // self.groups) * self.kernel**2

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the convolution for one image."""
        return self.weights * math.prod(self.output_shape[1:])


def plan_operations(layers: Sequence[Layer], dropout: float) -> tuple[Operation, ...]:
    """Return the operations of a network, in order; the last one's output are the logits.

    Args:
        layers: traced rows.
        dropout: probability of dropout rows without a probability of their own.
    """
    operations: list[Operation] = []
    latest = {0: 0}  # row -> the operation whose output is the row's
    places: dict[int, dict[str, int]] = {}  # row -> positions of its weight and bias
    tensor = 0  # position in the state_dict
    for layer in layers:
        row, number = layer.row, layer.number
        latest[number] = number
        source, kind = latest[number - 1], row["kind"]
        input_shape, output_shape = _as_image(layer.input_shape), _as_image(layer.output_shape)
        options: dict[str, Any] = {}
        if kind == "dropout":
            probability = dropout if row["p"] is None else row["p"]
            if probability == 0:
                latest[number] = source
                continue
            options["dropout"] = float(probability)
        elif kind in ("conv", "linear"):
            if kind == "conv":
                options = {name: row[name] for name in ("kernel", "stride", "padding", "groups")}
            if kind == "linear":
                kind, input_shape = "conv", (math.prod(input_shape), 1, 1)
            if layer.shares:
                options |= {"shared": True, **places[layer.shares]}
            else:
                names = ("weight", "bias") if row["bias"] else ("weight",)
                places[number] = {name: tensor + at for at, name in enumerate(names)}
                options |= places[number]
                tensor += len(names)
            if row.get("norm") == "batch":
                options["norm"], tensor = tensor, tensor + 5
        elif kind in ("maxpool", "avgpool"):
            options = {"kernel": row["kernel"], "stride": row["stride"]}
        elif kind == "space_to_depth":
            options = {"block": row["block"]}
        elif kind == "add":
            options = {"added": latest[row["from"]]}
        operations.append(
            Operation(
                number,
                kind,
                source,
                input_shape,
                output_shape,
                activation=row.get("activation", "none").upper(),
                **options,
            )
        )
    return tuple(operations)


def _as_image(shape: tuple[int, ...]) -> Shape:
    return (shape[0], *(shape[1:] or (1, 1)))  # type: ignore[return-value]


def parameters_of(operations: Sequence[Operation]) -> list[tuple[int, int]]:
    """Return each parameter's position in the state_dict and its size, in torch's order."""
    parameters = []
    for op in operations:
        outputs = op.output_shape[0]
        if op.weight is not None and not op.shared:
            parameters.append((op.weight, op.weights))
        if op.bias is not None and not op.shared:
            parameters.append((op.bias, outputs))
        if op.norm is not None:
            parameters += [(op.norm, outputs), (op.norm + 1, outputs)]
    return parameters
