"""Memory of a training step, estimated from the shapes of a network. Must not import torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.models.shapes import Layer
from core.task import INPUT_SHAPE

_FLOAT = 4  # bytes, fp32
_IN_PLACE = ("relu", "none")  # activations that keep no values of their own


def step_bytes(layers: Sequence[Layer], batch_size: int) -> int:
    """Bytes that the activations of one training step take.

    Counted are the values kept from the forward for the backward pass, and the largest gradient
    with respect to activations. Weights and optimizer state are left out: at most a few dozen MB.
    Measured on the shipped networks, the estimate is within a factor of two.

    Args:
        layers: a traced network.
        batch_size: images per step.
    """
    kept = math.prod(INPUT_SHAPE) * _FLOAT
    largest = 0
    for layer in layers:
        values = math.prod(layer.output_shape)
        kept += values * _bytes_per_value(layer)
        largest = max(largest, values + math.prod(layer.input_shape))
    return batch_size * (kept + largest * _FLOAT)


def _bytes_per_value(layer: Layer) -> int:
    """Bytes kept for each output value of a row."""
    row = layer.row
    size = _FLOAT
    if row.get("norm") == "batch":  # its input and its output
        size += _FLOAT
    if row.get("activation", "none") not in _IN_PLACE:
        size += _FLOAT
    if row["kind"] == "maxpool":  # an int64 index
        size += 8
    if row["kind"] == "dropout":  # a mask
        size += 1
    return size
