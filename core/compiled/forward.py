"""The forward pass of a training step in C, operation by operation. Must not import torch."""

from __future__ import annotations

import math

from core.compiled.builder import Builder
from core.compiled.calls import (
    conv_scratch,
    conv_sizes,
    describe,
    dropout_call,
    each_channel,
    norm_rows,
    pad_norm,
    pooled_image,
    tensor,
)
from core.compiled.plan import Operation


def add_forward(builder: Builder, op: Operation, outputs: dict[int, str]) -> str:
    """Add an operation's forward pass.

    Args:
        outputs: addresses of the outputs of the operations before it.

    Returns:
        The address of its output; an empty text if it is stored nowhere.
    """
    if op.kind == "conv":
        return _conv_forward(builder, op, outputs[op.source])
    n, vectors = op.number, math.prod(op.output_shape)
    y = builder.per_chunk(f"y{n}", vectors)
    if op.source in builder.pooled:
        rows = norm_rows(op.input_shape[0], "SCALE", "OFFSET")
        lines = [
            builder.shared(
                f"norm_max_pool(x, {rows}, y, {pooled_image(builder, op.source)})",
                x=f"a->c{op.source}[chunk]",
                norm=f"a->norm{op.source}",
                y=y,
            )
        ]
    else:
        builder.need_scratch(vectors * builder.lanes)
        lines = forward_lines(op, outputs[op.source], y, outputs)
    builder.add_local(f"row {n}: {describe(op)}", *lines)
    return y


def _conv_forward(builder: Builder, op: Operation, x: str) -> str:
    """Add a convolution with its norm and activation; return the address of the output."""
    n, (channels, height, width) = op.number, op.output_shape
    vectors = math.prod(op.output_shape)
    direct = op.norm is None and op.activation == "NONE"
    raw = builder.per_chunk(f"y{n}" if direct else f"c{n}", vectors)
    arguments = {
        "w": tensor(op.weight),
        # Batch norm subtracts the convolution's bias again.
        "bias": tensor(op.bias) if op.norm is None else "0",
        "y": raw,
        "sums": "0" if op.norm is None else builder.slots(f"sums{n}", 2 * channels),
        "mask": "a->masks[chunk]",
    }
    builder.need_scratch(conv_scratch(op, builder.lanes))
    if op.source in builder.unstored:
        call = f"conv_forward_padded(x, w, bias, y, {conv_sizes(op)}, sums, mask)"
        lines = [
            pad_norm(builder, op, "scratch"),
            builder.shared(call, x="scratch", **arguments),
        ]
    else:
        call = f"conv_forward(x, w, bias, y, scratch, {conv_sizes(op)}, 0, {height}, sums, mask)"
        lines = [builder.shared(call, x=x, scratch="scratch", **arguments)]
    builder.add_local(f"row {n}: {describe(op)}", *lines)
    if direct:
        return raw
    if op.norm is not None:
        _add_statistics(builder, op)
        if n in builder.unstored:
            return ""
    y = builder.per_chunk(f"y{n}", vectors)
    if op.norm is None:
        builder.add_local(
            "activation", f"activation_apply({raw}, {y}, {vectors}, {op.activation});"
        )
        return y
    pixels, rows = height * width, norm_rows(channels, "SCALE", "OFFSET")
    call = f"norm_apply(x, {rows}, y, {channels}, {pixels}, {op.activation}, 0, {pixels})"
    builder.add_local(f"row {n}: norm", builder.shared(call, x=raw, norm=f"a->norm{n}", y=y))
    return y


def _add_statistics(builder: Builder, op: Operation) -> None:
    """Add the phase that joins the chunks' statistics, and the update of the running ones."""
    n, (channels, height, width), first = op.number, op.output_shape, op.norm
    assert first is not None
    norm, seen = builder.array(f"norm{n}", 6 * channels), builder.array(f"batch{n}", 2 * channels)
    builder.add_common(
        f"row {n}: batch statistics",
        1,
        f"norm_statistics(a->sums{n}[0], step->in.batch, {channels}, {height * width}, "
        f"{tensor(first)}, {tensor(first + 1)}, {tensor(op.bias)}, {seen}, {norm});",
    )
    builder.commit.append(
        f"update_running({tensor(first + 2)}, {tensor(first + 3)}, "
        f"(int64_t *){tensor(first + 4)}, {seen}, {channels});"
    )


def forward_lines(op: Operation, x: str, y: str, outputs: dict[int, str]) -> list[str]:
    """Return the calls that compute an operation other than a convolution for one chunk."""
    channels, height, width = op.input_shape
    vectors = math.prod(op.output_shape)
    if op.kind in ("maxpool", "avgpool"):
        name = "max_pool" if op.kind == "maxpool" else "average_pool"
        window = f"{height}, {width}, {op.kernel}, {op.stride}"
        return each_channel(op, f"{name}({x} + {{x}}, {y} + {{y}}, {window});")
    if op.kind == "global_avgpool":
        return [f"global_average({x}, {y}, {channels}, {height * width});"]
    if op.kind == "space_to_depth":
        return [f"space_to_depth({x}, {y}, {channels}, {height}, {width}, {op.block});"]
    if op.kind == "dropout":
        return [dropout_call(op, x, y, vectors)]
    total = f"add({x}, {outputs[op.added]}, {y}, {vectors});"
    if op.activation == "NONE":
        return [total]
    # The backward pass computes the sum again.
    return [
        f"add({x}, {outputs[op.added]}, scratch, {vectors});",
        f"activation_apply(scratch, {y}, {vectors}, {op.activation});",
    ]
