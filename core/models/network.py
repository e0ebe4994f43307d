"""Network: the module that runs any list of layer rows; its initialisation and saved weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import INITIALISATIONS, RunConfig
from core.errors import ConfigError, RunError, listed
from core.models.layers import BatchNorm2d
from core.models.rows import Row
from core.models.shapes import Layer, trace

_Functions = tuple[Callable[[Tensor], Tensor], ...]


class Network(nn.Module):
    """A network made of layer rows.

    Args:
        rows: layer rows, as `core.models.rows` describes them.
        dropout: probability of dropout rows without a probability of their own.

    Raises:
        ArchitectureError: the rows don't fit together; the message names the row.
    """

    def __init__(self, rows: Sequence[Row], dropout: float = 0.0):
        super().__init__()
        traced = trace(rows)
        self.rows = tuple(layer.row for layer in traced)
        self.layers = nn.ModuleList()
        # The forward pass, one entry per row: the row that it adds (or 0), whether a later row adds
        # it, the indices of its modules in `layers` (indices, so that a replaced or copied module
        # is used), and the functions before and after them.
        self._plan: list[tuple[int, bool, tuple[int, ...], _Functions, _Functions]] = []
        added = {row["from"] for row in self.rows if row["kind"] == "add"}
        for layer in traced:
            # A shared convolution stands in `layers` once, at the place of its first row.
            shared = self._plan[layer.shares - 1][2][:1] if layer.shares else ()
            own = layer.modules[len(shared) :]
            places = (*shared, *range(len(self.layers), len(self.layers) + len(own)))
            self.layers.extend(_MODULES[shape.type](layer, dropout) for shape in own)
            flatten = (
                (_flatten,) if layer.row["kind"] == "linear" and len(layer.input_shape) > 1 else ()
            )
            activation = (
                () if _norm_has_relu(layer) else _ACTIVATIONS[layer.row.get("activation", "none")]
            )
            self._plan.append(
                (
                    layer.row.get("from", 0),
                    layer.number in added,
                    places,
                    flatten,
                    activation,
                )
            )

    @property
    def row_modules(self) -> list[tuple[nn.Module, ...]]:
        """The modules of each row; rows that share a convolution hold the same one."""
        return [tuple(self.layers[place] for place in places) for _, _, places, _, _ in self._plan]

    def forward(self, images: Tensor) -> Tensor:
        """Logits of each class.

        Args:
            images: (B, 1, 28, 28) float, normalised.

        Returns:
            (B, 10) float.
        """
        kept: dict[int, Tensor] = {}
        for number, (keep, x) in enumerate(self._walk(images, kept), 1):
            if keep:
                kept[number] = x
        return x.flatten(1)  # (B, 10, 1, 1) or (B, 10) -> (B, 10)

    def features(self, images: Tensor) -> list[Tensor]:
        """Outputs of all rows; the last are the logits before flattening.

        Args:
            images: (B, 1, 28, 28) float, normalised.

        Returns:
            One tensor per row, (B, C, H, W) or (B, N).
        """
        outputs: dict[int, Tensor] = {}
        for number, (_, x) in enumerate(self._walk(images, outputs), 1):
            outputs[number] = x
        return list(outputs.values())

    def weighted_rows(self) -> list[tuple[int, nn.Conv2d | nn.Linear, nn.BatchNorm2d | None]]:
        """Return the rows with weights: number from 1, convolution or linear layer, batch norm."""
        found: list[tuple[int, nn.Conv2d | nn.Linear, nn.BatchNorm2d | None]] = []
        for number, modules in enumerate(self.row_modules, 1):
            layer = next((m for m in modules if isinstance(m, nn.Conv2d | nn.Linear)), None)
            norm = next((m for m in modules if isinstance(m, nn.BatchNorm2d)), None)
            if layer is not None:
                found.append((number, layer, norm))
        return found

    def _walk(self, x: Tensor, outputs: Mapping[int, Tensor]) -> Iterator[tuple[bool, Tensor]]:
        """Yield each row's output and whether a later row adds it.

        The caller stores the latter in `outputs` under the row's number, from 1.
        """
        modules = list(self.layers)
        for source, keep, places, before, after in self._plan:
            if source:
                x = x + outputs[source]
            for function in before:
                x = function(x)
            for place in places:
                x = modules[place](x)
            for function in after:
                x = function(x)
            yield keep, x


def build(rows: Sequence[Row], config: RunConfig) -> Network:
    """Build the network that a run starts from, on the CPU in float32.

    Args:
        rows: the layer rows, as `core.training.plan` or `rows_of(config)` gives them.
        config: its dropout, initialisation and seed are used.

    Raises:
        ArchitectureError: the rows don't fit together.
    """
    # torch draws weights while it builds modules; the caller's generator must not advance
    with torch.random.fork_rng(devices=[]):
        model = Network(rows, config.dropout)
    initialise(model, config.initialisation, torch.Generator().manual_seed(config.seed))
    return model


def initialise(model: nn.Module, how: str, generator: torch.Generator) -> None:
    """Draw all weights anew, and reset batch norms to the identity.

    Args:
        model: changed in place.
        how: "torch" (as torch's modules do: weights and biases uniform within 1/sqrt(fan_in)),
            "xavier" (uniform; Glorot and Bengio 2010) or "he" (normal; He et al. 2015); the last
            two with zero biases.
        generator: source of the random numbers.

    Raises:
        ConfigError: unknown initialisation.
    """
    if how not in INITIALISATIONS:
        raise ConfigError(
            f"initialisation is {how[:40]!r}, but it must be {listed(INITIALISATIONS)}."
        )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            if how == "torch":
                nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            elif how == "xavier":
                nn.init.xavier_uniform_(module.weight, generator=generator)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                bound = 1 / math.sqrt(module.weight[0].numel()) if how == "torch" else 0.0
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)


def _flatten(x: Tensor) -> Tensor:
    return x.flatten(1)


def _relu(x: Tensor) -> Tensor:
    # In place: it follows a new tensor (of a convolution, norm, linear layer or sum) whose values
    # no gradient needs.
    return torch.relu_(x)


_ACTIVATIONS: dict[str, _Functions] = {
    "none": (),
    "relu": (_relu,),
    "silu": (F.silu,),
    "gelu": (F.gelu,),
}


def _norm_has_relu(layer: Layer) -> bool:
    """Whether the row's norm applies the ReLU that follows it."""
    return layer.row.get("norm") == "batch" and layer.row["activation"] == "relu"


def _conv2d(layer: Layer, dropout: float) -> nn.Module:
    row = layer.row
    return nn.Conv2d(
        layer.input_shape[0],
        row["channels"],
        row["kernel"],
        row["stride"],
        row["padding"],
        groups=row["groups"],
        bias=row["bias"],
    )


def _dropout(layer: Layer, dropout: float) -> nn.Module:
    probability: Any = layer.row["p"]
    return nn.Dropout(dropout if probability is None else probability)


_MODULES: dict[str, Callable[[Layer, float], nn.Module]] = {
    "Conv2d": _conv2d,
    "BatchNorm2d": lambda layer, _: BatchNorm2d(layer.row["channels"], _norm_has_relu(layer)),
    "MaxPool2d": lambda layer, _: nn.MaxPool2d(layer.row["kernel"], layer.row["stride"]),
    "AvgPool2d": lambda layer, _: nn.AvgPool2d(layer.row["kernel"], layer.row["stride"]),
    "AdaptiveAvgPool2d": lambda layer, _: nn.AdaptiveAvgPool2d(1),
    "Dropout": _dropout,
    "PixelUnshuffle": lambda layer, _: nn.PixelUnshuffle(layer.row["block"]),
    "Linear": lambda layer, _: nn.Linear(
        math.prod(layer.input_shape), layer.row["channels"], layer.row["bias"]
    ),
}


def load_weights(model: Network, weights: Mapping[str, Tensor]) -> None:
    """Load saved weights into a network.

    Raises:
        RunError: the names or shapes of the tensors don't fit, or a value is NaN or infinite.
    """
    own = model.state_dict()
    if not isinstance(weights, Mapping) or set(weights) != set(own):
        raise RunError(
            "the saved weights belong to another network: their layers do not fit this one."
        )
    for name, tensor in weights.items():
        if not isinstance(tensor, Tensor) or tensor.shape != own[name].shape:
            raise RunError(
                f"the saved weights do not fit: {name} should have shape {tuple(own[name].shape)}."
            )
        if not torch.isfinite(tensor).all():
            raise RunError(f"the saved weights contain NaN or infinity in {name}.")
    model.load_state_dict(weights)
