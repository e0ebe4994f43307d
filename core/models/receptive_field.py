"""Receptive fields with their position: the square of the image that an output value depends on.

Must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.models.shapes import Layer
from core.task import INPUT_SHAPE


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The square of the image that one output value depends on.

    Args:
        left, top: first column and row, in pixels; negative where the square reaches into padding.
        side: in pixels.
    """

    left: int
    top: int
    side: int

    @property
    def exceeds_image(self) -> bool:
        """Whether the square reaches beyond the image."""
        return (
            min(self.left, self.top) < 0
            or self.left + self.side > INPUT_SHAPE[2]
            or self.top + self.side > INPUT_SHAPE[1]
        )


def receptive_fields(layers: Sequence[Layer], number: int) -> list[list[ReceptiveField]]:
    """The receptive field of every output position of a row.

    Args:
        layers: a network as `shapes.trace` or `shapes.iter_layers` gives it.
        number: of the row, counted from 1.

    Returns:
        One list for each row of positions, top to bottom, left to right; a single one if the output
        is no image.
    """
    start = 0  # first column of the first position's field
    jump = 1
    for layer in layers[:number]:
        start -= layer.row.get("padding", 0) * jump
        jump = layer.jump
    last = layers[number - 1]
    height, width = last.output_shape[1:] if len(last.output_shape) == 3 else (1, 1)
    return [
        [
            ReceptiveField(start + column * jump, start + row * jump, last.receptive_field)
            for column in range(width)
        ]
        for row in range(height)
    ]


def central_receptive_field(layers: Sequence[Layer], number: int) -> ReceptiveField:
    """The receptive field of the position in the middle of a row's output."""
    fields = receptive_fields(layers, number)
    return fields[len(fields) // 2][len(fields[0]) // 2]
