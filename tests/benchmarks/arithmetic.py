"""How much of training is arithmetic, where the rest of a step goes, and how the cost grows.

    python tests/benchmarks/arithmetic.py

A step's arithmetic is three times the forward pass's multiply-adds (forward, gradient of the inputs, gradient of the
weights); divided by the rate at which this machine multiplies large matrices it is the time that a step would take if
nothing else cost any. The tables: that rate; the share for several batch sizes, on images as they are; the growth with
batch, images, parameters and multiply-adds, as exponents (1: twice as much costs twice as much); where a step goes, by
section and by kind of operation, from torch's profiler.
"""

from __future__ import annotations

import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from measuring import in_turn, machine, median, parser, slope, table, tell  # noqa: E402
from torch.profiler import ProfilerActivity, profile, record_function  # noqa: E402

from core.config import RunConfig  # noqa: E402
from core.data import dataset  # noqa: E402
from core.models.architectures import ARCHITECTURES  # noqa: E402
from core.recipes import RECIPES, recipe  # noqa: E402
from core.training.plan import plan  # noqa: E402
from core.training.results import BatchResult  # noqa: E402
from core.training.runtime import DTYPES, facts_for  # noqa: E402
from core.training.trainer import Training  # noqa: E402

BATCHES = (32, 64, 128, 256, 512)
GROWTH_BATCH = 128
IMAGES = (3_750, 7_500, 15_000)
WARM_UP = 3
PLAIN = {
    "augmentation": "none",
    "transforms": [],
    "teacher": "none",
    "holdout": 0,
    "epochs": 1_000,
    "device": "cpu",
}

# Operations by the start of their names; the first that fits counts.
KINDS = (
    ("convolution with its norm, backward", r".*_NormedBackward"),
    ("convolution with its norm, forward", r"_Normed"),
    ("convolution, backward", r".*(ConvolutionBackward|convolution_backward)"),
    (
        "convolution, forward",
        r"(_Convolution$|aten::(_?convolution|conv2d|mkldnn_convolution|cudnn_convolution|"
        r"_slow_conv2d|thnn))",
    ),
    ("batch norm", r".*(batch_norm|BatchNorm)"),
    (
        "pooling",
        r".*(max_pool|avg_pool|MaxPool|_MaxPool|AvgPool|aten::mean|MeanBackward|AdaptiveAvg)",
    ),
    ("activation", r".*(relu|Relu|ReLU|threshold|clamp_min|silu|Silu|gelu|Gelu)"),
    (
        "linear layer",
        r".*(addmm|AddmmBackward|aten::mm|aten::linear|aten::t$|aten::transpose|TBackward)",
    ),
    ("optimizer", r"(Optimizer|aten::_fused|aten::_foreach_(add|mul|div|sqrt|addc))"),
    ("averaging of weights", r"aten::(_foreach_lerp|lerp)"),
    ("gradients put in place", r".*(AccumulateGrad|aten::detach|detach$)"),
    (
        "loss and counting",
        r".*(log_softmax|LogSoftmax|nll_loss|NllLoss|argmax|aten::(eq|sum|item|_local_scalar))",
    ),
    (
        "formats and copies",
        r".*(aten::(to|_to_copy|copy_|contiguous|clone|empty|as_strided|resize|view)|ToCopy|CopyB)",
    ),
)


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
    parts += by_batch(base, data, rates, chosen)
    parts += growth(base, data, rates, chosen)
    for name, config in (
        ("images as they are", base),
        ("augmented as the recipe says", augmented(chosen.recipe)),
    ):
        for batch in sorted(
            {base.batch_size, max(chosen.batches)} if config is base else {base.batch_size}
        ):
            parts += where_it_goes(
                name,
                config.changed(batch_size=batch, precision=chosen.precisions[0]),
                data,
                chosen.seconds,
            )
    tell(parts, chosen.output)


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


