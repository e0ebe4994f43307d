"""The C source of a training step and of a forward pass, from a plan.

A phase is what threads do between two waits for each other. Only batch statistics and the gradients
of weights join images; everything between them is computed chunk by chunk, so that a chunk's arrays
stay in the cache. Must not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.compiled.plan import Operation, parameters_of
from core.task import CLASSES

# Two sets of buffers, so that a late thread may still write into one of them; one if it is large.
LARGE_ARENA = 64 << 20
MAX_ARENA = 1 << 30
"""Bytes of buffers above which a network is not compiled."""
PIXELS = 28 * 28
_MEAN, _STD = 0.1307, 0.3081  # of core.data.batches


@dataclass
class _Phase:
    comments: list[str]
    lines: list[str]
    per_chunk: int
    fixed: int


# Arguments of kernels that point to what they write.
_WRITTEN = ("y", "dx", "dw", "db", "sums", "scratch")


@dataclass
class _Builder:
    """Arrays, phases and scratch, in the order in which they are added."""

    lanes: int
    chunks: int
    arrays: list[str] = field(default_factory=list)
    phases: list[_Phase] = field(default_factory=list)
    commit: list[str] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)  # body -> name
    floats: int = 0  # of all arrays
    scratch: int = 64  # floats

    def per_chunk(self, name: str, vectors: int) -> str:
        """Declare an array of `vectors` vectors for each chunk; return its address in a tile."""
        self.arrays.append(f"float {name}[CHUNKS][{vectors} * LANES];")
        self.floats += self.chunks * vectors * self.lanes
        return f"a->{name}[chunk]"

    def slots(self, name: str, floats: int) -> str:
        """Declare an array of `floats` numbers for each chunk; return its address in a tile."""
        self.arrays.append(f"float {name}[CHUNKS][{floats}];")
        self.floats += self.chunks * floats
        return f"a->{name}[chunk]"

    def array(self, name: str, floats: int) -> str:
        """Declare an array that all chunks share; return its address."""
        self.arrays.append(f"float {name}[{floats}];")
        self.floats += floats
        return f"a->{name}"

    def add_local(self, comment: str, *lines: str) -> None:
        """Add work on one chunk that depends on earlier phases and on this chunk only."""
        if not self.phases or not self.phases[-1].per_chunk:
            self.phases.append(_Phase([], [], 1, 0))
        self.phases[-1].comments.append(comment)
        self.phases[-1].lines += [f"// {comment}", *lines]

    def add_common(self, comment: str, tiles: int, *lines: str) -> None:
        """Add a phase of `tiles` tiles that depends on all chunks."""
        self.phases.append(_Phase([comment], list(lines), 0, tiles))

    def shared(self, call: str, **arguments: str) -> str:
        """Return a call of a function that all rows of the same shape share, to compile it once.

        Args:
            call: of a kernel, with the names of the arguments where rows differ.
            arguments: what this row passes.
        """
        parameters = ", ".join(
            f"{'' if name in _WRITTEN else 'const '}float *{name}" for name in arguments
        )
        body = f"({parameters}) {{\n    {call};\n}}"
        kernel = call.partition("(")[0]
        name = self.functions.setdefault(body, f"{kernel}_{len(self.functions) + 1}")
        return f"{name}({', '.join(arguments.values())});"

    def need_scratch(self, floats: int) -> None:
        """Make room for `floats` numbers that a tile uses by itself."""
        self.scratch = max(self.scratch, floats)


def training_source(operations: Sequence[Operation], batch: int, lanes: int) -> str | None:
    """Return the C source of a training step; None if it would need too much memory.

    Args:
        operations: the network.
        batch: most images in a step.
        lanes: images in a chunk.
    """
    builder = _Builder(lanes, -(-batch // lanes))
    gradients = _Gradients(parameters_of(operations))
    builder.arrays += [f"uint8_t images[BATCH * {PIXELS}];", "int64_t labels[BATCH];"]
    builder.array("teacher", batch * CLASSES)
    builder.array("gradients", gradients.total)
    builder.array("updates", gradients.total)
    builder.array("clip", 1)
    builder.per_chunk("masks", 1)
    outputs = {0: builder.per_chunk("x0", PIXELS)}
    builder.add_local(
        "images",
        f"load_images(a->images + chunk * LANES * {PIXELS}, {outputs[0]}, {PIXELS}, "
        f"lanes_of(step, chunk), {1 / (255 * _STD)!r}f, {-_MEAN / _STD!r}f);",
    )
    for operation in operations:
        outputs[operation.number] = _forward(builder, operation, outputs)
    last = operations[-1]
    loss, dlogits = builder.slots("loss", 2), builder.per_chunk("dlogits", CLASSES)
    builder.add_local(
        "loss",
        f"cross_entropy({outputs[last.number]}, a->labels + chunk * LANES, "
        f"step->is_taught ? a->teacher + chunk * LANES * {CLASSES} : 0, {dlogits}, {loss}, "
        "lanes_of(step, chunk), step->in.batch, step->in.smoothing, step->in.teacher_share, "
        "step->in.temperature);",
    )
    _backward(builder, operations, outputs, dlogits, gradients)
    _update(builder, gradients)
    return _render(builder, batch) if builder.floats * 4 <= MAX_ARENA else None


class _Gradients:
    """Places of the parameters' gradients in one array."""

    def __init__(self, parameters: Sequence[tuple[int, int]]):
        self.tensors = [tensor for tensor, _ in parameters]
        sizes = [size for _, size in parameters]
        self.offsets = [sum(sizes[:index]) for index in range(len(sizes))]
        self.total, self.largest = sum(sizes), max(sizes)
        self.reductions: dict[int, str] = {}  # tensor -> how its gradient is added up

    def __call__(self, tensor: int) -> str:
        return f"a->gradients + {self.offsets[self.tensors.index(tensor)]}"


