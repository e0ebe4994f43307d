"""Everything about a GPU that cannot be measured without one, with one command.

    python tests/benchmarks/gpu.py --output gpu.md

Where there is no GPU it says so and ends well. The tables: whether a replayed CUDA graph trains as
ordinary steps do; an epoch for several batch sizes, in both precisions, replayed and not, in turn;
batches from images that the GPU holds against images sent to it; an augmented epoch by the number
of processes that augment; and several runs side by side. `--device cpu` with small sizes tries the
script itself.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from measuring import (  # noqa: E402
    alternate,
    largest_difference,
    machine,
    median,
    parser,
    report,
    table,
)

from core.config import RunConfig  # noqa: E402
from core.data import dataset  # noqa: E402
from core.recipes import RECIPES, recipe  # noqa: E402
from core.training.plan import plan  # noqa: E402
from core.training.results import BatchResult, EpochResult  # noqa: E402
from core.training.runtime import DTYPES, resolve_runtime  # noqa: E402
from core.training.trainer import Training  # noqa: E402

BATCHES = (32, 64, 128, 256, 512, 1024, 2048)
WORKERS = (0, 1, 2, 4, 8)
SIDE_BY_SIDE = (1, 2, 4, 8)
WARM_UP = 10  # steps; more than a recording needs
NO_GPU = "There is no CUDA GPU here, so there is nothing to measure."
ONE_EPOCH = {"transforms": [], "teacher": "none", "holdout": 0, "epochs": 1}
PLAIN = {"augmentation": "none", **ONE_EPOCH}


def main() -> None:
    """Measure the parts asked for and report; or be one of several runs side by side."""
    options = parser(__doc__)
    options.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument("--recipe", default="final", help=", ".join(RECIPES))
    options.add_argument(
        "--device", default="cuda", choices=["cuda", "cpu"], help="cpu: only to try this script"
    )
    options.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    options.add_argument("--workers", nargs="+", type=int, default=list(WORKERS))
    options.add_argument("--side-by-side", nargs="+", type=int, default=list(SIDE_BY_SIDE))
    options.add_argument("--steps", type=int, default=300, help="per figure, at most an epoch's")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--one", type=float, help="be one of several runs, from this time on")
    chosen = options.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        report([NO_GPU], chosen.output)
        return
    base, data = recipe(chosen.recipe).config.changed(**PLAIN, device=chosen.device), dataset.load()
    if chosen.one is not None:
        print(json.dumps(one_of_several(base, data, chosen.one, chosen.steps)))
        return
    report(
        [
            machine() + f"; medians of {chosen.rounds} rounds of {chosen.steps} steps",
            *(PARTS[part](base, data, chosen) for part in chosen.parts),
        ],
        chosen.output,
    )


def agreement(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """Whether replayed steps train as ordinary steps do, for the first few."""
    rows = []
    for precision in DTYPES:
        losses = {
            replayed: first_losses(base.changed(precision=precision), data, chosen.steps, replayed)
            for replayed in (True, False)
        }
        again = first_losses(base.changed(precision=precision), data, chosen.steps, False)
        rows.append(
            (
                precision,
                f"{statistics.fmean(losses[True][-20:]):.4f}",
                f"{statistics.fmean(losses[False][-20:]):.4f}",
                f"{largest_difference(losses[True], losses[False]):.2e}",
                f"{largest_difference(again, losses[False]):.2e}",
            )
        )
    return f"The loss over the first {chosen.steps} steps:\n\n" + table(
        (
            "precision",
            "last 20, replayed",
            "last 20, not",
            "largest difference",
            "of two ordinary runs",
        ),
        rows,
    )


def first_losses(config: RunConfig, data: dataset.Mnist, steps: int, replayed: bool) -> list[float]:
    """The losses of a run's first steps."""
    run = make_training(config, data, replayed)
    results = run.run()
    losses = [
        result.loss.item() for result, _ in zip(results, range(min(steps, run.steps)), strict=False)
    ]
    results.close()
    return losses


