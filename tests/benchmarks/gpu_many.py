"""Many seeds at once on a GPU: what a step of a stack takes, and what the stack learns.

    python tests/benchmarks/gpu_many.py --parts check steps --output many.md

Each part prints a table and ends within four minutes. `check`: the kernels against torch's, and a
stack against each run alone. `layers`: each convolution by each method. `steps`: milliseconds per
step, by the number of networks. `kernels`: what the time of a step goes to. `tune`: the
kernels with other constants. `train`: whole runs.
`--device cpu` with small sizes tries the script itself.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from gpu_tuning import SHAPES, tune  # noqa: E402
from measuring import machine, parser, report, table  # noqa: E402

from core.config import RunConfig  # noqa: E402
from core.data import dataset  # noqa: E402
from core.models.stacked.network import CONV_METHODS, StackedConv2d  # noqa: E402
from core.recipes import RECIPES, recipe  # noqa: E402
from core.training.plan import plan  # noqa: E402
from core.training.results import EpochResult  # noqa: E402
from core.training.runtime import resolve_runtime  # noqa: E402
from core.training.stacked.results import StackedBatchResult  # noqa: E402
from core.training.stacked.training import StackedTraining  # noqa: E402
from core.training.trainer import Training  # noqa: E402

NO_GPU = "There is no CUDA GPU here, so there is nothing to measure."
WARM_UP = 30  # steps, which capture the graph and compile the kernels


def main() -> None:
    """Measure the parts asked for and report."""
    options = parser(__doc__)
    options.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument("--recipe", default="final", help=", ".join(RECIPES))
    options.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options.add_argument("--counts", nargs="+", type=int, default=[1, 8, 32])
    options.add_argument("--methods", nargs="+", choices=CONV_METHODS, default=["auto", "grouped"])
    options.add_argument("--seeds", type=int, default=32, help="of `train`")
    options.add_argument("--epochs", type=int, default=15, help="of `train`")
    options.add_argument("--steps", type=int, default=200, help="per figure")
    options.add_argument("--synthetic", action="store_true", help="few images, to try this script")
    chosen = options.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        report([NO_GPU], chosen.output)
        return
    data = dataset.synthetic() if chosen.synthetic else dataset.load()
    base = recipe(chosen.recipe).config.changed(
        teacher="none", device=chosen.device, precision="fp32", holdout=0
    )
    if chosen.synthetic:
        base = base.changed(batch_size=20)
    device = torch.device(chosen.device)
    if device.type == "cuda":  # sent there once, not once for each run
        data = type(data)(train=data.train.to(device), test=data.test.to(device))
    texts = [machine()]
    for part in chosen.parts:
        began = time.perf_counter()
        texts.append(PARTS[part](base, data, chosen))
        texts.append(f"({part}: {time.perf_counter() - began:.1f} s)")
        print("\n\n".join(texts[-2:]), flush=True)
    report(texts, chosen.output)


def make_runs(base: RunConfig, data: dataset.Mnist, count: int) -> list[Training]:
    """So many runs, with consecutive seeds."""
    runtime = resolve_runtime(plan(base), data)
    return [Training(base.changed(seed=1 + n), data, runtime=runtime) for n in range(count)]


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def step_ms(results: Any, device: torch.device, steps: int, warm_up: int) -> tuple[float, float]:
    """Milliseconds of a step, and those in which this process only queued work."""
    for _ in range(warm_up):
        next(results)
    synchronise(device)
    began = time.perf_counter()
    for _ in range(steps):
        next(results)
    queued = time.perf_counter() - began
    synchronise(device)
    return 1e3 * (time.perf_counter() - began) / steps, 1e3 * queued / steps


def check(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """The stack against each run alone, and its replayed steps against ordinary ones."""
    rows = []
    plain = base.changed(augmentation="none", transforms=[])
    for optimizer in ("muon", "sgd"):
        config = plain.changed(optimizer=optimizer, nesterov=False)
        starts, alone = make_runs(config, data, 3), make_runs(config, data, 3)
        for run in alone:
            do_steps(run, 1)
        for method in chosen.methods:
            stacks = []
            for count, use_graph in ((1, False), (8, False), (8, True)):
                stack = StackedTraining(make_runs(config, data, 3), method, use_graph)
                do_steps(stack, count)
                stacks.append([stack.store(n) for n in range(3)])
            refusal = stack.graph.refusal if stack.graph else "no graph"
            rows.append(
                (
                    optimizer,
                    method,
                    f"{distance(alone, stacks[0]) / distance(alone, starts):.1e}",
                    f"{distance(stacks[1], stacks[2]) / distance(stacks[1], starts):.1e}",
                    refusal or "captured",
                )
            )
    head = ("optimizer", "method", "from alone, 1 step", "replayed, 8 steps", "graph")
    return (
        "Three seeds: distance of the stack's weights from those of each run alone, and of those "
        "after replayed steps from those after ordinary ones, relative to how far they moved:\n\n"
        + table(head, rows)
    )


def do_steps(run: Training | StackedTraining, count: int) -> None:
    """Train so many steps."""
    results = run.run()
    for _ in range(count):
        next(results)
    results.close()  # type: ignore[attr-defined]


def distance(first: list[Training], second: list[Training]) -> float:
    """The Euclidean distance between all weights of some runs and those of others."""
    squares = [
        (mine - theirs).square().sum().item()
        for run, other in zip(first, second, strict=True)
        for mine, theirs in zip(run.model.parameters(), other.model.parameters(), strict=True)
    ]
    return float(sum(squares) ** 0.5)


def layers(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """Forward and backward pass of each convolution, by each method, and the kernels' error."""
    device, rows = torch.device(chosen.device), []
    count = max(chosen.counts)
    for inputs, outputs, side in SHAPES:
        generator = torch.Generator(device).manual_seed(1)
        x = torch.randn(
            base.batch_size, count * inputs, side, side, device=device, generator=generator
        ).requires_grad_(inputs > 1)
        figures = []
        exact: Any = None
        for method in ("grouped", "unfold", "kernels"):
            layer = StackedConv2d(
                torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), count, method
            ).to(device)
            with torch.no_grad():
                layer.weight.normal_(generator=generator.manual_seed(2))
            if exact is None:
                exact = F.conv2d(
                    x.detach().double(), layer.weight.detach().double(), None, 1, 1, 1, layer.groups
                )
            grad = torch.ones_like(layer(x))
            error = ((layer(x) - exact).norm() / exact.norm()).item()
            times = []
            for _ in range(12):
                synchronise(device)
                began = time.perf_counter()
                for _ in range(5):
                    torch.autograd.grad(
                        layer(x), [layer.weight, *([x] if x.requires_grad else [])], grad
                    )
                synchronise(device)
                times.append((time.perf_counter() - began) / 5)
            figures += [f"{1e3 * statistics.median(times):.3f}", f"{error:.0e}"]
        rows.append((f"{inputs} to {outputs}, {side}x{side}", *figures))
    head = ("convolution", "ms grouped", "error", "ms unfold", "error", "ms kernels", "error")
    return (
        f"Forward and backward pass of {count} 3x3 convolutions, batch {base.batch_size}:\n\n"
        + table(head, rows)
    )