def _forward(builder: _Builder, op: Operation, outputs: dict[int, str]) -> str:
    """Add an operation's forward pass; return the address of its output."""
    n, x = op.number, outputs[op.source]
    channels, height, width = op.output_shape
    vectors = math.prod(op.output_shape)
    if op.kind == "conv":
        direct = op.norm is None and op.activation == "NONE"
        raw = builder.per_chunk(f"y{n}" if direct else f"c{n}", vectors)
        # Batch norm subtracts the convolution's bias again.
        bias = _tensor(op.bias) if op.norm is None else "0"
        sums = "0" if op.norm is None else builder.slots(f"sums{n}", 2 * channels)
        builder.need_scratch(_conv_scratch(op, builder.lanes))
        builder.add_local(
            f"row {n}: {describe(op)}",
            builder.shared(
                f"conv_forward(x, w, bias, y, scratch, {_shape(op)}, 0, {height}, sums, mask)",
                x=x,
                w=_tensor(op.weight),
                bias=bias,
                y=raw,
                scratch="scratch",
                sums=sums,
                mask="a->masks[chunk]",
            ),
        )
        if direct:
            return raw
        y = builder.per_chunk(f"y{n}", vectors)
        if op.norm is None:
            builder.add_local(
                "activation", f"activation_apply({raw}, {y}, {vectors}, {op.activation});"
            )
            return y
        pixels, norm, weight = height * width, builder.array(f"norm{n}", 6 * channels), op.norm
        seen = builder.array(f"batch{n}", 2 * channels)
        builder.add_common(
            f"row {n}: batch statistics",
            1,
            f"norm_statistics(a->sums{n}[0], step->in.batch, {channels}, {pixels}, "
            f"{_tensor(weight)}, {_tensor(weight + 1)}, {_tensor(op.bias)}, {seen}, {norm});",
        )
        builder.add_local(
            f"row {n}: norm",
            builder.shared(
                f"norm_apply(x, {_rows(channels, 'SCALE', 'OFFSET')}, y, {channels}, {pixels}, "
                f"{op.activation}, 0, {pixels})",
                x=raw,
                norm=norm,
                y=y,
            ),
        )
        builder.commit.append(
            f"update_running({_tensor(weight + 2)}, {_tensor(weight + 3)}, "
            f"(int64_t *){_tensor(weight + 4)}, {seen}, {channels});"
        )
        return y
    y = builder.per_chunk(f"y{n}", vectors)
    builder.need_scratch(vectors * builder.lanes)
    builder.add_local(f"row {n}: {describe(op)}", *forward_lines(op, x, y, outputs))
    return y


