"""How fast the compiled convolutions compute, layer by layer, on one core.

    python tests/benchmarks/kernels.py

For each layer shape: multiply-adds per nanosecond of the convolution with the sums that batch norm
needs, and of its two gradients, and their share of the peak, a loop of multiply-adds that reads no
memory. Each figure is the fastest of several passes over a batch, measured in turn with the others.
Padding, copies of lines and statistics count as time but not as multiply-adds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from measuring import alternate, machine, parser, report, table  # noqa: E402

from tests.core.compiled.kernel_library import Library, aligned  # noqa: E402

# (inputs, outputs, side, kernel, groups) of stride 1, with padding that keeps the size
SHAPES = (
    (1, 4, 28, 3, 1),
    (4, 4, 28, 3, 1),
    (4, 8, 14, 3, 1),
    (8, 8, 14, 3, 1),
    (8, 8, 7, 3, 1),
    (4, 16, 14, 3, 1),
    (16, 16, 14, 3, 1),
    (16, 16, 7, 3, 1),
    (16, 16, 14, 3, 16),
    (16, 16, 14, 1, 1),
    (64, 64, 14, 3, 1),
)
DIRECTIONS = {
    "forward": "conv_forward(x, p[2], 0, y, p[3], {sizes}, begin, end, p[4], p[5]);",
    "input": "conv_input_gradient(y, p[2], x, p[3], {sizes}, begin, end);",
    "weight": "conv_weight_gradient(x, y, p[4], 0, p[3], {sizes}, begin, end);",
}
PEAK_SUMS, PEAK_STEPS = 12, 20_000
PEAK = f"""
    vec sum[{PEAK_SUMS}], factor = load(p[0]);
    for (int k = 0; k < {PEAK_SUMS}; k++) sum[k] = load(p[0] + k * LANES);
    for (int i = 0; i < {PEAK_STEPS} * n[0]; i++)
        UNROLL for (int k = 0; k < {PEAK_SUMS}; k++) sum[k] = sum[k] * factor + factor;
    for (int k = 0; k < {PEAK_SUMS}; k++) store(p[0] + k * LANES, sum[k]);
"""


def main() -> None:
    """Measure all shapes and report."""
    options = parser(__doc__)
    options.add_argument("--batches", nargs="+", type=int, default=[32, 64])
    options.add_argument("--seconds", type=float, default=0.002, help="of each measurement")
    options.add_argument("--rounds", type=int, default=30, help="measurements of each figure")
    options.add_argument("--only", type=int, nargs="+", help="numbers of shapes, from 0")
    options.add_argument("--directions", nargs="+", default=list(DIRECTIONS))
    chosen = options.parse_args()
    shapes = [SHAPES[i] for i in chosen.only] if chosen.only else SHAPES
    calls = {"peak": PEAK}
    for shape in shapes:
        for direction in chosen.directions:
            calls[name_of(shape, direction)] = source(shape, direction)
    library = Library(calls)
    rows = []
    for batch in chosen.batches:
        for shape in shapes:
            rates = measure(library, shape, batch, chosen)
            peak = rates.pop("peak")
            figures = [f"{rate:.1f} ({100 * rate / peak:.0f} %)" for rate in rates.values()]
            rows.append((batch, *shape, *figures, f"{peak:.1f}"))
    columns = ("batch", "inputs", "outputs", "side", "kernel", "groups")
    report(
        [
            machine(),
            "Multiply-adds per nanosecond and share of the peak, one core:",
            table((*columns, *chosen.directions, "peak"), rows),
        ],
        chosen.output,
    )


def name_of(shape: tuple[int, ...], direction: str) -> str:
    """Name of the call that computes a shape in a direction."""
    return "_".join(map(str, (direction, *shape)))


def lines_per_tile(side: int) -> int:
    """Lines of a tile: about 200 pixels, as a training step splits its work."""
    return max(1, min(side, 196 // side))


def source(shape: tuple[int, ...], direction: str) -> str:
    """C statements: n[0] passes over n[1] chunks, tile by tile."""
    inputs, outputs, side, kernel, groups = shape
    sizes = f"{inputs}, {outputs}, {side}, {side}, {kernel}, 1, {kernel // 2}, {groups}"
    return f"""
    for (int pass = 0; pass < n[0]; pass++)
        for (int chunk = 0; chunk < n[1]; chunk++)
            for (int begin = 0; begin < {side}; begin += {lines_per_tile(side)}) {{
                const int last = begin + {lines_per_tile(side)};
                const int end = last < {side} ? last : {side};
                float *x = p[0] + (size_t)chunk * {inputs * side * side} * LANES;
                float *y = p[1] + (size_t)chunk * {outputs * side * side} * LANES;
                {DIRECTIONS[direction].format(sizes=sizes)}
            }}
    """


def measure(library: Library, shape: tuple[int, ...], batch: int, chosen) -> dict[str, float]:
    """Multiply-adds per nanosecond by direction, and the peak."""
    inputs, outputs, side, kernel, groups = shape
    chunks = -(-batch // library.lanes)
    weights = outputs * inputs // groups * kernel * kernel
    generator = np.random.default_rng(0)

    def random(*sizes: int) -> np.ndarray:
        return aligned(*sizes, values=generator.standard_normal(sizes).astype(np.float32))

    arrays = (
        random(chunks, inputs, side, side, library.lanes),
        random(chunks, outputs, side, side, library.lanes),
        random(weights),
        aligned(max(inputs, outputs) * (side + 2) ** 2 * library.lanes, values=0),
        aligned(max(weights, 2 * outputs), values=0),
        library.mask(library.lanes),
    )
    adds = weights * side * side * chunks * library.lanes
    sums = aligned(PEAK_SUMS * library.lanes, values=0.5)
    ways = {
        direction: rate(library, name_of(shape, direction), arrays, adds, (chunks,), chosen.seconds)
        for direction in chosen.directions
    }
    peak = PEAK_SUMS * PEAK_STEPS * library.lanes
    ways["peak"] = rate(library, "peak", (sums,), peak, (), chosen.seconds)
    return {name: max(values) for name, values in alternate(ways, chosen.rounds).items()}


def rate(library: Library, name: str, arrays, adds: int, numbers: tuple[int, ...], seconds: float):
    """A function that measures the multiply-adds per nanosecond of a call."""

    def run(passes: int) -> float:
        began = time.perf_counter()
        library(name, *arrays, numbers=(passes, *numbers))
        return time.perf_counter() - began

    run(1)
    passes = max(1, round(seconds / run(1)))
    return lambda: passes * adds / run(passes) / 1e9


if __name__ == "__main__":
    main()
