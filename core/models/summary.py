"""The summary of a network: torchsummary's table, with multiply-adds and receptive fields.

`summarise` needs only the rows and no torch, so that a page can follow an edit at once; its text
equals torchsummary's. `torchsummary_table` runs torchsummary on a module.
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
from core.models.shapes import Layer, Shape, count_parameters, trace
from core.task import INPUT_SHAPE, PARAMETER_BUDGET

if TYPE_CHECKING:
    from torch import nn

_LOCK = threading.Lock()
_MB = 1024**2


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One row of torchsummary's table, with more figures.

    Args:
        number: position in the table, counted from 1.
        type: class of the module.
        output_shape: for one image.
        params: number of learned parameters.
        multiply_adds: for one image.
        receptive_field: side in pixels of the square that one output value depends on.
        layer: number of the layer row that the module belongs to.
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
        """The name in torchsummary's form: `Conv2d-1`."""
        return f"{self.type}-{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON values; the shape starts with -1 for the batch, as in torchsummary."""
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
    """A network in figures.

    Args:
        layers: the rows of torchsummary's table.
        rows: the traced layer rows.
        total_params: number of learned parameters.
        multiply_adds: for one image.
        receptive_field: side in pixels of the last row's receptive field; can exceed the image.
        budget: number of parameters that the goal allows.
        left: budget minus total_params; negative if the network is over budget.
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
        """The table in torchsummary's form, equal to `torchsummary_table` of the built network."""
        # As torchsummary counts: 4 bytes per number, outputs twice because of their gradients.
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
    """Summarise the network that layer rows describe, without building it.

    Raises:
        ArchitectureError: the rows do not make a network.
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
    total = count_parameters(traced)
    return Summary(
        table_rows,
        tuple(traced),
        total,
        sum(layer.multiply_adds for layer in traced),
        traced[-1].receptive_field,
        budget,
        budget - total,
    )


def torchsummary_table(model: nn.Module, input_shape: Shape = INPUT_SHAPE) -> str:
    """torchsummary's table of a module, as text.

    torchsummary changes running statistics and leaves its hooks behind if a forward pass fails, so
    it gets a copy, in eval mode, in fp32 on the CPU.
    """
    import torch
    import torchsummary

    printed: list[str] = []
    inner = torchsummary.torchsummary
    # `print` is replaced rather than stdout, which would also catch the output of other threads.
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
