"""Network: the one module that builds and runs any list of layer rows, and how its weights are first drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import INITIALISATIONS, RunConfig
from core.errors import ConfigError, RunError, listed
from core.models.architectures import rows_of
from core.models.batch_last import layers
from core.models.rows import Row
from core.models.shapes import Layer, trace

_Functions = tuple[Callable[[Tensor], Tensor], ...]


class Network(nn.Module):
    """A network made of layer rows.

    Args:
        rows: layer rows, as `core.models.rows` describes them.
        dropout: share for dropout rows that name none.

    Raises:
        ArchitectureError: the rows make no network; the sentence names the row.
    """

    def __init__(self, rows: Sequence[Row], dropout: float = 0.0):
        super().__init__()
        traced = trace(rows)
        self.rows = tuple(layer.row for layer in traced)
        self.layers = nn.ModuleList()
        # What forward does, resolved once: for each row the row it adds (or 0), whether a later row adds it, its
        # modules by their places in `layers` (so that a replaced or copied module is followed), and functions before
        # and after.
        self._plan: list[tuple[int, bool, tuple[int, ...], _Functions, _Functions]] = []
        added = {row["from"] for row in self.rows if row["kind"] == "add"}
        for layer in traced:
            modules = [_MODULES[shape.type](layer, dropout) for shape in layer.modules]
            places = range(len(self.layers), len(self.layers) + len(modules))
            self.layers.extend(modules)
            flatten = (
                (_flatten,) if layer.row["kind"] == "linear" and len(layer.input_shape) > 1 else ()
            )
            activation = (
                () if _bent_by_norm(layer) else _ACTIVATIONS[layer.row.get("activation", "none")]
            )
            self._plan.append(
                (
                    layer.row.get("from", 0),
                    layer.number in added,
                    tuple(places),
                    flatten,
                    activation,
                )
            )

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
        """What each row gives, for pages that look inside; the last is the logits before flattening.

        Args:
            images: (B, 1, 28, 28) float, normalised.

        Returns:
            One tensor a row, (B, C, H, W) or (B, N).
        """
        outputs: dict[int, Tensor] = {}
        for number, (_, x) in enumerate(self._walk(images, outputs), 1):
            outputs[number] = x
        return list(outputs.values())

    def _walk(self, x: Tensor, outputs: Mapping[int, Tensor]) -> Iterator[tuple[bool, Tensor]]:
        """Each row's output, and whether a later row adds it, which then must be in `outputs` under its number."""
        modules = list(self.layers)
        for source, keep, places, before, after in self._plan:
            if source:
                x = x + outputs[source]
            for function in before:
                x = function(x)
            if len(places) == 2:  # a convolution and its norm
                x = layers.normed(modules[places[0]], modules[places[1]], x)
            elif places:
                x = modules[places[0]](x)
            for function in after:
                x = function(x)
            yield keep, x


def build(config: RunConfig) -> Network:
    """The network that a run starts from: a pure function of the config, on the CPU in fp32.

    Raises:
        ConfigError: there is no architecture of that name.
        ArchitectureError: the rows make no network.
    """
    rows = rows_of(config)
    # torch draws weights while it builds modules; the caller's generator must not notice
    with torch.random.fork_rng(devices=[]):
        model = Network(rows, config.dropout)
    initialise(model, config.initialisation, torch.Generator().manual_seed(config.seed))
    return model


def initialise(model: nn.Module, how: str, generator: torch.Generator) -> None:
    """Draw all weights anew; norms go back to the identity.

    Args:
        how: "torch" (the rule of torch's own modules: weights and biases uniform within 1/sqrt(fan_in)),
            "xavier" (uniform; Glorot and Bengio 2010) or "he" (normal; He et al. 2015), both with zero biases.

    Raises:
        ConfigError: no such rule.
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
    # In place: each row's activation follows a fresh tensor (of a convolution, norm, linear layer or sum) that
    # nothing needs for its gradient.
    return torch.relu_(x)


_ACTIVATIONS: dict[str, _Functions] = {
    "none": (),
    "relu": (_relu,),
    "silu": (F.silu,),
    "gelu": (F.gelu,),
}


def _bent_by_norm(layer: Layer) -> bool:
    """Whether the row's norm applies its ReLU as well, in one go."""
    return layer.row.get("norm") == "batch" and layer.row["activation"] == "relu"


def _conv2d(layer: Layer, dropout: float) -> nn.Module:
    row = layer.row
    return layers.Conv2d(
        layer.input_shape[0],
        row["channels"],
        row["kernel"],
        row["stride"],
        row["padding"],
        groups=row["groups"],
        bias=row["bias"],
    )


def _dropout(layer: Layer, dropout: float) -> nn.Module:
    share: Any = layer.row["p"]
    return nn.Dropout(dropout if share is None else share)


_MODULES: dict[str, Callable[[Layer, float], nn.Module]] = {
    "Conv2d": _conv2d,
    "BatchNorm2d": lambda layer, _: layers.BatchNorm2d(layer.row["channels"], _bent_by_norm(layer)),
    "MaxPool2d": lambda layer, _: layers.MaxPool2d(layer.row["kernel"], layer.row["stride"]),
    "AvgPool2d": lambda layer, _: layers.AvgPool2d(layer.row["kernel"], layer.row["stride"]),
    "AdaptiveAvgPool2d": lambda layer, _: layers.AdaptiveAvgPool2d(1),
    "Dropout": _dropout,
    "PixelUnshuffle": lambda layer, _: layers.PixelUnshuffle(layer.row["block"]),
    "Linear": lambda layer, _: nn.Linear(
        math.prod(layer.input_shape), layer.row["channels"], layer.row["bias"]
    ),
}


def load_weights(model: Network, weights: Mapping[str, Tensor]) -> None:
    """Put saved weights into a network.

    Raises:
        RunError: names or shapes do not fit, or a value is no number.
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
            raise RunError(f"the saved weights hold a value in {name} that is no number.")
    model.load_state_dict(weights)
