"""Bring a trained network to integers by rounding, with scales from training images.

Each channel of weights has a step of its own, and each array of activations the range with the
least squared error over the images, which cuts off outliers. Biases are corrected so that the mean
of each channel over the images stays (Nagel et al., Data-Free Quantization Through Weight
Equalization and Bias Correction, 2019, section 4.2). Imports torch when it computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.compiled.inference import fold_norms
from core.compiled.plan import Operation, plan_operations
from core.models.rows import Row
from core.models.shapes import trace
from core.quantisation.integers import (
    INPUT,
    MAX_SHIFT,
    Array,
    IntegerNetwork,
    Scale,
    Step,
    compute,
    integer_sums,
    linear_part,
    walk,
    window_size,
)
from core.task import MEAN, STD

if TYPE_CHECKING:
    from torch import Tensor

MAX_IMAGES = 1_000  # to choose scales with
_MAX_VALUES = 50_000_000  # activations of all of them
_SAMPLE = 100_000  # values of an array to choose its range with
_CONV_LIMIT, _OTHER_LIMIT = 255, 4_095  # of multipliers


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A network as operations, with batch norms as a part of the convolutions.

    Args:
        operations: in order.
        parameters: weight (outputs, inputs / groups, kernel, kernel) and bias (outputs,) float32
            of each convolution by its operation's number; the bias is None where it has none.
    """

    operations: tuple[Operation, ...]
    parameters: dict[int, tuple[Array, Array | None]]

    @classmethod
    def of(cls, rows: Sequence[Row], state: Sequence[Array]) -> FloatNetwork:
        """From layer rows and the tensors of the network's state_dict, in order.

        Raises:
            ArchitectureError: the rows don't fit together.
        """
        # A trained network drops nothing out.
        rows = [{**row, "p": 0.0} if row["kind"] == "dropout" else row for row in rows]
        operations = plan_operations(trace(rows), 0.0)
        folded = iter(fold_norms(operations, state))
        parameters = {}
        for op in operations:
            if op.weight is not None:
                weight, bias = next(folded), next(folded)
                shape = (op.output_shape[0], op.input_shape[0] // op.groups, op.kernel, op.kernel)
                has_bias = op.bias is not None or op.norm is not None
                parameters[op.number] = (weight.reshape(shape), bias if has_bias else None)
        return cls(operations, parameters)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(op.multiply_adds for op in self.operations if op.weight is not None)


def activate(name: str, x: Tensor) -> Tensor:
    """An activation of an operation."""
    import torch.nn.functional as F

    return {"NONE": lambda x: x, "RELU": F.relu, "SILU": F.silu, "GELU": F.gelu}[name](x)


def calibration_size(network: FloatNetwork) -> int:
    """Images to choose scales with: fewer for a network with many activations."""
    values = sum(math.prod(op.output_shape) for op in network.operations)
    return int(max(8, min(MAX_IMAGES, _MAX_VALUES // values)))


def quantise(
    network: FloatNetwork, images: Array, bits: Callable[[Operation], int]
) -> IntegerNetwork:
    """Round a network to integers.

    Args:
        network: trained.
        images: (N, 28, 28) uint8 training images, of which the first `calibration_size` are used.
        bits: of a convolution's weights, 8 or 4.
    """
    import torch

    pixels = torch.from_numpy(np.array(images[: calibration_size(network)])).unsqueeze(1).float()
    exact = {0: pixels / (255 * STD) - MEAN / STD}  # as the trained network computes it
    scales = {0: INPUT}
    steps: list[Step] = []

    def add_step(op: Operation, x: Tensor, other: Tensor | None) -> Tensor:
        last = op is network.operations[-1]
        float_x = exact[op.source].reshape(x.shape)
        if op.kind == "add":
            sums = float_x + exact[op.added].reshape(x.shape)
        else:
            tensors = (
                None if array is None else torch.from_numpy(array)
                for array in network.parameters.get(op.number, (None, None))
            )
            sums = linear_part(op, float_x, *tensors)
        exact[op.number] = activate(op.activation, sums)
        sources = (op.source, op.added) if op.kind == "add" else (op.source,)
        inputs = tuple(scales[source] for source in sources)
        if op.kind in ("maxpool", "space_to_depth"):
            step = Step(op, inputs, inputs[0], inputs[0], np.zeros(0, np.uint8))
        else:
            step = _choose_scales(op, inputs, sums, exact[op.number], last, bits(op), network)
        if step.weights is not None:
            weight, bias = network.parameters[op.number]
            step = step.with_parameters(weight, bias)
            if bias is not None:
                step = step.with_parameters(weight, _corrected_bias(step, x, sums))
        scales[op.number] = step.result
        steps.append(step)
        return compute(step, x, other)

    with torch.inference_mode():
        walk(network.operations, pixels, add_step)
    return IntegerNetwork(tuple(steps))


def _choose_scales(
    op: Operation,
    inputs: tuple[Scale, ...],
    sums: Tensor,
    results: Tensor,
    last: bool,
    bits: int,
    network: FloatNetwork,
) -> Step:
    """A step with its scales and multipliers, and for a convolution with zero weights.

    Args:
        op: a convolution, a sum or an average.
        inputs: scales of what it reads.
        sums: values before the activation.
        results: values after it.
        last: whether the results are logits.
        bits: of a weight.
        network: with the weights.
    """
    has_table = op.activation in ("SILU", "GELU")
    gives_logits = last and not has_table
    if gives_logits:
        output = result = Scale(1.0, 0)
    else:
        output = _range(sums if has_table else results)
        result = _range(results) if has_table else output
    weights: Array | None = None
    if op.kind == "conv":
        weight = network.parameters[op.number][0]
        weights = np.zeros(weight.shape, np.int8)
        ratios = _best_steps(weight, bits) * inputs[0].step / output.step
        multipliers, shift = _multipliers(ratios, _CONV_LIMIT, np.ceil)
    else:
        ratios = np.array([scale.step for scale in inputs]) / (output.step * window_size(op))
        multipliers, shift = _multipliers(ratios, _OTHER_LIMIT, np.rint)
    table = _table(op.activation, output, result) if has_table else None
    return Step(
        op,
        inputs,
        output,
        result,
        multipliers,
        shift,
        weights,
        bits,
        table=table,
        gives_logits=gives_logits,
    )


def _range(values: Tensor) -> Scale:
    """The scale of an array with the least squared error, among those that cut off its ends."""
    flat = values.flatten().numpy()
    low, high = min(0.0, float(flat.min())), max(0.0, float(flat.max()))
    # At random: values at equal distances would come from few places of the images.
    places = np.random.default_rng(0).integers(len(flat), size=min(len(flat), _SAMPLE))
    sample = flat[places].astype(np.float64)
    best, least = Scale(1e-6, 0), math.inf
    for part in np.linspace(1.0, 0.4, 25):
        step = max(part * (high - low) / 255, 1e-6)
        scale = Scale(step, round(-part * low / step))
        rounded = (np.clip(np.rint(sample / step) + scale.zero, 0, 255) - scale.zero) * step
        error = float(np.square(rounded - sample).sum())
        if error < least:
            best, least = scale, error
    return best


def _best_steps(weight: Array, bits: int) -> Array:
    """The step of each channel of weights with the least squared error."""
    limit = 2 ** (bits - 1) - 1
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    largest = np.abs(rows).max(1)
    best, least = np.zeros(len(rows)), np.full(len(rows), math.inf)
    for part in np.linspace(1.0, 0.5, 26):
        steps = np.maximum(part * largest / limit, 1e-12)
        rounded = np.clip(np.rint(rows / steps[:, None]), -limit, limit) * steps[:, None]
        errors = np.square(rounded - rows).sum(1)
        best = np.where(errors < least, steps, best)
        least = np.minimum(least, errors)
    return best


def _multipliers(ratios: Array, limit: int, rounding: Any) -> tuple[Array, int]:
    """Integers m and a shift so that m / 2^shift is about the ratios; none is 0."""
    largest = max(float(ratios.max()), 1e-30)
    shift = min(MAX_SHIFT, max(0, math.floor(math.log2(limit / largest))))
    numbers = np.maximum(rounding(ratios * 2.0**shift), 1)
    dtype = np.uint8 if numbers.max() <= 255 else np.uint16 if numbers.max() < 65_536 else np.int32
    return numbers.astype(dtype), shift


def _table(activation: str, argument: Scale, result: Scale) -> Array:
    import torch

    x = torch.arange(256, dtype=torch.float64).sub(argument.zero).mul(argument.step)
    y = activate(activation, x).numpy() / result.step
    return np.clip(np.rint(y) + result.zero, 0, 255).astype(np.uint8)


def _corrected_bias(step: Step, x: Tensor, sums: Tensor) -> Array:
    """Biases with which each channel's mean over the images is that of the trained network."""
    integers = integer_sums(step, x).double().mean((0, 2, 3)).numpy()
    real = integers * step.multipliers * 2.0**-step.shift * step.output.step
    return np.asarray(sums.double().mean((0, 2, 3)).numpy() - real, np.float64)