def forward_lines(op: Operation, x: str, y: str, outputs: dict[int, str]) -> list[str]:
    """Return the calls that compute an operation other than a convolution for one chunk."""
    channels, height, width = op.input_shape
    vectors = math.prod(op.output_shape)
    if op.kind in ("maxpool", "avgpool"):
        name = "max_pool" if op.kind == "maxpool" else "average_pool"
        window = f"{height}, {width}, {op.kernel}, {op.stride}"
        return _each_channel(op, f"{name}({x} + {{x}}, {y} + {{y}}, {window});")
    if op.kind == "global_avgpool":
        return [f"global_average({x}, {y}, {channels}, {height * width});"]
    if op.kind == "space_to_depth":
        return [f"space_to_depth({x}, {y}, {channels}, {height}, {width}, {op.block});"]
    if op.kind == "dropout":
        return [_dropout(op, x, y, vectors)]
    total = f"add({x}, {outputs[op.added]}, {y}, {vectors});"
    if op.activation == "NONE":
        return [total]
    # The backward pass computes the sum again.
    return [
        f"add({x}, {outputs[op.added]}, scratch, {vectors});",
        f"activation_apply(scratch, {y}, {vectors}, {op.activation});",
    ]


def _backward(
    builder: _Builder,
    operations: Sequence[Operation],
    outputs: dict[int, str],
    dlogits: str,
    gradients: _Gradients,
) -> None:
    trained = {0: False}  # whether an operation's output depends on a weight
    for op in operations:
        trained[op.number] = op.weight is not None or trained[op.source] or trained[op.added]
    parts: dict[int, list[str]] = {op.number: [] for op in operations}
    parts[0] = []
    parts[operations[-1].number].append(dlogits)
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
    builder: _Builder,
    op: Operation,
    outputs: dict[int, str],
    dy: str,
    gradients: _Gradients,
    needs_dx: bool,
) -> str | None:
    n, x = op.number, outputs[op.source]
    channels, height, width = op.output_shape
    vectors = math.prod(op.output_shape)
    raw = f"a->c{n}[chunk]"
    if op.norm is not None:
        slot, pixels = builder.slots(f"dsums{n}", 2 * channels), height * width
        image = f"{channels}, {pixels}, {op.activation}, 0, {pixels}"
        builder.add_local(
            f"row {n}: sums of the norm's gradient",
            builder.shared(
                f"norm_gradient_sums(x, dy, {_rows(channels, 'SCALE', 'OFFSET', 'MEAN')}, sums, "
                f"{image})",
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
        dc = builder.per_chunk(f"dc{n}", vectors)
        rows = _rows(channels, "SCALE", "OFFSET", "MEAN", "LEVEL", "SLOPE")
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

    outs = channels if op.bias is not None and op.norm is None else 0
    slot = builder.slots(f"dw{n}", op.weights + outs)
    rest = -(-(op.weights + outs) // 16) * 16  # scratch is aligned
    builder.need_scratch(rest + _conv_scratch(op, builder.lanes))
    bias = f"scratch + {op.weights}" if outs else "0"
    builder.add_local(
        f"row {n}: gradient of the weights",
        builder.shared(
            f"conv_weight_gradient(x, dy, dw, db, scratch, {_shape(op)}, 0, {height})",
            x=x,
            dy=dy,
            dw="scratch",
            db=bias,
            scratch=f"scratch + {rest}",
        ),
        f"copy({slot}, scratch, {op.weights + outs});",
    )
    assert op.weight is not None
    size = op.weights + outs
    gradients.reductions[op.weight] = (
        f"add_slots(a->dw{n}[0], step->chunks, {size}, 0, {op.weights}, {gradients(op.weight)});"
    )
    if op.bias is not None:
        gradients.reductions[op.bias] = (
            f"add_slots(a->dw{n}[0], step->chunks, {size}, {op.weights}, {outs}, "
            f"{gradients(op.bias)});"
        )
    if not needs_dx:
        return None
    dx = builder.per_chunk(f"dx{n}", math.prod(op.input_shape))
    builder.add_local(
        f"row {n}: gradient of the input",
        builder.shared(
            f"conv_input_gradient(dy, w, dx, scratch, {_shape(op)}, 0, {op.input_shape[1]})",
            dy=dy,
            w=_tensor(op.weight),
            dx=dx,
            scratch="scratch",
        ),
    )
    return dx


def _other_backward(
    builder: _Builder, op: Operation, outputs: dict[int, str], dy: str
) -> str | None:
    n, x = op.number, outputs[op.source]
    channels, height, width = op.input_shape
    vectors = math.prod(op.input_shape)
    if op.kind == "add" and op.activation == "NONE":
        return dy
    dx = builder.per_chunk(f"dx{n}", vectors)
    window = f"{height}, {width}, {op.kernel}, {op.stride}"
    if op.kind == "maxpool":
        call = f"max_pool_gradient({x} + {{x}}, {dy} + {{y}}, {dx} + {{x}}, {window});"
        lines = _each_channel(op, call)
    elif op.kind == "avgpool":
        lines = _each_channel(op, f"average_pool_gradient({dy} + {{y}}, {dx} + {{x}}, {window});")
    elif op.kind == "global_avgpool":
        lines = [f"global_average_gradient({dy}, {dx}, {channels}, {height * width});"]
    elif op.kind == "space_to_depth":
        lines = [f"space_to_depth_gradient({dy}, {dx}, {channels}, {height}, {width}, {op.block});"]
    elif op.kind == "dropout":
        lines = [_dropout(op, dy, dx, vectors)]
    else:  # add; the sum is computed again
        builder.need_scratch(vectors * builder.lanes)
        lines = [
            f"add({x}, {outputs[op.added]}, scratch, {vectors});",
            f"activation_gradient(scratch, {dy}, {dx}, {vectors}, {op.activation});",
        ]
    builder.add_local(f"row {n}: gradient of {describe(op)}", *lines)
    return dx


def _update(builder: _Builder, gradients: _Gradients) -> None:
    """Add the phases that add up gradients, clip them and orthogonalise updates."""
    count = len(gradients.tensors)
    cases = [
        f"case {index}: {gradients.reductions[tensor]} break;"
        for index, tensor in enumerate(gradients.tensors)
        if tensor in gradients.reductions
    ]
    update = "update_tile(&step->in, tile, 1, a->gradients, a->updates, scratch);"
    builder.need_scratch(5 * gradients.largest)
    builder.add_common(
        "gradients of weights and biases, and Muon's updates",
        count,
        "switch (tile) {",
        *cases,
        "}",
        f"if (!step->in.rule.clip_norm) {update}",
    )
    builder.add_common(
        "clipping",
        1,
        f"if (step->in.rule.clip_norm) *a->clip = clip_factor(a->gradients, {gradients.total}, "
        "step->in.rule.clip_norm);",
    )
    builder.add_common(
        "Muon's updates from clipped gradients",
        count,
        f"if (step->in.rule.clip_norm) {update.replace(', 1,', ', *a->clip,')}",
    )


def _render(builder: _Builder, batch: int) -> str:
    slots = 2 if builder.floats * 4 <= LARGE_ARENA else 1
    scratch = -(-builder.scratch // 16) * 16
    tiles = sum(phase.per_chunk * builder.chunks + phase.fixed for phase in builder.phases)
    text = [
        "// A training step, generated by core.compiled.source.",
        '#include "vector.h"',
        f"enum {{ BATCH = {batch}, CHUNKS = (BATCH + LANES - 1) / LANES, SLOTS = {slots} }};",
        f"enum {{ PHASES = {len(builder.phases)}, TILES = {tiles}, SCRATCH = {scratch} }};",
        "",
        "// The arrays of a step: x, y: values; c: before norm and activation; d: gradients.",
        "struct Arena {",
        *(f"    {array[:-1]} __attribute__((aligned(64)));" for array in builder.arrays),
        "};",
        "",
        *(f'#include "{name}.h"' for name in _HEADERS),
        "",
    ]
    for body, name in builder.functions.items():
        text += [f"static __attribute__((noinline)) void {name}{body}", ""]
    first = 0
    table = []
    for number, phase in enumerate(builder.phases):
        text += [
            f"static void phase_{number}(struct Step *step, int tile, float *scratch) {{",
            "    struct Arena *a = &step->arena;",
            *(
                ["    const int chunk = tile;"]
                if phase.per_chunk
                else [f"    // {phase.comments[0]}"]
            ),
            *(f"    {line}" for line in phase.lines),
            "}",
            "",
        ]
        table.append(f"    {{phase_{number}, {phase.per_chunk}, {phase.fixed}, {first}}},")
        first += phase.per_chunk * builder.chunks + phase.fixed
    text += [
        "static const struct Phase phases[PHASES] = {",
        *table,
        "};",
        "",
        "// What is changed in place, by one thread after the last phase.",
        "static float commit(struct Step *step) {",
        "    struct Arena *a = &step->arena;",
        *(f"    {line}" for line in builder.commit),
        "    return finish_step(step, a->gradients, a->updates, *a->clip, a->loss[0]);",
        "}",
        "",
        '#include "entry.h"',
        "",
    ]
    return "\n".join(text)


_HEADERS = ("phases", "convolution", "loss", "norm", "pooling", "statistics")


def describe(op: Operation) -> str:
    """Return an operation in a few words, for a comment."""
    (inputs, height, width), outputs = op.input_shape, op.output_shape[0]
    if op.kind == "conv":
        return f"conv {inputs} -> {outputs}, {op.kernel}x{op.kernel}, {height}x{width}"
    return f"{op.kind.replace('_', ' ')}, {inputs} channels, {height}x{width}"


def _tensor(position: int | None) -> str:
    return "0" if position is None else f"step->in.tensors[{position}]"


def _shape(op: Operation) -> str:
    (inputs, height, width), outputs = op.input_shape, op.output_shape[0]
    return (
        f"{inputs}, {outputs}, {height}, {width}, {op.kernel}, {op.stride}, {op.padding}, "
        f"{op.groups}"
    )


def _conv_scratch(op: Operation, lanes: int) -> int:
    """Floats of scratch that a convolution or one of its gradients needs."""
    (inputs, height, width), (outputs, out_height, _) = op.input_shape, op.output_shape
    lines = (out_height - 1) * op.stride + op.kernel
    forward = inputs * lines * (width + 2 * op.padding)
    backward = outputs * (height + op.kernel - 1) * (width + op.kernel - 1)
    return lanes * max(forward, backward)


def _dropout(op: Operation, x: str, y: str, vectors: int) -> str:
    return (
        f"dropout({x}, {y}, {vectors}, {op.dropout!r}f, dropout_key(step->in.key, {op.number}), "
        "chunk);"
    )


def _rows(channels: int, *names: str) -> str:
    """Return the addresses of a norm's coefficients."""
    return ", ".join(f"norm + {name} * {channels}" for name in names)


def _each_channel(op: Operation, call: str) -> list[str]:
    """Return a loop over channels; {x} and {y} in the call: where the channel begins."""
    sizes = [math.prod(shape[1:]) for shape in (op.input_shape, op.output_shape)]
    x, y = (f"c * {size} * LANES" for size in sizes)
    return [f"for (int c = 0; c < {op.input_shape[0]}; c++)", "    " + call.format(x=x, y=y)]
