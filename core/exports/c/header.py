"""A network as the text of a C99 header: in floating point, or in integers. No torch."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.compiled.plan import Operation
from core.errors import RunError
from core.exports.c import functions
from core.exports.c.memory import plan_memory
from core.quantisation.integers import Array, IntegerNetwork, Step
from core.quantisation.rounding import FloatNetwork
from core.task import MEAN, STD

PIXELS = 28 * 28
_SAFE = " .,:;()+-_%='!#@"  # beside letters and digits: nothing that ends a comment


@dataclass(frozen=True, slots=True)
class Header:
    """A C header.

    Args:
        text: without the comment at its beginning.
        weights: bytes of all constants.
        memory: bytes of the static buffers.
        multiply_adds: for one image.
    """

    text: str
    weights: int
    memory: int
    multiply_adds: int

    def with_comment(self, lines: Sequence[str]) -> str:
        """The whole file, with a comment at its beginning.

        Args:
            lines: any text; what could end the comment is replaced by underlines.
        """
        comment = "\n".join(f" * {comment_text(line)}".rstrip() for line in lines)
        return f"/*\n{comment}\n */\n{self.text}"


def comment_text(text: str) -> str:
    """Text that cannot end a C comment or start a trigraph or line continuation."""
    return "".join(c if c.isalnum() or c in _SAFE else "_" for c in text)


@dataclass
class _Writer:
    """Collects a header's parts."""

    functions: dict[str, str] = field(default_factory=dict)
    constants: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def call(self, name: str, text: str, *arguments: object) -> None:
        self.functions.setdefault(name, text)
        lines = _wrap(arguments, 88)
        self.calls.append(f"    {name}(" + "\n        ".join(lines) + ");")

    def constant(self, name: str, ctype: str, values: Sequence[object]) -> str:
        body = "\n".join(f"    {line}" for line in _wrap(values, 96))
        self.constants.append(f"static const {ctype} {name}[{len(values)}] = {{\n{body}\n}};\n")
        return name

    def text(self, before: str, memory: str) -> str:
        parts = [
            "#ifndef INKLING_PREDICT_H\n#define INKLING_PREDICT_H\n",
            before,
            *self.constants,
            memory,
            *self.functions.values(),
            "static inline void inkling_logits(const unsigned char *pixels, float *logits) {\n"
            + "\n".join(self.calls)
            + "\n}\n",
            functions.PREDICT,
            "#endif\n",
        ]
        return "\n".join(part for part in parts if part)


def float_header(network: FloatNetwork) -> Header:
    """Write a network in floating point."""
    writer = _Writer()
    ops = network.operations
    sizes = {0: PIXELS} | {op.number: math.prod(op.output_shape) for op in ops[:-1]}
    starts, values = plan_memory(ops, sizes)
    place = {number: f"inkling_memory + {start}" for number, start in starts.items()}
    place[ops[-1].number] = "logits"
    writer.functions["exp"] = functions.EXP
    writer.calls += [
        "    int i;",
        f"    for (i = 0; i < {PIXELS}; i++)",
        f"        inkling_memory[{starts[0]} + i] = (float)pixels[i] * "
        f"{_number(1 / (255 * STD))} - {_number(MEAN / STD)};",
    ]
    weights = 0
    for op in ops:
        x, y = place[op.source], place[op.number]
        if op.kind == "conv":
            weight, bias = network.parameters[op.number]
            names: list[str] = []
            for name, array in (("weights", weight), ("bias", bias)):
                if array is None:
                    names.append("0")
                    continue
                numbers = [_number(value) for value in array.flatten()]
                names.append(writer.constant(f"inkling_{name}{op.number}", "float", numbers))
                weights += 4 * len(numbers)
            writer.call("inkling_conv", functions.FLOAT_CONV, x, y, *names, *_conv_sizes(op))
        elif op.kind == "add":
            writer.call(
                "inkling_add", functions.FLOAT_ADD, x, place[op.added], y, math.prod(op.input_shape)
            )
        elif op.kind in ("avgpool", "global_avgpool"):
            writer.call("inkling_average", functions.FLOAT_AVERAGE, x, y, *_average_sizes(op))
        else:
            _move(writer, op, "float", x, y)
        if op.activation != "NONE":
            name, text = {
                "RELU": ("inkling_relu", functions.RELU),
                "SILU": ("inkling_silu", functions.SILU),
                "GELU": ("inkling_gelu", functions.GELU),
            }[op.activation]
            writer.call(name, text, y, math.prod(op.output_shape))
    sums = _add_window(writer, ops)
    memory = f"static float inkling_memory[{max(1, values)}];\n"
    if sums:
        memory += f"static float inkling_sums[{sums}];\n"
    return Header(
        writer.text("", memory), weights, 4 * (max(1, values) + sums), network.multiply_adds
    )


