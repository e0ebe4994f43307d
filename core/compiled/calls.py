"""C expressions for operations: sizes, addresses and calls of kernels. Must not import torch."""

from __future__ import annotations

import math

from core.compiled.builder import Builder
from core.compiled.plan import Operation


def describe(op: Operation) -> str:
    """Return an operation in a few words, for a comment."""
    (inputs, height, width), outputs = op.input_shape, op.output_shape[0]
    if op.kind == "conv":
        return f"conv {inputs} -> {outputs}, {op.kernel}x{op.kernel}, {height}x{width}"
    return f"{op.kind.replace('_', ' ')}, {inputs} channels, {height}x{width}"


def tensor(position: int | None) -> str:
    """Return the address of a tensor of the state_dict; 0 for None."""
    return "0" if position is None else f"step->in.tensors[{position}]"


def conv_sizes(op: Operation) -> str:
    """Return the sizes that the convolution's kernels take, from IN to GROUPS."""
    (inputs, height, width), outputs = op.input_shape, op.output_shape[0]
    return (
        f"{inputs}, {outputs}, {height}, {width}, {op.kernel}, {op.stride}, {op.padding}, "
        f"{op.groups}"
    )


def conv_scratch(op: Operation, lanes: int) -> int:
    """Floats of scratch that a convolution or one of its gradients needs."""
    (inputs, height, width), (outputs, out_height, _) = op.input_shape, op.output_shape
    lines = (out_height - 1) * op.stride + op.kernel
    forward = inputs * lines * (width + 2 * op.padding)
    backward = outputs * (height + op.kernel - 1) * (width + op.kernel - 1)
    return lanes * max(forward, backward)


def norm_rows(channels: int, *names: str) -> str:
    """Return the addresses of a norm's coefficients."""
    return ", ".join(f"norm + {name} * {channels}" for name in names)


def each_channel(op: Operation, call: str) -> list[str]:
    """Return a loop over channels; {x} and {y} in the call: where the channel begins."""
    sizes = [math.prod(shape[1:]) for shape in (op.input_shape, op.output_shape)]
    x, y = (f"c * {size} * LANES" for size in sizes)
    return [f"for (int c = 0; c < {op.input_shape[0]}; c++)", "    " + call.format(x=x, y=y)]


def dropout_call(op: Operation, x: str, y: str, vectors: int) -> str:
    """Return the call that drops values of x, or of its gradient."""
    return (
        f"dropout({x}, {y}, {vectors}, {op.dropout!r}f, dropout_key(step->in.key, {op.number}), "
        "chunk);"
    )


def pad_norm(builder: Builder, op: Operation, target: str) -> str:
    """Return a call that writes the input of `op`, which is stored nowhere, to a padded copy."""
    source = builder.unstored[op.source]
    channels, height, width = source.output_shape
    return builder.shared(
        f"pad_norm(x, {norm_rows(channels, 'SCALE', 'OFFSET')}, y, {channels}, {height}, {width}, "
        f"{source.activation}, {op.padding})",
        x=f"a->c{source.number}[chunk]",
        norm=f"a->norm{source.number}",
        y=target,
    )


def pooled_image(builder: Builder, number: int) -> str:
    """Return the sizes of an image that a max pool reads, its kernel, and the activation."""
    op, pool = builder.unstored[number], builder.pooled[number]
    channels, height, width = op.output_shape
    return f"{channels}, {height}, {width}, {pool.kernel}, {op.activation}"
