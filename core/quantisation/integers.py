"""A network in integers: 8-bit activations, 8- or 4-bit weights, 32-bit sums.

An array of activations holds bytes q, which stand for step (q - zero) with one step and one zero
per array; a weight stands for its channel's step times an integer. A sum of products is brought to
the next array's step by one multiplication and one shift:

    q = clip((sum * multiplier + (bias << bias_shift) + (zero << shift) + half) >> shift, 0, 255)

(Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, 2018). Multipliers have 8 bits and lose nothing by that, since a channel's weights are
rounded to the step that its multiplier implies. A ReLU needs no code: its array has zero 0.
Imports torch when it computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.compiled.plan import Operation
from core.task import MEAN, STD

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[Any]
BITS = (8, 4)
MAX_SHIFT = 22  # zero << shift stays below 2^30
_CHUNK_VALUES = 10_000_000  # activations computed at a time


@dataclass(frozen=True, slots=True)
class Scale:
    """What a byte q of an array stands for: step (q - zero)."""

    step: float
    zero: int


# Of pixels, as `core.data.batches.normalise` scales them. The zero would be 255 * MEAN = 33.33; the
# correction of biases makes up for the fraction.
INPUT = Scale(1 / (255 * STD), round(255 * MEAN))


@dataclass(frozen=True, eq=False)
class Step:
    """One operation in integers.

    Args:
        operation: what is computed.
        inputs: scales of what it reads; two for "add".
        output: scale of what is rounded to bytes: of the result, or of the table's argument.
        result: scale of the result.
        multipliers: positive; one per channel of a convolution, one per input otherwise; empty
            where values are only moved.
        shift: of the products, to the right.
        weights: (outputs, inputs / groups, kernel, kernel) int8 of a convolution.
        bits: of a weight.
        bias: (outputs,) int16, or None.
        bias_shift: of the bias, to the left.
        table: (256,) uint8: the activation's result for each byte, or None.
        gives_logits: whether the sums are not rounded: a logit is sum * multiplier / 2^shift.
    """

    operation: Operation
    inputs: tuple[Scale, ...]
    output: Scale
    result: Scale
    multipliers: Array
    shift: int = 0
    weights: Array | None = None
    bits: int = 8
    bias: Array | None = None
    bias_shift: int = 0
    table: Array | None = None
    gives_logits: bool = False

    @property
    def weight_steps(self) -> Array:
        """What a weight of 1 stands for: one number per output channel."""
        ratio = self.output.step / self.inputs[0].step
        return self.multipliers.astype(np.float64) * 2.0**-self.shift * ratio

    @property
    def real_bias(self) -> Array | None:
        """What the bias stands for: (outputs,) float64."""
        if self.bias is None:
            return None
        scale = 2.0 ** (self.bias_shift - self.shift) * self.output.step
        return np.asarray(self.bias * scale, np.float64)

    @property
    def offset(self) -> int:
        """What is added before the shift, so that it rounds to the nearest byte."""
        if self.gives_logits:
            return 0
        return (self.output.zero << self.shift) + ((1 << self.shift) >> 1)

    @property
    def sum_bound(self) -> int:
        """Bound of a sum's absolute value before the multiplication, for any input."""
        if self.weights is None:
            return 255 * window_size(self.operation)
        return 255 * int(np.abs(self.weights.astype(np.int64)).sum((1, 2, 3)).max())

    @property
    def product_bound(self) -> int:
        """Bound of the absolute value of what is shifted, for any input."""
        reach = [max(scale.zero, 255 - scale.zero) for scale in self.inputs]
        if self.weights is None:
            terms = window_size(self.operation)
            pairs = zip(reach, map(int, self.multipliers), strict=False)  # empty: values are moved
            return sum(terms * each * multiplier for each, multiplier in pairs) + self.offset
        sums = np.abs(self.weights.astype(np.int64)).sum((1, 2, 3)) * reach[0]
        bias = 0 if self.bias is None else np.abs(self.bias.astype(np.int64)) << self.bias_shift
        return int((sums * self.multipliers + bias).max()) + self.offset

    @property
    def constant_bytes(self) -> int:
        """Bytes of weights, biases, multipliers and tables."""
        if self.weights is None:
            return 0 if self.table is None else 256
        arrays = [each for each in (self.multipliers, self.bias, self.table) if each is not None]
        return -(-self.weights.size * self.bits // 8) + sum(each.nbytes for each in arrays)

    def with_parameters(self, weight: Array, bias: Array | None) -> Step:
        """This convolution with other weights and biases, rounded to its steps.

        Args:
            weight, bias: as real numbers; the bias is None where the convolution has none.
        """
        limit = 2 ** (self.bits - 1) - 1
        steps = self.weight_steps[:, None, None, None]
        weights = np.clip(np.rint(weight / steps), -limit, limit).astype(np.int8)
        if bias is None:
            return replace(self, weights=weights)
        # As fine as 16 bits allow.
        real = np.asarray(bias, np.float64) / self.output.step * 2.0**self.shift
        largest = float(np.abs(real).max())
        bias_shift = max(0, math.ceil(math.log2(max(largest, 1) / 32_767)))
        rounded = np.clip(np.rint(real * 2.0**-bias_shift), -32_767, 32_767).astype(np.int16)
        return replace(self, weights=weights, bias=rounded, bias_shift=bias_shift)


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """A network in integers: its steps, in order."""

    steps: tuple[Step, ...]

    @property
    def constant_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(step.constant_bytes for step in self.steps)

    @property
    def bits(self) -> tuple[int, ...]:
        """Bits of a weight of each convolution, in order."""
        return tuple(step.bits for step in self.steps if step.weights is not None)

    def logits(self, images: Array) -> Array:
        """Compute logits, bit for bit as the exported C code does.

        Args:
            images: (N, 28, 28) uint8.

        Returns:
            (N, 10) float32.
        """
        import torch

        size = chunk_size([step.operation for step in self.steps])
        steps = {step.operation.number: step for step in self.steps}
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), size):
                x = torch.from_numpy(np.ascontiguousarray(images[start : start + size]))
                values = walk(
                    [step.operation for step in self.steps],
                    x.unsqueeze(1).float(),
                    lambda op, x, other: compute(steps[op.number], x, other),
                )
                parts.append(values.flatten(1).numpy())
        out = np.concatenate(parts)
        last = self.steps[-1]
        if last.gives_logits:
            scaled = out.astype(np.float32) * np.float32(2.0**-last.shift)
        else:
            scaled = np.float32(last.result.step) * (out - last.result.zero).astype(np.float32)
        return np.asarray(scaled, np.float32)