def integer_header(network: IntegerNetwork) -> Header:
    """Write a network in integers.

    Raises:
        RunError: a sum can exceed 32 bits.
    """
    writer = _Writer()
    steps = network.steps
    ops = [step.operation for step in steps]
    last = steps[-1]
    placed = steps[:-1] if last.gives_logits else steps
    sizes = {step.operation.number: math.prod(step.operation.output_shape) for step in placed}
    starts, values = plan_memory(ops, sizes)
    place = {number: f"inkling_memory + {start}" for number, start in starts.items()}
    place |= {0: "pixels"} | ({ops[-1].number: "0"} if last.gives_logits else {})
    writer.functions["exp"] = functions.EXP
    writer.functions["round"] = functions.ROUND
    writer.calls.append("    int i;")
    for step in steps:
        _integer_call(writer, step, place)
    if last.gives_logits:
        factor = _number(2.0**-last.shift)
        if last.operation.activation == "RELU":
            writer.call("inkling_relu", functions.RELU, "logits", 10)
        value = "logits[i]"
    else:
        factor = _number(last.result.step)
        at = starts[ops[-1].number]
        value = f"(float)(inkling_memory[{at} + i] - {last.result.zero})"
    writer.calls.append(f"    for (i = 0; i < 10; i++) logits[i] = {factor} * {value};")
    sums = _add_window(writer, ops)
    wide = max(step.product_bound for step in steps)
    if any(step.sum_bound >= 2**31 for step in steps) or wide >= 2**63:
        raise RunError("a layer has too many inputs for sums of 32 bits.")
    before = (
        "#include <stdint.h>\n\n"
        "/* For a sum times its multiplier. */\n"
        f"typedef int{32 if wide < 2**31 else 64}_t inkling_product;\n"
    )
    memory = f"static uint8_t inkling_memory[{max(1, values)}];\n"
    if sums:
        memory += f"static int32_t inkling_sums[{sums}];\n"
    multiply_adds = sum(op.multiply_adds for op in ops if op.weight is not None)
    return Header(
        writer.text(before, memory),
        network.constant_bytes,
        max(1, values) + 4 * sums,
        multiply_adds,
    )


def _integer_call(writer: _Writer, step: Step, place: dict[int, str]) -> None:
    op = step.operation
    x, y = place[op.source], place[op.number]
    logits = "logits" if step.gives_logits else "0"
    multipliers = [int(each) for each in step.multipliers]
    if step.weights is not None:
        if step.bits == 8:
            stored, ctype = step.weights.flatten(), "int8_t"
        else:
            stored, ctype = pack_nibbles(step.weights), "uint8_t"
        weights = writer.constant(f"inkling_weights{op.number}", ctype, list(stored))
        multiplier_type = f"{step.multipliers.dtype}_t"
        factors = writer.constant(f"inkling_multipliers{op.number}", multiplier_type, multipliers)
        bias = (
            "0"
            if step.bias is None
            else writer.constant(f"inkling_bias{op.number}", "int16_t", list(step.bias))
        )
        suffix = "" if multiplier_type == "uint8_t" else f"_{step.multipliers.dtype}"
        name = f"inkling_conv{step.bits}{suffix}"
        text = functions.integer_conv(name, step.bits, multiplier_type)
        arguments = (x, y, logits, weights, factors, bias, step.bias_shift, step.offset, step.shift)
        writer.call(name, text, *arguments, step.inputs[0].zero, *_conv_sizes(op))
    elif op.kind == "add":
        zeros = [scale.zero for scale in step.inputs]
        scale = (*zeros, *multipliers, step.offset, step.shift)
        count = math.prod(op.input_shape)
        b = place[op.added]
        writer.call("inkling_add", functions.INTEGER_ADD, x, b, y, logits, *scale, count)
    elif multipliers:
        scale = (step.inputs[0].zero, *multipliers, step.offset, step.shift)
        writer.call(
            "inkling_average", functions.INTEGER_AVERAGE, x, y, logits, *scale, *_average_sizes(op)
        )
    else:
        _move(writer, op, "uint8_t", x, y)
    if step.table is not None:
        table = writer.constant(f"inkling_table{op.number}", "uint8_t", list(step.table))
        writer.call("inkling_table", functions.TABLE, y, table, math.prod(op.output_shape))


def pack_nibbles(weights: Array) -> Array:
    """Weights from -8 to 7 as (w + 8), two in a byte, the first in the low half."""
    values = (weights.flatten().astype(np.int16) + 8).astype(np.uint8)
    if len(values) % 2:
        values = np.append(values, np.uint8(8))
    return np.asarray(values[::2] | values[1::2] << 4, np.uint8)


def _move(writer: _Writer, op: Operation, ctype: str, x: str, y: str) -> None:
    """A maximum or space to depth, which are the same for all types."""
    channels, height, width = op.input_shape
    if op.kind == "maxpool":
        sizes = (channels, height, width, *op.output_shape[1:], op.kernel, op.stride)
        writer.call("inkling_maximum", functions.MAXIMUM.replace("TYPE", ctype), x, y, *sizes)
    else:
        text = functions.SPACE_TO_DEPTH.replace("TYPE", ctype)
        writer.call("inkling_space_to_depth", text, x, y, channels, height, width, op.block)


def _add_window(writer: _Writer, operations: Sequence[Operation]) -> int:
    """Add what convolutions need; return the length of a line of sums, or 0."""
    widths = [op.output_shape[2] for op in operations if op.kind == "conv"]
    if widths:
        writer.functions = {"window": functions.WINDOW, **writer.functions}
    return max(widths, default=0)


def _conv_sizes(op: Operation) -> tuple[int, ...]:
    return (*op.input_shape, *op.output_shape, op.kernel, op.stride, op.padding, op.groups)


def _average_sizes(op: Operation) -> tuple[int, ...]:
    channels, height, width = op.input_shape
    window = (
        (height, width, 1) if op.kind == "global_avgpool" else (op.kernel, op.kernel, op.stride)
    )
    return (channels, height, width, *op.output_shape[1:], *window)


def _number(value: Any) -> str:
    """A float32 as C writes it, exact."""
    return f"{np.float32(value)!s}f"


def _wrap(values: Sequence[object], width: int) -> list[str]:
    """Values with commas between them, in lines of at most that width."""
    text = ", ".join(map(str, values))
    # Numbers such as 1e-05f stay whole.
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
