"""Everything about a GPU that cannot be measured without one, with one command.

    python tests/benchmarks/gpu.py --output gpu.md

Where there is no GPU it says so and ends well. Each part (`--parts`) ends within four minutes and
prints a table: the kernels of a replayed step; the formats and cuDNN's options; whether a replayed
CUDA graph trains as ordinary steps do; an epoch for several batch sizes, replayed and not; the
augmentation of an epoch on the GPU; and whole runs, each a process of its own (`--runs`,
`--seeds`), timed from when they are submitted. `--device cpu` with small sizes tries the script
itself.
"""

from __future__ import annotations

import collections
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from gpu_runs import RUNS, run_config, runs  # noqa: E402
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
from core.data.batches import CHUNK  # noqa: E402
from core.data.device_augmenter import DeviceAugmenter, can_augment  # noqa: E402
from core.data.presets import PRESETS  # noqa: E402
from core.recipes import RECIPES  # noqa: E402
from core.runs.loading import load_teacher  # noqa: E402
from core.runtime import LAYOUTS  # noqa: E402
from core.training.plan import plan  # noqa: E402
from core.training.precision import DTYPES  # noqa: E402
from core.training.results import EpochResult  # noqa: E402
from core.training.runtime import resolve_runtime  # noqa: E402
from core.training.trainer import Training  # noqa: E402

BATCHES = (32, 64, 128, 256, 512, 1024, 2048)
WARM_UP = 10  # steps; more than a capture needs
NO_GPU = "There is no CUDA GPU here, so there is nothing to measure."
PLAIN = {"augmentation": "none", "transforms": [], "teacher": "none", "holdout": 0, "epochs": 1}


def main() -> None:
    """Measure the parts asked for, and report."""
    options = parser(__doc__)
    options.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument(
        "--device", default="cuda", choices=["cuda", "cpu"], help="cpu: only to try this script"
    )
    options.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    options.add_argument("--steps", type=int, default=300, help="per figure, at most an epoch's")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--runs", nargs="+", default=list(RUNS), help=", ".join([*RUNS, *RECIPES]))
    options.add_argument("--seeds", nargs="+", type=int, default=[1])
    options.add_argument("--epochs", type=int, help="of whole runs, to try this script")
    chosen = options.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        report([NO_GPU], chosen.output)
        return
    data, parts = dataset.load(), [machine()]
    for part in chosen.parts:
        began = time.perf_counter()
        text = PARTS[part](data, chosen)
        parts.append(f"{text}\n\n({part}: {time.perf_counter() - began:.0f} s)")
        print(parts[-1], flush=True)
    report(parts, chosen.output)


def profile(data: dataset.Mnist, chosen: Any) -> str:
    """The kernels of a replayed step, by the time that they take."""
    texts = []
    for name in chosen.runs:
        training = make_training(run_config(name).changed(device=chosen.device), data)
        results, steps = training.run(), min(50, training.steps - WARM_UP - 1)
        for _ in range(WARM_UP):
            next(results)
        synchronise(training)
        began = time.perf_counter()
        for _ in range(steps):
            next(results)
        launched = time.perf_counter() - began
        synchronise(training)
        took = time.perf_counter() - began
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities[chosen.device == "cuda" :]) as profiler:
            for _ in range(steps):
                next(results)
            synchronise(training)
        results.close()
        kernels: dict[str, list[float]] = collections.defaultdict(list)
        for event in profiler.events():
            if chosen.device == "cpu" or event.device_type != torch.autograd.DeviceType.CPU:
                kernels[event.name].append(event.time_range.elapsed_us())
        total = sum(map(sum, kernels.values())) / steps
        count = sum(map(len, kernels.values())) / steps
        largest = sorted(kernels.items(), key=lambda item: -sum(item[1]))[:28]
        rows = [
            (
                kernel.replace("|", "/")[:100],
                f"{len(times) / steps:.1f}",
                f"{sum(times) / len(times):.1f}",
                f"{sum(times) / steps:.1f}",
            )
            for kernel, times in largest
        ]
        texts.append(
            f"{name}, batch {training.config.batch_size}, {training.runtime.precision} "
            f"{training.runtime.layout}: {1e6 * took / steps:.0f} µs a step, of which the host "
            f"needs {1e6 * launched / steps:.0f}; {count:.0f} kernels that take {total:.0f} µs; "
            f"captured: {refusal(training) or 'yes'}\n\n"
            + table(("kernel", "a step", "µs each", "µs a step"), rows)
        )
    return "\n\n".join(texts)


def formats(data: dataset.Mnist, chosen: Any) -> str:
    """The formats of the network, and cuDNN's options."""
    rows = []
    for name in chosen.runs:
        for precision in DTYPES:
            for layout in LAYOUTS[:2]:
                for tf32, searched in ((True, False), (False, False), (True, True)):
                    torch.backends.cudnn.allow_tf32 = tf32
                    torch.backends.cudnn.benchmark = searched
                    config = run_config(name).changed(
                        **PLAIN, device=chosen.device, precision=precision
                    )
                    seconds = step_seconds(config, data, chosen.steps, True, [], layout)
                    figures = (tf32, searched, f"{1e6 * seconds:.0f}")
                    rows.append((name, config.batch_size, precision, layout, *figures))
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = True, False
    columns = ("run", "batch", "precision", "layout", "TF32", "benchmark mode", "µs a step")
    return "Replayed steps without augmentation or teacher:\n\n" + table(columns, rows)


