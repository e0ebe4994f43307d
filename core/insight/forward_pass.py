"""One image on its way through a network: the outputs of all rows, and what the rows have learned.

`ForwardPass.explain` takes one cell of them apart; `core.insight.cells` says into what. Whole maps
are in `core.insight.explanations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.insight.cells import Cell, Explanation, Floats, Norm, Patch
from core.insight.predictions import network_input
from core.insight.weights import read_weights
from core.models.shapes import Layer, trace
from core.task import MEAN, STD

if TYPE_CHECKING:
    from core.models.network import Network


@dataclass(frozen=True, eq=False)
class Parameters:
    """What a row has learned.

    Args:
        weights: (output channels, input channels of a group, H, W); for a linear row, H and W are
            those of its input.
        bias: (output channels,), or None.
        norm: mean, variance, scale and shift, (output channels,) each; None without batch norm.
        epsilon: of the norm.
    """

    weights: Floats
    bias: Floats | None
    norm: tuple[Floats, Floats, Floats, Floats] | None
    epsilon: float = 0.0


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """One image on its way through a network.

    Args:
        image: (28, 28) uint8, ink bright.
        layers: the network's rows.
        values: (C, H, W) of the image as the network reads it, then of each row's output; H and W
            are 1 for an output that is no image.
        parameters: of each row; None: it has none.
    """

    image: npt.NDArray[np.uint8]
    layers: Sequence[Layer]
    values: Sequence[Floats]
    parameters: Sequence[Parameters | None]

    @property
    def size(self) -> int:
        """Number of all values and parameters."""
        learned = [
            array
            for row in self.parameters
            if row is not None
            for array in (row.weights, row.bias, *(row.norm or ()))
            if array is not None
        ]
        return sum(array.size for array in (*self.values, *learned))

    @property
    def predicted(self) -> Cell:
        """The largest of the ten logits."""
        return Cell(len(self.layers), int(self.values[-1].argmax()), 0, 0)

    def contains(self, cell: Cell) -> bool:
        """Whether the network has this cell."""
        if not 0 <= cell.row < len(self.values):
            return False
        shape = self.values[cell.row].shape
        return all(0 <= at < size for at, size in zip(cell[1:], shape, strict=True))

    def explain(self, cell: Cell) -> Explanation:
        """Compute how the value of a cell arises.

        Raises:
            UserError: the network has no such cell.
        """
        if not self.contains(cell):
            raise UserError(
                f"the network has no value in row {cell.row}, channel {cell.channel}, "
                f"at y {cell.y} and x {cell.x}."
            )
        value = float(self.values[cell.row][cell[1:]])
        if cell.row == 0:
            grey = int(self.image[cell.y, cell.x])
            return Explanation(
                cell, "image", (), grey, 1, None, None, None, "none", _normalise(grey), value
            )
        layer = self.layers[cell.row - 1]
        kind, learned = layer.row["kind"], self.parameters[cell.row - 1]
        patches, picked = _PATCHES[kind](self, layer, cell)
        if picked is None:
            total = sum(patch.total for patch in patches)
        else:
            total = float(patches[0].values.flat[picked])
        count = patches[0].values.size if kind in ("avgpool", "global_avgpool") else 1
        computed, bias, norm = total / count, None, None
        if learned is not None:
            if learned.bias is not None:
                bias = float(learned.bias[cell.channel])
                computed += bias
            if learned.norm is not None:
                mean, variance, scale, shift = (
                    float(values[cell.channel]) for values in learned.norm
                )
                norm = Norm(mean, variance, learned.epsilon, scale, shift)
                computed = computed * norm.factor + norm.offset
        activation = layer.row.get("activation", "none")
        return Explanation(
            cell,
            kind,
            patches,
            total,
            count,
            picked,
            bias,
            norm,
            activation,
            _ACTIVATIONS[activation](computed),
            value,
        )

    def patch(
        self,
        row: int,
        channel: int,
        top: int,
        left: int,
        size: tuple[int, int],
        weights: Floats | None = None,
    ) -> Patch:
        """The values of a channel in a window, with zeros for padding."""
        values = np.zeros(size, np.float32)
        channel_values = self.values[row][channel]
        y, x = max(0, top), max(0, left)
        bottom = max(y, min(top + size[0], channel_values.shape[0]))
        right = max(x, min(left + size[1], channel_values.shape[1]))
        values[y - top : bottom - top, x - left : right - left] = channel_values[y:bottom, x:right]
        return Patch(row, channel, top, left, values, weights)


def run_forward(model: Network, image: npt.NDArray[np.uint8]) -> ForwardPass:
    """Compute the outputs of all rows of a network for an image.

    Args:
        model: the network, in eval mode.
        image: (28, 28) uint8, ink bright.

    Raises:
        UserError: a value is not finite, as after training that diverged.
    """
    import torch

    with torch.inference_mode():
        pixels = network_input(model, image[None])
        outputs = [pixels, *model.features(pixels)]
    values = []
    for number, output in enumerate(outputs):
        channels = output[0].float().cpu().numpy()
        channels = channels.reshape(len(channels), *(channels.shape[1:] or (1, 1)))
        if not np.isfinite(channels).all():
            raise UserError(
                f"the outputs of this network's row {number} are not finite: its training diverged."
            )
        values.append(channels)
    return ForwardPass(image, trace(model.rows), values, read_parameters(model))


def read_parameters(model: Network) -> list[Parameters | None]:
    """Return what each row of a network has learned; None for rows without parameters."""
    norms = {number: norm for number, _, norm in model.weighted_rows()}
    parameters: list[Parameters | None] = [None] * len(model.rows)
    for row in read_weights(model):
        numbers, norm = row.channel_numbers, norms[row.number]
        statistics = None
        if norm is not None:
            statistics = (numbers["mean"], numbers["variance"], numbers["scale"], numbers["shift"])
        parameters[row.number - 1] = Parameters(
            row.kernels, numbers.get("bias"), statistics, 0.0 if norm is None else norm.eps
        )
    return parameters


_Patches = tuple[tuple[Patch, ...], int | None]


def _weighted(forward: ForwardPass, layer: Layer, cell: Cell) -> _Patches:
    learned = forward.parameters[layer.number - 1]
    assert learned is not None  # convolutions and linear rows have weights
    row, weights = layer.row, learned.weights[cell.channel]  # (I, H, W)
    stride, padding = row.get("stride", 1), row.get("padding", 0)
    top, left = cell.y * stride - padding, cell.x * stride - padding
    group = cell.channel * row.get("groups", 1) // len(learned.weights)
    first = group * len(weights)
    return tuple(
        forward.patch(layer.number - 1, first + at, top, left, kernel.shape, kernel)
        for at, kernel in enumerate(weights)
    ), None


def _window(forward: ForwardPass, layer: Layer, cell: Cell) -> Patch:
    kernel, stride = layer.row["kernel"], layer.row["stride"]
    top, left = cell.y * stride, cell.x * stride
    return forward.patch(layer.number - 1, cell.channel, top, left, (kernel, kernel))


def _maximum(forward: ForwardPass, layer: Layer, cell: Cell) -> _Patches:
    patch = _window(forward, layer, cell)
    return (patch,), int(patch.values.argmax())


def _mean(forward: ForwardPass, layer: Layer, cell: Cell) -> _Patches:
    return (_window(forward, layer, cell),), None


def _global_mean(forward: ForwardPass, layer: Layer, cell: Cell) -> _Patches:
    height, width = layer.input_shape[1:]
    return (forward.patch(layer.number - 1, cell.channel, 0, 0, (height, width)),), None


def _unchanged(forward: ForwardPass, layer: Layer, cell: Cell) -> _Patches:
    return (forward.patch(layer.number - 1, cell.channel, cell.y, cell.x, (1, 1)),), None


def _moved(forward: ForwardPass, layer: Layer, cell: Cell) -> _Patches:
    block = layer.row["block"]
    channel, picked = divmod(cell.channel, block * block)
    top, left = cell.y * block, cell.x * block
    return (forward.patch(layer.number - 1, channel, top, left, (block, block)),), picked


def _sum(forward: ForwardPass, layer: Layer, cell: Cell) -> _Patches:
    return tuple(
        forward.patch(number, cell.channel, cell.y, cell.x, (1, 1))
        for number in (layer.number - 1, layer.row["from"])
    ), None


_PATCHES: Mapping[str, Callable[[ForwardPass, Layer, Cell], _Patches]] = {
    "conv": _weighted,
    "linear": _weighted,
    "maxpool": _maximum,
    "avgpool": _mean,
    "global_avgpool": _global_mean,
    "dropout": _unchanged,
    "space_to_depth": _moved,
    "add": _sum,
}

_ACTIVATIONS: Mapping[str, Callable[[float], float]] = {
    "none": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "silu": lambda x: x / (1 + math.exp(-max(x, -500.0))),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
}


def _normalise(grey: float) -> float:
    """The value that a network reads for a grey value from 0 to 255."""
    return (grey / 255 - MEAN) / STD
