"""The summary of a network: torchsummary's table, and what that leaves out.

`summarise` works from the rows alone, without torch, so that a page can follow an edit at once; its text is equal
to torchsummary's. `table` asks torchsummary itself, about a real module.
"""

from __future__ import annotations

import contextlib
import copy
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.models.rows import Row
from core.models.shapes import Layer, Shape, total_parameters, trace
from core.task import INPUT_SHAPE, PARAMETER_BUDGET

if TYPE_CHECKING:
    from torch import nn

_LOCK = threading.Lock()
_MB = 1024**2


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One row of torchsummary's table, with what it doesn't tell.

    Args:
        number: its place in the table, counted from 1.
        type: the module's class.
        output_shape: of one image, without the batch.
        params: learned numbers.
        multiply_adds: for one image.
        receptive_field: side in pixels of what one output value depends on, in theory.
        layer: number of the layer row that it comes from.
    """

    number: int
    type: str
    output_shape: Shape
    params: int
    multiply_adds: int
    receptive_field: int
    layer: int

    @property
    def name(self) -> str:
        """The name as torchsummary writes it: `Conv2d-1`."""
        return f"{self.type}-{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON values; the shape with torchsummary's -1 for the batch."""
        return {
            "name": self.name,
            "type": self.type,
            "output_shape": [-1, *self.output_shape],
            "params": self.params,
            "multiply_adds": self.multiply_adds,
            "receptive_field": self.receptive_field,
            "layer": self.layer,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """A whole network in figures.

    Args:
        layers: the rows of torchsummary's table.
        rows: the layer rows, worked out.
        total_params: learned numbers.
        multiply_adds: for one image.
        receptive_field: of one output, in theory: it can be larger than the image.
        budget: the parameters allowed.
        left: what the budget leaves; negative when it is overdrawn.
    """

    layers: tuple[SummaryRow, ...]
    rows: tuple[Layer, ...]
    total_params: int
    multiply_adds: int
    receptive_field: int
    budget: int
    left: int

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return {
            "total_params": self.total_params,
            "layers": [row.to_dict() for row in self.layers],
            "multiply_adds": self.multiply_adds,
            "receptive_field": self.receptive_field,
            "budget": self.budget,
            "left": self.left,
        }

    def text(self) -> str:
        """The table in torchsummary's form, equal to what `table` gives for the built network."""
        # torchsummary's own arithmetic: 4 bytes a number, outputs twice for their gradients
        sizes = (
            math.prod(INPUT_SHAPE) * 4 / _MB,
            2 * sum(math.prod(row.output_shape) for row in self.layers) * 4 / _MB,
            self.total_params * 4 / _MB,
        )
        rule = "-" * 64
        lines = [
            rule,
            _line("Layer (type)", "Output Shape", "Param #"),
            "=" * 64,
            *(
                _line(row.name, str([-1, *row.output_shape]), f"{row.params:,}")
                for row in self.layers
            ),
            "=" * 64,
            f"Total params: {self.total_params:,}",
            f"Trainable params: {self.total_params:,}",
            "Non-trainable params: 0",
            rule,
            f"Input size (MB): {sizes[0]:0.2f}",
            f"Forward/backward pass size (MB): {sizes[1]:0.2f}",
            f"Params size (MB): {sizes[2]:0.2f}",
            f"Estimated Total Size (MB): {sum(sizes):0.2f}",
            rule,
        ]
        return "\n".join(lines)


def summarise(rows: Sequence[Row], budget: int = PARAMETER_BUDGET) -> Summary:
    """The summary of the network that layer rows describe, without building it.

    Raises:
        ArchitectureError: the rows make no network.
    """
    traced = trace(rows)
    modules = [(layer, module) for layer in traced for module in layer.modules]
    table_rows = tuple(
        SummaryRow(
            number,
            module.type,
            module.output_shape,
            module.parameters,
            module.multiply_adds,
            layer.receptive_field,
            layer.number,
        )
        for number, (layer, module) in enumerate(modules, 1)
    )
    total = total_parameters(traced)
    return Summary(
        table_rows,
        tuple(traced),
        total,
        sum(layer.multiply_adds for layer in traced),
        traced[-1].receptive_field,
        budget,
        budget - total,
    )


def table(model: nn.Module, input_shape: Shape = INPUT_SHAPE) -> str:
    """torchsummary's table of a module, as text.

    The module isn't touched: torchsummary runs on a copy, in eval mode, in fp32 on the CPU, because it would change
    running statistics and leave its hooks behind when a forward fails.
    """
    import torch
    import torchsummary

    printed: list[str] = []
    inner = torchsummary.torchsummary
    # Its `print` is replaced rather than stdout, which would also catch what other threads print meanwhile.
    with (
        _LOCK,
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        _replaced(inner, "print", printed.append),
    ):
        torchsummary.summary(copy.deepcopy(model).float().cpu().eval(), input_shape, device="cpu")
    return "\n".join(printed)


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: Callable[..., None]) -> Iterator[None]:
    setattr(module, name, value)
    try:
        yield
    finally:
        delattr(module, name)


def _line(name: str, shape: str, params: str) -> str:
    return f"{name:>20}  {shape:>25} {params:>15}"
