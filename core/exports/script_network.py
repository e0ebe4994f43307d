"""The network of a run as the source of a plain torch module: one line for each layer row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.errors import RunError
from core.models.rows import Row
from core.models.shapes import Layer, Shape, trace

_WORDS = {"Conv2d": "conv", "BatchNorm2d": "norm", "Linear": "linear"}
_ACTIVATIONS = {"none": "{}", "relu": "F.relu({})", "silu": "F.silu({})", "gelu": "F.gelu({})"}


def source(rows: Sequence[Row], dropout: float, name: str = "Network") -> str:
    """A class that computes what `core.models.network.Network` does; its weights come in the same order.

    Args:
        rows: layer rows.
        dropout: share for dropout rows that name none.
        name: of the class.

    Raises:
        RunError: a row is of a kind that has no source form here.
    """
    layers = trace(rows)
    added = {layer.row["from"] for layer in layers if layer.row["kind"] == "add"}
    made: list[str] = []
    steps: list[tuple[str, Shape]] = []
    for layer in layers:
        last = "x"
        for module in layer.modules:
            if module.type not in _CALLS:
                raise RunError(f"{module.type} (row {layer.number}) has no form in a script here.")
            if module.type in _WORDS:
                part = f"{_WORDS[module.type]}{layer.number}"
                made.append(f"        self.{part} = {_MODULES[module.type](layer)}")
            last = _CALLS[module.type](layer, last, dropout)
        if layer.row["kind"] == "add":
            last = f"x + row{layer.row['from']}"
        elif not layer.modules:
            raise RunError(f"rows of the kind {layer.row['kind']} have no form in a script here.")
        activation = layer.row.get("activation", "none")
        if activation not in _ACTIVATIONS:
            raise RunError(f"the activation {activation} has no form in a script here.")
        last = _ACTIVATIONS[activation].format(last)
        target = f"x = row{layer.number} =" if layer.number in added else "x ="
        if f"{target} {last}" != "x = x":  # a dropout of nothing
            steps.append((f"        {target} {last}", layer.output_shape))
    steps = [
        ("    def forward(self, x):", layers[0].input_shape),
        *steps,
        ("        return x.flatten(1)", (10,)),
    ]
    width = max(len(line) for line, _ in steps)
    return "\n".join(
        [
            f"class {name}(nn.Module):",
            "    def __init__(self):",
            "        super().__init__()",
            *made,
            "",
            *(
                f"{line:<{width}}  # ({', '.join(['B', *map(str, shape)])})"
                for line, shape in steps
            ),
        ]
    )


def _conv(layer: Layer) -> str:
    row = layer.row
    more = [
        f"{name}={row[name]}"
        for name, usual in (("stride", 1), ("padding", 0), ("groups", 1), ("bias", True))
        if row[name] != usual
    ]
    return f"nn.Conv2d({', '.join([str(layer.input_shape[0]), str(row['channels']), str(row['kernel']), *more])})"


def _linear(layer: Layer) -> str:
    inputs = 1
    for side in layer.input_shape:
        inputs *= side
    return (
        f"nn.Linear({inputs}, {layer.row['channels']}{'' if layer.row['bias'] else ', bias=False'})"
    )


def _pool(function: str) -> Callable[[Layer, str, float], str]:
    return lambda layer, last, _: (
        f"F.{function}({last}, {layer.row['kernel']}, {layer.row['stride']})"
    )


def _dropout(layer: Layer, last: str, dropout: float) -> str:
    share = dropout if layer.row["p"] is None else layer.row["p"]
    return f"F.dropout({last}, {share!r}, self.training)" if share else last


_MODULES: Mapping[str, Callable[[Layer], str]] = {
    "Conv2d": _conv,
    "Linear": _linear,
    "BatchNorm2d": lambda layer: f"nn.BatchNorm2d({layer.row['channels']})",
}
_CALLS: Mapping[str, Callable[[Layer, str, float], str]] = {
    "Conv2d": lambda layer, last, _: f"self.conv{layer.number}({last})",
    "BatchNorm2d": lambda layer, last, _: f"self.norm{layer.number}({last})",
    "Linear": lambda layer, last, _: (
        f"self.linear{layer.number}({last}{'.flatten(1)' if len(layer.input_shape) > 1 else ''})"
    ),
    "MaxPool2d": _pool("max_pool2d"),
    "AvgPool2d": _pool("avg_pool2d"),
    "Dropout": _dropout,
    "AdaptiveAvgPool2d": lambda layer, last, _: f"F.adaptive_avg_pool2d({last}, 1)",
    "PixelUnshuffle": lambda layer, last, _: f"F.pixel_unshuffle({last}, {layer.row['block']})",
}
