"""How much of training is arithmetic, where the rest of a step goes, and how the cost grows.

    python tests/benchmarks/arithmetic.py

A step's arithmetic is three times the forward pass's multiply-adds (forward, gradient of the
inputs, gradient of the weights); divided by the rate at which this machine multiplies large
matrices it is the time that a step would take if nothing else cost any. The tables: that rate; the
share for several batch sizes, on images as they are; the growth with batch, images, parameters and
multiply-adds, as exponents (1: twice as much costs twice as much); where a step goes, by section
and by kind of operation, from torch's profiler.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from measuring import alternate, machine, median, parser, report, slope, table  # noqa: E402
from profiling import WARM_UP, profile_steps  # noqa: E402

from core.config import RunConfig  # noqa: E402
from core.data import dataset  # noqa: E402
from core.models.architectures import ARCHITECTURES  # noqa: E402
from core.recipes import RECIPES, recipe  # noqa: E402
from core.training.plan import plan  # noqa: E402
from core.training.precision import DTYPES  # noqa: E402
from core.training.results import BatchResult  # noqa: E402
from core.training.runtime import resolve_runtime  # noqa: E402
from core.training.trainer import Training  # noqa: E402

BATCHES = (32, 64, 128, 256, 512)
GROWTH_BATCH = 128
IMAGES = (3_750, 7_500, 15_000)
PLAIN = {
    "augmentation": "none",
    "transforms": [],
    "teacher": "none",
    "holdout": 0,
    "epochs": 1_000,
    "device": "cpu",
}


def main() -> None:
    """Measure everything and report."""
    options = parser(__doc__)
    options.add_argument("--recipe", default="final", help=", ".join(RECIPES))
    options.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    options.add_argument(
        "--architectures", nargs="+", default=list(ARCHITECTURES), help=", ".join(ARCHITECTURES)
    )
    options.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    options.add_argument("--precisions", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    options.add_argument(
        "--images", nargs="+", type=int, default=list(IMAGES), help="epochs of these lengths"
    )
    options.add_argument("--size", type=int, default=2_048, help="rows of the large matrices")
    options.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    chosen = options.parse_args()
    data, base = dataset.load(), recipe(chosen.recipe).config.changed(**PLAIN)
    where = machine()
    rates = {
        (precision, threads): matrix_rate(DTYPES[precision], threads, chosen.size, chosen.seconds)
        for precision in chosen.precisions
        for threads in chosen.threads
    }
    parts = [
        where,
        f"Multiply-adds a second in a product of two {chosen.size} x {chosen.size} matrices:",
        table(
            ("precision", "threads", "G a second"),
            [(*key, f"{rate / 1e9:.0f}") for key, rate in rates.items()],
        ),
    ]
    parts += batch_tables(base, data, rates, chosen)
    parts += growth_tables(base, data, rates, chosen)
    for name, config in (
        ("images as they are", base),
        ("augmented as the recipe says", augmented(chosen.recipe)),
    ):
        for batch in sorted(
            {base.batch_size, max(chosen.batches)} if config is base else {base.batch_size}
        ):
            parts += profile_tables(
                name,
                config.changed(batch_size=batch, precision=chosen.precisions[0]),
                data,
                chosen.seconds,
            )
    report(parts, chosen.output)


def matrix_rate(dtype: torch.dtype, threads: int, size: int, seconds: float) -> float:
    """Multiply-adds a second of a large matrix product, at the median."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        times: list[float] = []
        while sum(times) < seconds or len(times) < 3:
            began = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - began)
        return size**3 / median(times[1:])
    finally:
        torch.set_num_threads(before)


def batch_tables(
    base: RunConfig, data: dataset.Mnist, rates: dict[tuple[str, int], float], chosen: Any
) -> list[str]:
    """The table of batch sizes: how long a step takes and how much of it is arithmetic."""
    rows, per_image = [], 3 * plan(base).multiply_adds
    for precision, threads in rates:
        ways = {
            batch: base.changed(batch_size=batch, precision=precision, threads=threads)
            for batch in chosen.batches
        }
        steps = {
            batch: step_seconds(config, data, chosen.seconds) for batch, config in ways.items()
        }
        for batch, seconds in steps.items():
            share = per_image * batch / rates[precision, threads] / seconds
            rows.append(
                (
                    precision,
                    threads,
                    batch,
                    f"{1e3 * seconds:.2f}",
                    f"{seconds * 60_000 / batch:.1f}",
                    f"{100 * share:.1f} %",
                )
            )
        if len(steps) > 1:
            rows.append(
                (
                    precision,
                    threads,
                    "growth with batch",
                    f"{slope(list(steps), list(steps.values())):.2f}",
                    "",
                    "",
                )
            )
    return [
        f"{chosen.recipe}'s network ({plan(base).parameters:,} parameters, "
        f"{plan(base).multiply_adds:,} "
        "multiply-adds an image forward), images as they are:",
        table(
            (
                "precision",
                "threads",
                "batch",
                "ms a step",
                "s an epoch of 60,000",
                "arithmetic's share",
            ),
            rows,
        ),
    ]


