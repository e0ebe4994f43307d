"""How one value of a network arises: the values it sees, the weights, and every step after that.

`core.insight.forward_pass` makes these explanations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Cell(NamedTuple):
    """One value of one row's output for one image.

    Args:
        row: number of the row, from 1; 0 is the image as the network reads it.
        channel: from 0.
        y, x: from 0; 0 for an output that is no image.
    """

    row: int
    channel: int
    y: int
    x: int


@dataclass(frozen=True, eq=False)
class Patch:
    """The values of one channel that a cell is computed from.

    Args:
        row, channel: where they are, as in `Cell`.
        top, left: position of the first of them; negative where it is padding.
        values: (H, W), 0 where there is padding.
        weights: (H, W), what each is multiplied by; None: they are not multiplied.
    """

    row: int
    channel: int
    top: int
    left: int
    values: Floats
    weights: Floats | None = None

    @property
    def total(self) -> float:
        """The sum of the products, or of the values if they are not multiplied."""
        values = self.values.astype(np.float64)
        return float((values if self.weights is None else values * self.weights).sum())


@dataclass(frozen=True, slots=True)
class Norm:
    """Batch norm of one channel: (value - mean) / sqrt(variance + epsilon) * scale + shift.

    Source: Ioffe and Szegedy, arXiv:1502.03167, with the mean and variance that training averaged.
    """

    mean: float
    variance: float
    epsilon: float
    scale: float
    shift: float

    @property
    def factor(self) -> float:
        """What the four steps multiply by when they are folded: value * factor + offset."""
        return self.scale / math.sqrt(self.variance + self.epsilon)

    @property
    def offset(self) -> float:
        """What the four steps add when they are folded."""
        return self.shift - self.mean * self.factor


@dataclass(frozen=True, eq=False)
class Explanation:
    """How the value of a cell is computed.

    Args:
        cell: the cell.
        kind: of its row; "image" for a pixel.
        patches: what it is computed from; empty for a pixel.
        total: what the patches give: a sum, the largest value, or a value that is passed on. For
            a pixel, its grey value from 0 to 255.
        count: what the total is divided by; 1 unless values are averaged.
        picked: position in the only patch of the value that is kept; None: all count.
        bias: that is added; None: the row has no bias.
        norm: batch norm; None: the row has none.
        activation: name of the function that comes last; "none": there is none.
        computed: the result of all these steps.
        value: the network's own value.
    """

    cell: Cell
    kind: str
    patches: tuple[Patch, ...]
    total: float
    count: int
    picked: int | None
    bias: float | None
    norm: Norm | None
    activation: str
    computed: float
    value: float

    def to_dict(self, max_values: int = 20_000) -> dict[str, Any]:
        """The explanation as JSON values.

        Args:
            max_values: values of the patches to keep; the patches with the largest sums come first.
                "others" has the number of the patches left out, and their sum.
        """
        order = sorted(self.patches, key=lambda patch: -abs(patch.total))
        kept: list[Patch] = []
        for patch in order:
            if kept and sum(each.values.size for each in kept) + patch.values.size > max_values:
                break
            kept.append(patch)
        kept_ids = {id(patch) for patch in kept}
        norm = self.norm
        return {
            "cell": list(self.cell),
            "kind": self.kind,
            "patches": [_patch_dict(patch) for patch in self.patches if id(patch) in kept_ids],
            "others": {
                "count": len(order) - len(kept),
                "total": sum(patch.total for patch in order[len(kept) :]),
            },
            "total": self.total,
            "count": self.count,
            "picked": self.picked,
            "bias": self.bias,
            "norm": norm
            and {
                "mean": norm.mean,
                "variance": norm.variance,
                "epsilon": norm.epsilon,
                "scale": norm.scale,
                "shift": norm.shift,
                "factor": norm.factor,
                "offset": norm.offset,
            },
            "activation": self.activation,
            "value": self.value,
        }


def _patch_dict(patch: Patch) -> dict[str, Any]:
    return {
        "row": patch.row,
        "channel": patch.channel,
        "top": patch.top,
        "left": patch.left,
        "height": patch.values.shape[0],
        "width": patch.values.shape[1],
        "values": patch.values.astype(float).ravel().tolist(),
        "weights": None if patch.weights is None else patch.weights.astype(float).ravel().tolist(),
    }