def by_batch(
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
        f"{chosen.recipe}'s network ({plan(base).parameters:,} parameters, {plan(base).multiply_adds:,} "
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


def growth(
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
    times = in_turn(
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
    return Training(config, data, facts=facts_for(plan(config)))


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
    part = dataset.Mnist(
        data.train_images[:images], data.train_labels[:images], data.test_images, data.test_labels
    )
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


def where_it_goes(name: str, config: RunConfig, data: dataset.Mnist, seconds: float) -> list[str]:
    """The tables of a profile, in percent of the wall time under the profiler."""
    if name.startswith("augmented") and not plan(config).transforms:
        return []
    plainly = step_seconds(config, data, seconds)
    run = training(config, data)
    count = max(3, min(200, round(seconds / plainly)))
    wall, sections, kinds = profiled(run, count)
    rows = [
        (what, f"{1e3 * spent / count:.3f}", f"{100 * spent / wall:.1f} %")
        for what, spent in sections.items()
    ]
    more = [
        (what, f"{1e3 * spent / count:.3f}", f"{100 * spent / wall:.1f} %")
        for what, spent in kinds.items()
    ]
    return [
        f"Where a step of batch {config.batch_size} goes, {name}, {config.precision}: {1e3 * plainly:.2f} ms "
        f"without the profiler, {1e3 * wall / count:.2f} ms under it ({count} steps)",
        table(("section", "ms", "share"), rows),
        table(("kind of operation", "ms", "share"), more),
    ]


def profiled(run: Training, count: int) -> tuple[float, dict[str, float], dict[str, float]]:
    """Wall seconds of so many steps, and how they divide into sections and into kinds of operation."""
    stream, forward = run.batches.stream, run.model.forward

    def labelled_stream(*arguments: Any) -> Iterator[Any]:
        batches = stream(*arguments)
        while True:
            with record_function("images"):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def labelled_forward(images: torch.Tensor) -> torch.Tensor:
        with record_function("forward"):
            return forward(images)

    run.batches.stream = labelled_stream  # type: ignore[method-assign,assignment]
    run.model.forward = labelled_forward  # type: ignore[method-assign,assignment]
    results = run.run()
    for _ in range(WARM_UP):
        next(results)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        began = time.perf_counter()
        for _ in range(count):
            next(results)
        wall = time.perf_counter() - began
    results.close()
    sections, kinds = divided(
        [
            (
                event.name,
                event.cpu_parent is None,
                event.cpu_time_total / 1e6,
                event.self_cpu_time_total / 1e6,
            )
            for event in found.events()
        ]
    )
    return wall, sections | {"Python between them": max(0.0, wall - sum(sections.values()))}, kinds


def divided(
    events: list[tuple[str, bool, float, float]],
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds by section and by kind, most first.

    Args:
        events: name, whether no other event contains it, seconds with what it contains, seconds without.
    """
    sections: defaultdict[str, float] = defaultdict(float)
    kinds: defaultdict[str, float] = defaultdict(float)
    for name, outermost, total, alone in events:
        if outermost:
            sections[section(name)] += total
        if name == "images":
            kinds["waiting for images, or making them"] += total
        elif name == "forward":
            kinds["Python between the layers"] += alone
        else:
            kinds[kind(name)] += alone
    return tuple(
        dict(sorted(each.items(), key=lambda item: -item[1]))  # type: ignore[return-value]
        for each in (sections, kinds)
    )


def section(name: str) -> str:
    """The part of a step that an outermost event belongs to."""
    if name in ("images", "forward"):
        return {"images": "waiting for images, or making them", "forward": "forward"}[name]
    if name.startswith("autograd::") or "Backward" in name:
        return "backward"
    if name.startswith("Optimizer"):
        return "optimizer"
    return "averaging of weights" if "lerp" in name else "normalising, loss and counting"


def kind(name: str) -> str:
    """The kind of operation that an event's name stands for."""
    return next((what for what, pattern in KINDS if re.match(pattern, name)), "other operations")


if __name__ == "__main__":
    main()