def growth_tables(
    base: RunConfig, data: dataset.Mnist, rates: dict[tuple[str, int], float], chosen: Any
) -> list[str]:
    """The tables of networks and of images."""
    (precision, threads), rate = next(iter(rates.items()))
    settings = {"batch_size": GROWTH_BATCH, "precision": precision, "threads": threads}
    rows, costs = [], []
    for name in chosen.architectures:
        config = base.changed(architecture=name, layers=[], **settings)
        size, seconds = plan(config), step_seconds(config, data, chosen.seconds)
        costs.append((size.parameters, size.multiply_adds, seconds))
        rows.append(
            (
                name,
                f"{size.parameters:,}",
                f"{size.multiply_adds / 1e6:.3f}",
                f"{1e3 * seconds:.2f}",
                f"{100 * 3 * size.multiply_adds * GROWTH_BATCH / rate / seconds:.1f} %",
            )
        )
    parameters, adds, seconds_of = zip(*costs, strict=True)
    if len(costs) > 1:
        grown = [f"{slope(sizes, seconds_of):.2f}" for sizes in (parameters, adds)]
        rows.append(("growth of a step with it", *grown, "", ""))
    times = alternate(
        {
            str(images): lambda images=images: epoch_seconds(base.changed(**settings), data, images)
            for images in chosen.images
        },
        3,
    )
    epochs = [(int(images), median(figures)) for images, figures in times.items()]
    more = (
        [("growth with images", f"{slope(*zip(*epochs, strict=True)):.2f}")]
        if len(epochs) > 1
        else []
    )
    return [
        f"Networks at batch {GROWTH_BATCH}, {precision}, {threads} thread{'s' * (threads > 1)}:",
        table(
            ("network", "parameters", "M multiply-adds", "ms a step", "arithmetic's share"), rows
        ),
        f"Epochs of {chosen.recipe}'s network, the same, without validation:",
        table(
            ("images", "s"),
            [*((f"{images:,}", f"{seconds:.2f}") for images, seconds in epochs), *more],
        ),
    ]


def training(config: RunConfig, data: dataset.Mnist) -> Training:
    """A run that takes its format as the machine would choose it for this precision."""
    return Training(config, data, runtime=resolve_runtime(plan(config), data))


def step_seconds(config: RunConfig, data: dataset.Mnist, seconds: float) -> float:
    """Median seconds of a training step, the batch's making included."""
    results = training(config, data).run()
    times: list[float] = []
    try:
        for _ in range(WARM_UP):
            next(results)
        while sum(times) < seconds or len(times) < 3:
            began = time.perf_counter()
            result = next(results)
            if isinstance(result, BatchResult):  # an epoch's end is validation
                times.append(time.perf_counter() - began)
    finally:
        results.close()
    return median(times)


def epoch_seconds(config: RunConfig, data: dataset.Mnist, images: int) -> float:
    """Seconds of the steps of a whole epoch over the first so many images."""
    part = dataset.Mnist(data.train[:images], data.test)
    run = training(config, part)
    results = run.run()
    began = time.perf_counter()
    for _ in range(run.steps):
        next(results)
    took = time.perf_counter() - began
    results.close()
    return took


def augmented(name: str) -> RunConfig:
    """A recipe as it is, on the CPU, with every epoch augmented."""
    return recipe(name).config.changed(
        device="cpu", augment_fraction=1.0, teacher="none", holdout=0
    )


def profile_tables(name: str, config: RunConfig, data: dataset.Mnist, seconds: float) -> list[str]:
    """The tables of a profile, in percent of the wall time under the profiler."""
    if name.startswith("augmented") and not plan(config).transforms:
        return []
    plainly = step_seconds(config, data, seconds)
    run = training(config, data)
    count = max(3, min(200, round(seconds / plainly)))
    wall, sections, kinds = profile_steps(run, count)
    rows = [
        (what, f"{1e3 * spent / count:.3f}", f"{100 * spent / wall:.1f} %")
        for what, spent in sections.items()
    ]
    more = [
        (what, f"{1e3 * spent / count:.3f}", f"{100 * spent / wall:.1f} %")
        for what, spent in kinds.items()
    ]
    return [
        f"Where a step of batch {config.batch_size} goes, {name}, {config.precision}: "
        f"{1e3 * plainly:.2f} ms "
        f"without the profiler, {1e3 * wall / count:.2f} ms under it ({count} steps)",
        table(("section", "ms", "share"), rows),
        table(("kind of operation", "ms", "share"), more),
    ]


if __name__ == "__main__":
    main()