def steps(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """The table of milliseconds per step."""
    rows, device = [], torch.device(chosen.device)
    for name, config in (
        ("as they are", base.changed(augmentation="none", transforms=[])),
        ("augmented", base.changed(augment_fraction=1.0)),
    ):
        one = make_runs(config, data, 1)[0]
        results = one.run()
        alone, queued = step_ms(results, device, chosen.steps, WARM_UP)
        results.close()
        rows.append((name, "1, not stacked", f"{alone:.3f}", f"{queued:.3f}", "1.00", "", ""))
        for method in chosen.methods:
            for count in chosen.counts:
                stack = StackedTraining(make_runs(config, data, count), method)
                results = stack.run()
                try:
                    took, queued = step_ms(results, device, chosen.steps, WARM_UP)
                except torch.OutOfMemoryError:
                    rows.append((name, f"{count}, {method}", "out of memory", "", "", "", ""))
                    continue
                finally:
                    results.close()
                refusal = stack.graph.refusal if stack.graph else "no graph"
                rows.append(
                    (
                        name,
                        f"{count}, {method}",
                        f"{took:.3f}",
                        f"{queued:.3f}",
                        f"**{took / alone:.2f}**",
                        f"{took * one.steps * config.epochs / 1e3:.1f}",
                        refusal or "captured",
                    )
                )
                del stack, results
    return f"{chosen.recipe} without teacher, batch {base.batch_size}:\n\n" + table(
        ("images", "networks", "ms a step", "of these queueing", "times one", "s a run", "graph"),
        rows,
    )


def kernels(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """The operations on the GPU that take longest, in ten steps."""
    from torch.profiler import ProfilerActivity, profile

    config = base.changed(augmentation="none", transforms=[])
    stack = StackedTraining(make_runs(config, data, max(chosen.counts)), use_graph=False)
    results = stack.run()
    for _ in range(5):
        next(results)
    activities = [ProfilerActivity.CPU]
    if chosen.device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        for _ in range(10):
            next(results)
        synchronise(stack.device)
    results.close()
    times: dict[str, tuple[float, int]] = {}
    for event in profiler.events():
        if chosen.device == "cpu" or "cuda" in str(event.device_type).lower():
            total, calls = times.get(event.name, (0.0, 0))
            took = event.time_range.elapsed_us()
            times[event.name] = (total + took, calls + 1)
    ordered = sorted(times.items(), key=lambda item: -item[1][0])
    whole = sum(total for total, _ in times.values())
    count = sum(calls for _, calls in times.values())
    rows = [
        (f"`{name[:70]}`", f"{total / 10:.0f}", f"{calls / 10:.0f}")
        for name, (total, calls) in ordered[:28]
    ]
    return (
        f"{max(chosen.counts)} networks: {whole / 10:.0f} us in {count / 10:.0f} kernels a step; "
        "the longest:\n\n" + table(("kernel", "us a step", "calls"), rows)
    )


def train(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """Whole runs of many seeds at once."""
    began = time.perf_counter()
    stack = StackedTraining(make_runs(base.changed(epochs=chosen.epochs), data, chosen.seeds))
    prepared = time.perf_counter() - began
    accuracies: list[float] = []
    for result in stack.run():
        if isinstance(result, StackedBatchResult):
            continue
        accuracies = [
            row.val_accuracy for row in result.results.values() if isinstance(row, EpochResult)
        ]
    took = time.perf_counter() - began
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    return (
        f"{len(accuracies)} seeds of {chosen.recipe} without teacher, {chosen.epochs} epochs, in "
        f"{took:.1f} s ({prepared:.1f} s before the first step): mean accuracy "
        f"{statistics.fmean(accuracies):.3f} %, standard deviation {spread:.3f}, "
        f"{min(accuracies):.2f} to {max(accuracies):.2f} %."
    )


PARTS = {
    "check": check,
    "layers": layers,
    "steps": steps,
    "kernels": kernels,
    "tune": tune,
    "train": train,
}

if __name__ == "__main__":
    main()