def chunk_size(operations: Sequence[Operation]) -> int:
    """Images to compute at a time."""
    values = sum(math.prod(op.output_shape) for op in operations)
    return int(min(500, max(1, _CHUNK_VALUES // values)))


def walk(
    operations: Sequence[Operation],
    images: Tensor,
    compute: Callable[[Operation, Tensor, Tensor | None], Tensor],
) -> Tensor:
    """Compute operations one after the other and return the last one's output.

    Args:
        operations: in order.
        images: (N, 1, 28, 28).
        compute: from an operation, its input in the operation's shape, and for "add" the other
            summand: the output.
    """
    outputs = {0: images}
    for op in operations:
        x = outputs[op.source].reshape(len(images), *op.input_shape)
        other = outputs[op.added].reshape(x.shape) if op.kind == "add" else None
        outputs[op.number] = compute(op, x, other)
    return outputs[operations[-1].number]


def linear_part(op: Operation, x: Tensor, weight: Tensor | None, bias: Any = None) -> Tensor:
    """A convolution or pool, or values moved, in whatever numbers x has; not for "add"."""
    import torch.nn.functional as F

    if op.kind == "conv":
        assert weight is not None
        return F.conv2d(x, weight, bias, op.stride, op.padding, 1, op.groups)
    if op.kind == "maxpool":
        return F.max_pool2d(x, op.kernel, op.stride)
    if op.kind == "avgpool":
        return F.avg_pool2d(x, op.kernel, op.stride)
    if op.kind == "global_avgpool":
        return x.mean((2, 3), keepdim=True)
    return F.pixel_unshuffle(x, op.block)


def window_size(op: Operation) -> int:
    """Values of which an average is made; 1 if it makes none."""
    if op.kind == "global_avgpool":
        return math.prod(op.input_shape[1:])
    return op.kernel**2 if op.kind == "avgpool" else 1


def integer_sums(step: Step, x: Tensor) -> Tensor:
    """Sums of products before the multiplication, exact; (N, ...) int64.

    Args:
        step: a convolution or an average.
        x: bytes as floating point.
    """
    import torch

    shifted = x - step.inputs[0].zero
    if step.weights is None:
        exact = linear_part(step.operation, shifted.double(), None)
        return (exact * window_size(step.operation)).round().long()
    # Integers below 2^24 are exact in float32.
    dtype = torch.float32 if step.sum_bound < 2**24 else torch.float64
    weights = torch.from_numpy(step.weights).to(dtype)
    return linear_part(step.operation, shifted.to(dtype), weights).round().long()


def compute(step: Step, x: Tensor, other: Tensor | None) -> Tensor:
    """The output of one step from bytes as float32: bytes as float32, or int64 for logits."""
    import torch

    op = step.operation
    if not len(step.multipliers):
        return linear_part(op, x, None)
    multipliers = [int(m) for m in step.multipliers]
    if other is not None:
        a, b = (x - step.inputs[0].zero).long(), (other - step.inputs[1].zero).long()
        value = a * multipliers[0] + b * multipliers[1]
    else:
        value = integer_sums(step, x)
        value *= torch.tensor(multipliers).reshape(1, -1, 1, 1)
        if step.bias is not None:
            value += (torch.from_numpy(step.bias).long() << step.bias_shift).reshape(1, -1, 1, 1)
    if step.gives_logits:
        return value.clamp(min=0) if op.activation == "RELU" else value
    rounded = ((value + step.offset) >> step.shift).clamp(0, 255)
    if step.table is not None:
        return torch.from_numpy(step.table)[rounded].float()
    return rounded.float()
