"""A network as an ONNX model: one node after the other from the layer rows, with normalisation inside.

Written node by node rather than traced: nothing depends on a tracer's version, and the names say which row is which.
onnx is imported when it is used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from core.errors import RunError
from core.models.rows import Row
from core.models.shapes import Layer, ModuleShape, trace

OPSET, IR_VERSION = 17, 8  # old enough for every runtime in use
IMAGES, LOGITS, PROBABILITIES = "images", "logits", "probabilities"
Weights = Mapping[str, np.ndarray]


def model(
    rows: Sequence[Row], weights: Weights, mean: float, std: float, about: Mapping[str, Any]
) -> bytes:
    """The model as the bytes of an .onnx file.

    It takes `images`, (N, 28, 28) uint8 as MNIST holds them, ink 255 on 0, for any N, and gives `logits` and
    `probabilities`, both (N, 10) float32.

    Args:
        rows: layer rows.
        weights: the network's `state_dict` as arrays.
        mean, std: of the training images, as shares of white: what the network expects its input to be normalised by.
        about: what to note in the file's metadata; values become text, or JSON.

    Raises:
        RunError: a row is of a kind that has no ONNX form here.
    """
    import onnx
    from onnx import helper

    builder = _Builder(weights)
    last = builder.node("Cast", [IMAGES], "grey", to=onnx.TensorProto.FLOAT)
    last = builder.node("Unsqueeze", [last, builder.constant("channel", np.array([1]))], "image")
    last = builder.node(
        "Mul", [last, builder.constant("per_grey", np.float32(1 / (255 * std)))], "scaled"
    )
    last = builder.node(
        "Sub", [last, builder.constant("middle", np.float32(mean / std))], "normalised"
    )
    outputs: list[str] = []
    for layer in trace(rows):
        last = builder.row(layer, last, outputs)
        outputs.append(last)
    builder.node("Flatten", [last], LOGITS, axis=1)
    builder.node("Softmax", [LOGITS], PROBABILITIES, axis=1)
    graph = helper.make_graph(
        builder.nodes,
        "network",
        [helper.make_tensor_value_info(IMAGES, onnx.TensorProto.UINT8, ["N", 28, 28])],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 10])
            for name in (LOGITS, PROBABILITIES)
        ],
        builder.constants,
    )
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="Inkling",
    )
    helper.set_model_props(
        made,
        {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in about.items()
        },
    )
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString())


class _Builder:
    """Collects nodes and constants; every method gives the name of what it made."""

    def __init__(self, weights: Weights):
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.modules = 0  # of the network, in the order in which their weights are numbered

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray | np.floating[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def row(self, layer: Layer, last: str, outputs: Sequence[str]) -> str:
        name = f"row{layer.number}_{layer.row['kind']}"
        if layer.row["kind"] == "add":
            last = self.node("Add", [last, outputs[layer.row["from"] - 1]], name)
        elif not layer.modules:
            raise RunError(
                f"rows of the kind {layer.row['kind']} have no ONNX form here; use torch's format."
            )
        for module in layer.modules:
            if module.type not in _NODES:
                raise RunError(
                    f"{module.type} (row {layer.number}) has no ONNX form here; use torch's format."
                )
            last = _NODES[module.type](self, layer, module, last, f"{name}_{module.type}")
            self.modules += 1
        return self.activation(layer.row.get("activation", "none"), last, name)

    def activation(self, kind: str, last: str, name: str) -> str:
        if kind == "relu":
            return self.node("Relu", [last], f"{name}_relu")
        if kind == "silu":
            return self.node(
                "Mul", [last, self.node("Sigmoid", [last], f"{name}_sigmoid")], f"{name}_silu"
            )
        if (
            kind == "gelu"
        ):  # x / 2 * (1 + erf(x / sqrt(2))); ONNX has it as one node only since opset 20
            scaled = self.node(
                "Mul",
                [last, self.constant(f"{name}_root", np.float32(math.sqrt(0.5)))],
                f"{name}_a",
            )
            curved = self.node("Erf", [scaled], f"{name}_b")
            raised = self.node(
                "Add", [curved, self.constant(f"{name}_one", np.float32(1))], f"{name}_c"
            )
            halved = self.node(
                "Mul", [last, self.constant(f"{name}_half", np.float32(0.5))], f"{name}_d"
            )
            return self.node("Mul", [halved, raised], f"{name}_gelu")
        if kind != "none":
            raise RunError(f"the activation {kind} has no ONNX form here; use torch's format.")
        return last

    def own(self, *names: str) -> Iterator[str]:
        """The module's weights as constants; a bias that it does not have is left out."""
        for name in names:
            full = f"layers.{self.modules}.{name}"
            if full in self.weights:
                yield self.constant(full, np.asarray(self.weights[full], np.float32))


def _conv(builder: _Builder, layer: Layer, module: ModuleShape, last: str, name: str) -> str:
    row = layer.row
    return builder.node(
        "Conv",
        [last, *builder.own("weight", "bias")],
        name,
        kernel_shape=[row["kernel"]] * 2,
        strides=[row["stride"]] * 2,
        pads=[row["padding"]] * 4,
        group=row["groups"],
    )


def _norm(builder: _Builder, layer: Layer, module: ModuleShape, last: str, name: str) -> str:
    own = builder.own("weight", "bias", "running_mean", "running_var")
    return builder.node("BatchNormalization", [last, *own], name, epsilon=1e-5)


def _pool(builder: _Builder, layer: Layer, module: ModuleShape, last: str, name: str) -> str:
    kind = "MaxPool" if module.type == "MaxPool2d" else "AveragePool"
    return builder.node(
        kind,
        [last],
        name,
        kernel_shape=[layer.row["kernel"]] * 2,
        strides=[layer.row["stride"]] * 2,
    )


def _space_to_depth(
    builder: _Builder, layer: Layer, module: ModuleShape, last: str, name: str
) -> str:
    # ONNX's own SpaceToDepth orders the new channels otherwise than torch.
    channels, height, width = layer.input_shape
    block = layer.row["block"]
    split = builder.constant(
        f"{name}_split", np.array([-1, channels, height // block, block, width // block, block])
    )
    joined = builder.constant(f"{name}_joined", np.array([-1, *module.output_shape]))
    last = builder.node("Reshape", [last, split], f"{name}_a")
    last = builder.node("Transpose", [last], f"{name}_b", perm=[0, 1, 3, 5, 2, 4])
    return builder.node("Reshape", [last, joined], name)


def _linear(builder: _Builder, layer: Layer, module: ModuleShape, last: str, name: str) -> str:
    flat = builder.node("Flatten", [last], f"{name}_flat", axis=1)
    return builder.node("Gemm", [flat, *builder.own("weight", "bias")], name, transB=1)


_NODES: Mapping[str, Callable[[_Builder, Layer, ModuleShape, str, str], str]] = {
    "Conv2d": _conv,
    "BatchNorm2d": _norm,
    "MaxPool2d": _pool,
    "AvgPool2d": _pool,
    "AdaptiveAvgPool2d": lambda builder, layer, module, last, name: builder.node(
        "GlobalAveragePool", [last], name
    ),
    "Dropout": lambda builder, layer, module, last, name: (
        last
    ),  # does nothing once training is over
    "PixelUnshuffle": _space_to_depth,
    "Linear": _linear,
}
