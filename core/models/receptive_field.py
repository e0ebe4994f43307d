"""Receptive fields with their place: which square of the image an output value of a row depends on. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.models.shapes import Layer
from core.task import INPUT_SHAPE


@dataclass(frozen=True, slots=True)
class Field:
    """What one output value sees.

    Args:
        left, top: first column and row of the square, in pixels of the image; negative where padding begins.
        side: of the square, in pixels.
    """

    left: int
    top: int
    side: int

    @property
    def exceeds(self) -> bool:
        """Whether the square reaches beyond the image."""
        return (
            min(self.left, self.top) < 0
            or self.left + self.side > INPUT_SHAPE[2]
            or self.top + self.side > INPUT_SHAPE[1]
        )


def places(layers: Sequence[Layer], number: int) -> list[list[Field]]:
    """The fields of all output positions of a row: top to bottom, each left to right; one for rows without an image.

    Args:
        layers: a network as `shapes.trace` or `follow` works it out.
        number: of the row, counted from 1.
    """
    start = 0  # of the first output's field, in pixels from the image's edge
    jump = 1
    for layer in layers[:number]:
        start -= layer.row.get("padding", 0) * jump
        jump = layer.jump
    last = layers[number - 1]
    height, width = last.output_shape[1:] if len(last.output_shape) == 3 else (1, 1)
    return [
        [
            Field(start + across * jump, start + down * jump, last.receptive_field)
            for across in range(width)
        ]
        for down in range(height)
    ]


def central(layers: Sequence[Layer], number: int) -> Field:
    """The field of the output in the middle of a row."""
    fields = places(layers, number)
    return fields[len(fields) // 2][len(fields[0]) // 2]
