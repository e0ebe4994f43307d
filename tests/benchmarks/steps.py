"""Milliseconds of a compiled training step, by threads, alone and beside busy processes.

    python tests/benchmarks/steps.py

Median and least of a few seconds of steps of each recipe's network. "share": arithmetic, three
times the forward pass's multiply-adds, as a part of the peak that a product of large matrices
reaches with as many threads.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from arithmetic import matrix_rate  # noqa: E402
from measuring import machine, median, parser, report, table  # noqa: E402

from core.models.network import build  # noqa: E402
from core.recipes import RECIPES, recipe  # noqa: E402
from core.training.compiled_step import CompiledStep  # noqa: E402
from core.training.optimizers import build_optimizer  # noqa: E402
from core.training.plan import plan  # noqa: E402

WARM_UP = 10


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument(
        "--recipes", nargs="+", default=["final", "sprint"], help=", ".join(RECIPES)
    )
    options.add_argument("--batches", nargs="+", type=int, help="instead of the recipe's")
    options.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    options.add_argument("--neighbours", nargs="+", type=int, default=[0, 1, 2])
    options.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    chosen = options.parse_args()
    rates = {threads: matrix_rate(torch.float32, threads, 2_048, 1.0) for threads in chosen.threads}
    rows = []
    for count in chosen.neighbours:
        with busy_processes(count):
            for name in chosen.recipes:
                for batch in chosen.batches or [recipe(name).config.batch_size]:
                    for threads in chosen.threads:
                        times = step_seconds(name, batch, threads, chosen.seconds)
                        work = 3 * plan(recipe(name).config).multiply_adds * batch
                        share = work / rates[threads] / median(times)
                        rows.append(
                            (
                                name,
                                batch,
                                threads,
                                count,
                                f"{1e3 * median(times):.2f}",
                                f"{1e3 * min(times):.2f}",
                                f"{100 * share:.0f} %",
                            )
                        )
    head = ("recipe", "batch", "threads", "busy neighbours", "ms a step", "least", "share")
    report([machine(), table(head, rows)], chosen.output)


def step_seconds(name: str, batch: int, threads: int, seconds: float) -> list[float]:
    """Seconds of each step, done for so many seconds."""
    config = recipe(name).config.changed(batch_size=batch, teacher="none")
    model = build(plan(config).rows, config)
    step = CompiledStep(config, model, build_optimizer(config, model), None, threads)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (batch,), generator=generator)
    times: list[float] = []
    while len(times) < 2 * WARM_UP or sum(times) < seconds:
        began = time.perf_counter()
        step(images, labels)
        times.append(time.perf_counter() - began)
    return times[WARM_UP:]


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