def agreement(data: dataset.Mnist, chosen: Any) -> str:
    """Whether replayed steps train as ordinary steps do, for the first few."""
    rows = []
    for name in chosen.runs:
        for precision in DTYPES:
            config = run_config(name).changed(device=chosen.device, precision=precision)
            ways = {way: first_losses(config, data, chosen.steps, way) for way in (True, False)}
            again = first_losses(config, data, chosen.steps, True)
            rows.append(
                (
                    name,
                    precision,
                    f"{statistics.fmean(ways[True][-20:]):.4f}",
                    f"{statistics.fmean(ways[False][-20:]):.4f}",
                    f"{largest_difference(ways[True], ways[False]):.2e}",
                    f"{largest_difference(again, ways[True]):.2e}",
                )
            )
    columns = (
        "run",
        "precision",
        "last 20, replayed",
        "last 20, not",
        "largest difference",
        "of two replayed runs",
    )
    return f"The loss over the first {chosen.steps} steps:\n\n" + table(columns, rows)


def first_losses(config: RunConfig, data: dataset.Mnist, steps: int, replayed: bool) -> list[float]:
    """The losses of a run's first steps."""
    training = make_training(config, data, replayed)
    results, count = training.run(), min(steps, training.steps)
    losses = [result.loss for result, _ in zip(results, range(count), strict=False)]
    results.close()
    return torch.stack(losses).tolist()


def epochs(data: dataset.Mnist, chosen: Any) -> str:
    """The table of batch sizes."""
    rows = []
    base = run_config(chosen.runs[0]).changed(**PLAIN, device=chosen.device)
    for precision in DTYPES:
        for batch in chosen.batches:
            config = base.changed(batch_size=batch, precision=precision)
            refused: list[str] = []
            measure = partial(step_seconds, config, data, chosen.steps)
            times = alternate(
                {
                    "ordinary": partial(measure, False, refused),
                    "replayed": partial(measure, True, refused),
                },
                chosen.rounds,
            )
            ordinary, replayed = median(times["ordinary"]), median(times["replayed"])
            rows.append(
                (
                    precision,
                    batch,
                    f"{1e3 * ordinary:.3f}",
                    f"{1e3 * replayed:.3f}",
                    f"**{ordinary / replayed:.2f}**",
                    f"**{replayed * 60_000 / batch:.2f}**",
                    refused[-1] if refused else "yes",
                )
            )
    columns = ("precision", "batch", "ms a step", "ms replayed", "ratio", "s an epoch", "replayed?")
    return f"{chosen.runs[0]} on images as they are:\n\n" + table(columns, rows)


def augmentation(data: dataset.Mnist, chosen: Any) -> str:
    """Seconds to augment the 60,000 images of an epoch where they are."""
    rows, images = [], data.train.images.to(chosen.device)
    for name, preset in PRESETS.items():
        assert can_augment(preset.transforms)
        augmenter = DeviceAugmenter(preset.transforms, 1)
        for repeat in range(2):  # the first loads the kernels
            began = time.perf_counter()
            for chunk, part in enumerate(images.split(CHUNK)):
                augmenter(part, (repeat, chunk))
            queued = time.perf_counter() - began
            if chosen.device == "cuda":
                torch.cuda.synchronize()
            took = time.perf_counter() - began
        rows.append((name, f"{1e3 * queued:.0f}", f"{1e3 * took:.0f}"))
    return "An epoch augmented on the device:\n\n" + table(("preset", "ms, host", "ms"), rows)


def step_seconds(
    config: RunConfig,
    data: dataset.Mnist,
    steps: int,
    replayed: bool,
    refused: list[str],
    layout: str | None = None,
) -> float:
    """Mean seconds of a step; why steps were not replayed goes into `refused`."""
    training = make_training(config, data, replayed, layout)
    counted = max(1, min(steps, training.steps - WARM_UP - 1))
    results = training.run()
    for _ in range(min(WARM_UP, training.steps - 1)):
        next(results)
    synchronise(training)
    began, done = time.perf_counter(), 0
    for result in results:
        done += 1
        if done == counted or isinstance(result, EpochResult):
            break
    synchronise(training)
    took = time.perf_counter() - began
    results.close()
    if replayed and (reason := refusal(training)):
        refused.append(reason)
    return took / done


def make_training(
    config: RunConfig, data: dataset.Mnist, replayed: bool = True, layout: str | None = None
) -> Training:
    """A run in the format of its precision; "auto" takes fp32, so that nothing is benchmarked."""
    config = config if config.precision != "auto" else config.changed(precision="fp32")
    teacher = load_teacher(config, ROOT / "checkpoints")
    runtime = resolve_runtime(plan(config), data, teacher)
    runtime = runtime if layout is None else runtime.changed(layout=layout)
    training = Training(config, data, runtime=runtime, teacher=teacher)
    if not replayed:
        training.captured = None
    return training


def refusal(training: Training) -> str:
    """Return why steps are not replayed, or ""."""
    if training.captured is None:
        return training.runtime.not_captured or "only on CUDA"
    return training.captured.refusal


def synchronise(training: Training) -> None:
    """Wait until the device has finished its queued work."""
    if training.device.type == "cuda":
        torch.cuda.synchronize(training.device)


PARTS = {
    "profile": profile,
    "formats": formats,
    "agreement": agreement,
    "epoch": epochs,
    "augmentation": augmentation,
    "runs": runs,
}

if __name__ == "__main__":
    main()
