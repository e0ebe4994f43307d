"""A compiled forward pass: logits of a trained network, for evaluation and for a teacher.

Each chunk of images goes through the whole network at once, so that its arrays stay in the cache.
Batch norms and their running statistics are part of the convolutions' weights. Must not import
torch.
"""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from core.compiled.forward import forward_lines
from core.compiled.plan import Operation, plan_operations
from core.compiler import find_compiler, load_library
from core.models.rows import Row
from core.models.shapes import trace
from core.task import CLASSES, MEAN, STD

NORM_EPSILON = 1e-5
PIXELS = 28 * 28
_PART = 16  # chunks that a thread computes at a time
_HEADERS = ("convolution", "elementwise", "loss", "norm", "pooling")


class ForwardPass:
    """The forward pass of a network in evaluation mode, compiled for this machine.

    Args:
        rows: the network's layer rows.

    Raises:
        ArchitectureError: the rows don't fit together.
        CompilerError: no compiler works.
    """

    def __init__(self, rows: Sequence[Row]):
        # In evaluation mode, dropout has no effect.
        rows = [{**row, "p": 0.0} if row["kind"] == "dropout" else row for row in rows]
        self.operations = plan_operations(trace(rows), 0.0)
        lanes = find_compiler().lanes
        self._library = load_library(forward_source(self.operations, lanes))
        self._library.arena_bytes.restype = ctypes.c_uint64
        self._library.forward.restype = None
        self._library.forward.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 2
        self._images_per_part = _PART * lanes

    def __call__(
        self, images: np.ndarray, state: Sequence[np.ndarray], threads: int = 1
    ) -> np.ndarray:
        """Return the logits (N, 10) float32; they do not depend on the number of threads.

        Args:
            images: (N, 28, 28) uint8.
            state: the tensors of the network's state_dict, in order.
            threads: that compute.
        """
        images = np.ascontiguousarray(images)
        tensors = fold_norms(self.operations, state)
        addresses = np.array([tensor.ctypes.data for tensor in tensors], np.uint64)
        logits = np.empty((len(images), CLASSES), np.float32)
        parts = itertools.count()

        def work() -> None:
            memory = np.empty(self._library.arena_bytes() + 64, np.uint8)
            arena = -(-memory.ctypes.data // 64) * 64
            # Threads take the next part by themselves: a slow one holds up its own part only.
            while (start := next(parts) * self._images_per_part) < len(images):
                end = min(start + self._images_per_part, len(images))
                pointers = (images.ctypes.data, logits.ctypes.data, addresses.ctypes.data)
                self._library.forward(*pointers, arena, start, end)

        if threads == 1 or len(images) <= self._images_per_part:
            work()
        else:
            with ThreadPoolExecutor(threads) as pool:
                for future in [pool.submit(work) for _ in range(threads)]:
                    future.result()
        return logits


def fold_norms(operations: Sequence[Operation], state: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return weight and bias of each convolution, with the norm after it as a part of them.

    With s = weight / sqrt(running variance + eps) of the norm, its output
    s (conv(x) + b - running mean) + bias is a convolution with weights s w.
    """
    tensors = []
    for op in operations:
        if op.weight is None:
            continue
        weight = state[op.weight]
        bias = np.zeros(len(weight), np.float32) if op.bias is None else state[op.bias]
        if op.norm is not None:
            factor, offset, mean, variance = state[op.norm : op.norm + 4]
            scale = factor / np.sqrt(variance.astype(np.float64) + NORM_EPSILON)
            bias = (bias - mean) * scale + offset
            weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        tensors += [np.ascontiguousarray(array, np.float32) for array in (weight, bias)]
    return tensors


def forward_source(operations: Sequence[Operation], lanes: int) -> str:
    """Return the C source of a forward pass."""
    arrays, lines = [f"float x0[{PIXELS} * LANES]"], []
    outputs = {0: "a->x0"}
    scratch = 64
    tensor = 0
    for op in operations:
        x, y, (_, height, _) = outputs[op.source], f"a->y{op.number}", op.output_shape
        vectors = math.prod(op.output_shape)
        arrays.append(f"float y{op.number}[{vectors} * LANES]")
        scratch = max(scratch, _scratch(op) * lanes)
        lines.append(f"// row {op.number}: {op.kind}")
        if op.kind == "conv":
            raw = y if op.activation == "NONE" else "a->raw"
            inputs, *size = op.input_shape
            window = (op.kernel, op.stride, op.padding, op.groups)
            sizes = ", ".join(map(str, (inputs, op.output_shape[0], *size, *window)))
            lines.append(
                f"conv_forward({x}, tensors[{tensor}], tensors[{tensor + 1}], {raw}, a->scratch, "
                f"{sizes}, 0, {height}, 0, 0);"
            )
            tensor += 2
            if raw != y:
                lines.append(f"activation_apply({raw}, {y}, {vectors}, {op.activation});")
        else:
            body = forward_lines(op, x, y, outputs)
            lines += [line.replace("scratch", "a->scratch") for line in body]
        outputs[op.number] = y
    largest = max(math.prod(op.output_shape) for op in operations)
    arrays += [f"float raw[{largest} * LANES]", f"float scratch[{scratch}]"]
    return "\n".join(
        [
            "// A forward pass, generated by core.compiled.inference.",
            *(f'#include "{name}.h"' for name in _HEADERS),
            "",
            "struct Arena {",
            *(f"    {array} __attribute__((aligned(64)));" for array in arrays),
            "};",
            "",
            "#ifdef _WIN32",
            "#define EXPORT __declspec(dllexport)",
            "#else",
            '#define EXPORT __attribute__((visibility("default")))',
            "#endif",
            "",
            "EXPORT uint64_t arena_bytes(void) { return sizeof(struct Arena); }",
            "",
            "static void forward_chunk(struct Arena *a, const float *const *tensors) {",
            *(f"    {line}" for line in lines),
            "}",
            "",
            "// Logits of the images from `begin` to `end` - 1.",
            "EXPORT void forward(const uint8_t *images, float *logits,",
            "                    const float *const *tensors, struct Arena *a, int64_t begin,",
            "                    int64_t end) {",
            "    for (int64_t first = begin; first < end; first += LANES) {",
            "        const int lanes = end - first < LANES ? (int)(end - first) : LANES;",
            f"        load_images(images + first * {PIXELS}, a->x0, {PIXELS}, lanes,",
            f"                    {1 / (255 * STD)!r}f, {-MEAN / STD!r}f);",
            "        forward_chunk(a, tensors);",
            "        for (int lane = 0; lane < lanes; lane++)",
            f"            for (int k = 0; k < {CLASSES}; k++)",
            f"                logits[(first + lane) * {CLASSES} + k] =",
            f"                    {outputs[operations[-1].number]}[k * LANES + lane];",
            "    }",
            "}",
            "",
        ]
    )


def _scratch(op: Operation) -> int:
    """Vectors that an operation needs beside its arrays: its padded input, or its output."""
    if op.kind != "conv":
        return math.prod(op.output_shape)
    inputs, height, width = op.input_shape
    return inputs * (height + 2 * op.padding) * (width + 2 * op.padding)
