"""The backward pass of a training step in C, operation by operation. Must not import torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.compiled.builder import Builder, Gradients, reads_copies
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


def add_backward(
    builder: Builder,
    operations: Sequence[Operation],
    outputs: dict[int, str],
    dlogits: str,
    gradients: Gradients,
) -> None:
    """Add the backward pass of all operations.

    Args:
        outputs: addresses of their outputs.
        dlogits: address of the loss's gradient with respect to the last one.
        gradients: is told how the gradients of weights and biases are added up.
    """
    trained = {0: False}  # whether an operation's output depends on a weight
    for op in operations:
        trained[op.number] = op.weight is not None or trained[op.source] or trained[op.added]
    parts: dict[int, list[str]] = {op.number: [] for op in operations}
    parts[0] = []
    parts[operations[-1].number].append(dlogits)
    for op in operations:
        if op.weight is not None:
            gradients.uses.setdefault(op.weight, []).append(op.number)
    for op in reversed(operations):
        n, vectors = op.number, math.prod(op.output_shape)
        if not trained[n]:
            continue
        dy = parts[n][0]
        if len(parts[n]) > 1:
            target = builder.per_chunk(f"dy{n}", vectors)
            lines = []
            for part in parts[n][1:]:
                lines.append(f"add({dy}, {part}, scratch, {vectors});")
                dy = "scratch"
            builder.need_scratch(vectors * builder.lanes)
            lines.append(f"copy({target}, scratch, {vectors} * LANES);")
            builder.add_local(f"row {n}: gradients of its uses", *lines)
            dy = target
        if op.kind == "conv":
            dx = _conv_backward(builder, op, outputs, dy, gradients, trained[op.source])
        else:
            dx = _other_backward(builder, op, outputs, dy)
        if trained[op.source] and dx is not None:
            parts[op.source].append(dx)
        if op.kind == "add" and dx is not None:
            parts[op.added].append(dx)


def _conv_backward(
    builder: Builder,
    op: Operation,
    outputs: dict[int, str],
    dy: str,
    gradients: Gradients,
    needs_dx: bool,
) -> str | None:
    n, x = op.number, outputs[op.source]
    channels, height, width = op.output_shape
    vectors = math.prod(op.output_shape)
    raw = f"a->c{n}[chunk]"
    if op.norm is not None:
        slot, pixels = builder.slots(f"dsums{n}", 2 * channels), height * width
        image = f"{channels}, {pixels}, {op.activation}, 0, {pixels}"
        rows = norm_rows(channels, "SCALE", "OFFSET", "MEAN")
        builder.add_local(
            f"row {n}: sums of the norm's gradient",
            builder.shared(
                f"norm_pool_gradient_sums(x, dy, {rows}, sums, {pooled_image(builder, n)})"
                if n in builder.pooled
                else f"norm_gradient_sums(x, dy, {rows}, sums, {image})",
                x=raw,
                dy=dy,
                norm=f"a->norm{n}",
                sums=slot,
            ),
        )
        builder.add_common(
            f"row {n}: gradients of the norm",
            1,
            f"norm_gradient(a->dsums{n}[0], step->chunks, {channels}, "
            f"(double)step->in.batch * {pixels}, {gradients(op.norm)}, {gradients(op.norm + 1)}, "
            f"a->norm{n});",
        )
        if reads_copies(op):
            return _gradients_from_copies(builder, op, x, dy, gradients, needs_dx)
        dc = builder.per_chunk(f"dc{n}", vectors)
        rows = norm_rows(channels, "SCALE", "OFFSET", "MEAN", "LEVEL", "SLOPE")
        builder.add_local(
            f"row {n}: gradient before the norm",
            builder.shared(
                f"norm_input_gradient(x, dy, {rows}, dx, {image}, mask)",
                x=raw,
                dy=dy,
                norm=f"a->norm{n}",
                dx=dc,
                mask="a->masks[chunk]",
            ),
        )
        dy = dc
    elif op.activation != "NONE":
        dc = builder.per_chunk(f"dc{n}", vectors)
        builder.add_local(
            f"row {n}: gradient before the activation",
            f"activation_gradient({raw}, {dy}, {dc}, {vectors}, {op.activation});",
        )
        dy = dc

    slot, rest = _weight_slot(builder, op, gradients)
    outs = _biases(op)
    builder.need_scratch(rest + conv_scratch(op, builder.lanes))
    bias = f"scratch + {op.weights}" if outs else "0"
    builder.add_local(
        f"row {n}: gradient of the weights",
        builder.shared(
            f"conv_weight_gradient(x, dy, dw, db, scratch, {conv_sizes(op)}, 0, {height})",
            x=x,
            dy=dy,
            dw="scratch",
            db=bias,
            scratch=f"scratch + {rest}",
        ),
        f"copy({slot}, scratch, {op.weights + outs});",
    )
    if not needs_dx:
        return None
    dx = builder.per_chunk(f"dx{n}", math.prod(op.input_shape))
    builder.add_local(
        f"row {n}: gradient of the input",
        builder.shared(
            f"conv_input_gradient(dy, w, dx, scratch, {conv_sizes(op)}, 0, {op.input_shape[1]})",
            dy=dy,
            w=tensor(op.weight),
            dx=dx,
            scratch="scratch",
        ),
    )
    return dx


def _gradients_from_copies(
    builder: Builder, op: Operation, x: str, dy: str, gradients: Gradients, needs_dx: bool
) -> str | None:
    """Add the gradients of a convolution before a norm; both read the same two padded copies."""
    n, (channels, height, width) = op.number, op.output_shape
    inputs, in_height, in_width = op.input_shape
    slot, x_start = _weight_slot(builder, op, gradients)
    zeros = op.kernel - 1 - op.padding
    padded = in_width + 2 * op.padding
    dy_start = x_start + inputs * (in_height + 2 * op.padding) * padded * builder.lanes
    builder.need_scratch(
        dy_start + channels * (height + 2 * zeros) * (width + 2 * zeros) * builder.lanes
    )
    x_copy, dy_copy = f"scratch + {x_start}", f"scratch + {dy_start}"
    if op.source in builder.unstored:
        copy_x = pad_norm(builder, op, x_copy)
    else:
        copy_x = builder.shared(
            f"pad_lines(x, y, {inputs}, {in_height}, {in_width}, {padded}, 1, {op.padding}, 0, "
            f"{in_height + 2 * op.padding})",
            x=x,
            y=x_copy,
        )
    rows = norm_rows(channels, "SCALE", "OFFSET", "MEAN", "LEVEL", "SLOPE")
    if n in builder.pooled:
        call = f"pad_norm_pool_gradient(x, dy, {rows}, dx, {pooled_image(builder, n)}"
    else:
        call = (
            f"pad_norm_gradient(x, dy, {rows}, dx, {channels}, {height}, {width}, {op.activation}"
        )
    builder.add_local(
        f"row {n}: gradient before the norm",
        builder.shared(
            f"{call}, {zeros}, mask)",
            x=f"a->c{n}[chunk]",
            dy=dy,
            norm=f"a->norm{n}",
            dx=dy_copy,
            mask="a->masks[chunk]",
        ),
    )
    builder.add_local(
        f"row {n}: gradient of the weights",
        copy_x,
        builder.shared(
            f"conv_weight_gradient_padded(x, dy, dw, 0, {conv_sizes(op)})",
            x=x_copy,
            dy=dy_copy,
            dw="scratch",
        ),
        f"copy({slot}, scratch, {op.weights});",
    )
    if not needs_dx:
        return None
    dx = builder.per_chunk(f"dx{n}", math.prod(op.input_shape))
    builder.add_local(
        f"row {n}: gradient of the input",
        builder.shared(
            f"conv_input_gradient_padded(dy, w, dx, {conv_sizes(op)})",
            dy=dy_copy,
            w=tensor(op.weight),
            dx=dx,
        ),
    )
    return dx


def _weight_slot(builder: Builder, op: Operation, gradients: Gradients) -> tuple[str, int]:
    """Declare a place for a chunk's gradients of weights and biases, and say how they are added up.

    Returns:
        The place's address, and how many floats of scratch come before what is aligned.
    """
    outs = _biases(op)
    size = op.weights + outs
    assert op.weight is not None
    # Rows that share weights have places side by side in a chunk's slot, and all are added up.
    uses = gradients.uses[op.weight]
    name, count = f"dw{uses[-1]}", f"step->chunks * {len(uses)}"
    if op.number == uses[-1]:  # the backward pass comes to it first
        builder.slots(name, size * len(uses))
    slot = f"a->{name}[chunk] + {size * uses.index(op.number)}"
    gradients.reductions[op.weight] = (
        f"add_slots(a->{name}[0], {count}, {size}, 0, {op.weights}, {gradients(op.weight)});"
    )
    if op.bias is not None:
        gradients.reductions[op.bias] = (
            f"add_slots(a->{name}[0], {count}, {size}, {op.weights}, {outs}, {gradients(op.bias)});"
        )
    return slot, -(-size // 16) * 16


def _biases(op: Operation) -> int:
    """Return the number of biases whose gradient is not 0: batch norm subtracts a bias."""
    return op.output_shape[0] if op.bias is not None and op.norm is None else 0


def _other_backward(
    builder: Builder, op: Operation, outputs: dict[int, str], dy: str
) -> str | None:
    n, x = op.number, outputs[op.source]
    channels, height, width = op.input_shape
    vectors = math.prod(op.input_shape)
    if (op.kind == "add" and op.activation == "NONE") or op.source in builder.pooled:
        return dy  # the norm before a pool finds the maxima again
    dx = builder.per_chunk(f"dx{n}", vectors)
    window = f"{height}, {width}, {op.kernel}, {op.stride}"
    if op.kind == "maxpool":
        call = f"max_pool_gradient({x} + {{x}}, {dy} + {{y}}, {dx} + {{x}}, {window});"
        lines = each_channel(op, call)
    elif op.kind == "avgpool":
        lines = each_channel(op, f"average_pool_gradient({dy} + {{y}}, {dx} + {{x}}, {window});")
    elif op.kind == "global_avgpool":
        lines = [f"global_average_gradient({dy}, {dx}, {channels}, {height * width});"]
    elif op.kind == "space_to_depth":
        lines = [f"space_to_depth_gradient({dy}, {dx}, {channels}, {height}, {width}, {op.block});"]
    elif op.kind == "dropout":
        lines = [dropout_call(op, dy, dx, vectors)]
    else:  # add; the sum is computed again
        builder.need_scratch(vectors * builder.lanes)
        lines = [
            f"add({x}, {outputs[op.added]}, scratch, {vectors});",
            f"activation_gradient(scratch, {dy}, {dx}, {vectors}, {op.activation});",
        ]
    builder.add_local(f"row {n}: gradient of {describe(op)}", *lines)
    return dx