def epochs(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """The table of batch sizes."""
    rows = []
    for precision in DTYPES:
        for batch in chosen.batches:
            config = base.changed(batch_size=batch, precision=precision)
            refused: list[str] = []
            times = alternate(
                {
                    "ordinary": partial(step_seconds, config, data, chosen.steps, False, refused),
                    "replayed": partial(step_seconds, config, data, chosen.steps, True, refused),
                },
                chosen.rounds,
            )
            ordinary, replayed = median(times["ordinary"]), median(times["replayed"])
            ratio = median(a / b for a, b in zip(times["ordinary"], times["replayed"], strict=True))
            rows.append(
                (
                    precision,
                    batch,
                    f"{1e3 * ordinary:.3f}",
                    f"{1e3 * replayed:.3f}",
                    f"**{ratio:.2f}**",
                    f"{ordinary * 60_000 / batch:.2f}",
                    f"**{replayed * 60_000 / batch:.2f}**",
                    refused[-1] if refused else "yes",
                )
            )
    return f"{chosen.recipe}'s network on images as they are:\n\n" + table(
        (
            "precision",
            "batch",
            "ms a step",
            "ms replayed",
            "ratio",
            "s an epoch",
            "s replayed",
            "replayed?",
        ),
        rows,
    )


def images(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """The table of where the images are."""

    def sent(config: RunConfig) -> float:
        return step_seconds(config, data, chosen.steps, True, [], held=False)

    rows = []
    for batch in sorted({min(chosen.batches), max(chosen.batches)}):
        config = base.changed(batch_size=batch)
        times = alternate(
            {
                "sent": partial(sent, config),
                "held": partial(step_seconds, config, data, chosen.steps, True, []),
            },
            chosen.rounds,
        )
        ratio = median(a / b for a, b in zip(times["sent"], times["held"], strict=True))
        rows.append(
            (
                batch,
                f"{1e3 * median(times['sent']):.3f}",
                f"{1e3 * median(times['held']):.3f}",
                f"**{ratio:.2f}**",
            )
        )
    return "Images sent to the GPU batch by batch, or held there:\n\n" + table(
        ("batch", "ms a step, sent", "ms a step, held", "ratio"), rows
    )


def augmented(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """The table of an augmented epoch, by the processes that augment."""
    config = recipe(chosen.recipe).config.changed(
        **ONE_EPOCH, augment_fraction=1.0, device=chosen.device
    )
    if not plan(config).transforms:
        return f"{chosen.recipe} augments nothing."
    ways = {
        str(workers): partial(step_seconds, config, data, chosen.steps, True, [], workers=workers)
        for workers in chosen.workers
    }
    times = alternate(ways, chosen.rounds)
    return (
        f"{chosen.recipe} as it augments, batch {config.batch_size}, {os.cpu_count()} cores:\n\n"
        + table(
            ("processes that augment", "ms a step", "s an epoch"),
            [
                (
                    workers,
                    f"{1e3 * median(each):.3f}",
                    f"**{median(each) * 60_000 / config.batch_size:.1f}**",
                )
                for workers, each in times.items()
            ],
        )
    )


def side_by_side(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """The table of several runs at once, each a process of its own."""
    rows, alone = [], None
    for count in chosen.side_by_side:
        start = time.time() + 20 + 5 * count  # all are ready by then and train at the same time
        arguments = f"--one {start} --device {chosen.device} --recipe {chosen.recipe}"
        command = [sys.executable, __file__, *arguments.split(), "--steps", str(chosen.steps)]
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        figures = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
        speed = sum(run["images_a_second"] for run in figures)
        alone = alone or speed / count
        rows.append(
            (
                count,
                f"{speed:,.0f}",
                f"**{speed / alone:.2f}**",
                f"{max(run['late'] for run in figures):.1f}",
                f"{max(run['memory_mb'] for run in figures):.0f}",
            )
        )
    return f"Several runs of {chosen.recipe} at once, on images as they are:\n\n" + table(
        (
            "runs",
            "images a second, all together",
            "times one run's",
            "latest start, s after the first",
            "MB of the GPU's memory, largest run",
        ),
        rows,
    )


def one_of_several(
    base: RunConfig, data: dataset.Mnist, start: float, steps: int
) -> dict[str, float]:
    """Wait for the other runs, train a number of steps, and return the speed."""
    run = make_training(base.changed(epochs=1_000), data, True)
    results = run.run()
    for _ in range(WARM_UP):
        next(results)
    synchronise(run)
    late = max(0.0, time.time() - start)
    time.sleep(max(0.0, start - time.time()))
    began, done = time.perf_counter(), 0
    while done < steps:
        done += isinstance(next(results), BatchResult)
    synchronise(run)
    took = time.perf_counter() - began
    results.close()
    used = torch.cuda.max_memory_reserved() / 1e6 if run.device.type == "cuda" else 0.0
    return {"images_a_second": done * base.batch_size / took, "late": late, "memory_mb": used}


def step_seconds(
    config: RunConfig,
    data: dataset.Mnist,
    steps: int,
    replayed: bool,
    refused: list[str],
    held: bool = True,
    workers: int | None = None,
) -> float:
    """Mean seconds of a step; why steps were not replayed goes into `refused`."""
    run = make_training(config, data, replayed, held, workers)
    counted = max(1, min(steps, run.steps - WARM_UP))
    results = run.run()
    for _ in range(min(WARM_UP, run.steps - 1)):
        next(results)
    synchronise(run)
    began, done = time.perf_counter(), 0
    for result in results:
        done += 1
        if done == counted or isinstance(result, EpochResult):
            break
    synchronise(run)
    took = time.perf_counter() - began
    results.close()
    if replayed and run.captured is None:
        refused.append("only on CUDA")
    elif replayed and run.captured is not None and run.captured.refusal:
        refused.append(run.captured.refusal)
    return took / done


def make_training(
    config: RunConfig,
    data: dataset.Mnist,
    replayed: bool,
    held: bool = True,
    workers: int | None = None,
) -> Training:
    """A run in the format of its precision; "auto" takes fp32, so that nothing is benchmarked."""
    config = config if config.precision != "auto" else config.changed(precision="fp32")
    runtime = resolve_runtime(plan(config), data)
    if workers is not None:
        runtime = runtime.changed(workers=workers)
    run = Training(config, data, runtime=runtime)
    if not replayed:
        run.captured = None
    if not held:
        run.batches.training = data.train
    return run


def synchronise(run: Training) -> None:
    """Wait until the device has finished its queued work."""
    if run.device.type == "cuda":
        torch.cuda.synchronize(run.device)


PARTS = {
    "agreement": agreement,
    "epoch": epochs,
    "images": images,
    "augmented": augmented,
    "side": side_by_side,
}

if __name__ == "__main__":
    main()
