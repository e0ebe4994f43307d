"""Measure the seconds from images in memory to a trained network, and its accuracy.

    python tests/benchmarks/time_to_accuracy.py sprint final pytorch-example keras-style --seeds 1 2
    3

Each run is a fresh process, one at a time, the recipes in turn. The clock starts when the images
are in memory and
stops with the last validation: building, trying formats, starting what augments, warm-up and
validation are all in it. The accuracy is that of the last epoch. The column "first at the goal"
shows the first epoch that reached it: that epoch is picked on the test images, so it flatters.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from measuring import machine, parser, report, table  # noqa: E402

from core.data import dataset  # noqa: E402
from core.errors import UserError  # noqa: E402
from core.experiments.statistics import compute_statistics  # noqa: E402
from core.recipes import RECIPES, recipe  # noqa: E402
from core.runs.loading import load_teacher  # noqa: E402
from core.training.plan import plan  # noqa: E402
from core.training.results import EpochResult  # noqa: E402
from core.training.trainer import Training  # noqa: E402

USUAL = ("sprint", "final", "pytorch-example", "keras-style")


def main() -> None:
    """Run every recipe and seed in a process of its own, then report; or be such a process."""
    options = parser(__doc__)
    options.add_argument(
        "recipes",
        nargs="*",
        default=[name for name in USUAL if name in RECIPES],
        help=", ".join(RECIPES),
    )
    options.add_argument("--seeds", nargs="+", type=int, default=[1])
    options.add_argument("--goal", type=float, default=99.4, help="percent of the test images")
    options.add_argument("--epochs", type=int, help="instead of the recipe's, to try this script")
    options.add_argument(
        "--images", type=int, default=60_000, help="to train on; fewer: to try this script"
    )
    options.add_argument(
        "--one", action="store_true", help="train one recipe and seed here and print JSON"
    )
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(trained(chosen.recipes[0], chosen.seeds[0], chosen.epochs, chosen.images)))
        return
    try:
        for name in chosen.recipes:
            recipe(name)
    except UserError as error:
        sys.exit(str(error))
    where = machine()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen.recipes}
    for seed in chosen.seeds:
        for name in chosen.recipes:
            runs[name].append(in_a_process(name, seed, chosen.epochs, chosen.images))
            print(
                f"{name}, seed {seed}: {runs[name][-1]['accuracies'][-1]:.2f} % after "
                f"{runs[name][-1]['seconds'][-1]:.1f} s",
                file=sys.stderr,
                flush=True,
            )
    report(
        [
            f"{where}; seeds {', '.join(map(str, chosen.seeds))}, {chosen.images:,} images",
            table(
                (
                    "recipe",
                    "parameters",
                    "epochs",
                    "accuracy, last epoch",
                    "lowest, highest",
                    "seconds",
                    "shortest, longest",
                    f"seconds to {chosen.goal:g} % (last epoch)",
                    f"first at {chosen.goal:g} % (picked on test)",
                ),
                [row(name, runs[name], chosen.goal) for name in chosen.recipes],
            ),
            "How the runs went:",
            table(
                (
                    "recipe",
                    "seed",
                    "device",
                    "format",
                    "threads",
                    "workers",
                    "s to the end of the first step",
                    "s an epoch after it",
                ),
                [how(name, run) for name in chosen.recipes for run in runs[name]],
            ),
        ],
        chosen.output,
    )


def trained(name: str, seed: int, epochs: int | None, images: int) -> dict[str, Any]:
    """Train here; what it reached by when, and how."""
    config = recipe(name).config.changed(seed=seed)
    config = config.changed(epochs=epochs) if epochs else config
    every = dataset.load()
    data = dataset.Mnist(every.train[:images], every.test)
    began = time.perf_counter()
    training = Training(config, data, teacher=load_teacher(config))
    seconds, accuracies, first = [], [], math.nan
    for result in training.run():
        if isinstance(result, EpochResult):
            seconds.append(time.perf_counter() - began)
            accuracies.append(result.val_accuracy)
        elif math.isnan(first):
            first = time.perf_counter() - began
    if config.holdout:  # then the last result is the one score on the test images
        seconds[-1] = time.perf_counter() - began
        accuracies = [math.nan] * (len(accuracies) - 1) + [result.accuracy]
    return {
        "seconds": seconds,
        "accuracies": accuracies,
        "first": first,
        "seed": seed,
        "runtime": training.runtime.to_dict(),
        "parameters": plan(config).parameters,
    }


def in_a_process(name: str, seed: int, epochs: int | None, images: int) -> dict[str, Any]:
    """What `trained` tells, from a fresh process."""
    command = [
        sys.executable,
        __file__,
        name,
        "--seeds",
        str(seed),
        "--images",
        str(images),
        "--one",
    ]
    command += ["--epochs", str(epochs)] if epochs else []
    answer = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"},
    )
    if answer.returncode:
        sys.exit(f"{name}, seed {seed}, did not end well:\n{answer.stderr[-2_000:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def row(name: str, runs: list[dict[str, Any]], goal: float) -> list[str]:
    """A recipe's line of the table."""
    accuracy = compute_statistics([run["accuracies"][-1] for run in runs])
    seconds = compute_statistics([run["seconds"][-1] for run in runs])
    reached = (
        f"**{seconds.mean:.1f}**" if accuracy.mean >= goal else f"not reached in {seconds.mean:.1f}"
    )
    return [
        name,
        f"{runs[0]['parameters']:,}",
        str(len(runs[0]["seconds"])),
        f"{accuracy.mean:.3f} %",
        f"{accuracy.smallest:.2f}, {accuracy.largest:.2f}",
        f"{seconds.mean:.1f}",
        f"{seconds.smallest:.1f}, {seconds.largest:.1f}",
        reached,
        first_at(runs, goal),
    ]


def first_at(runs: list[dict[str, Any]], goal: float) -> str:
    """When the runs first reached the goal, in seconds and epochs, and how many of them did."""
    found = [
        (run["seconds"][at], at + 1)
        for run in runs
        if (at := next((at for at, each in enumerate(run["accuracies"]) if each >= goal), None))
        is not None
    ]
    if not found:
        return "never"
    epochs = sorted(epoch for _, epoch in found)
    return (
        f"{sum(seconds for seconds, _ in found) / len(found):.1f} s, epoch "
        f"{epochs[0]}{f' to {epochs[-1]}' if epochs[-1] > epochs[0] else ''}, "
        f"{len(found)} of {len(runs)} runs"
    )


def how(name: str, run: dict[str, Any]) -> list[str]:
    """A run's line of the second table."""
    runtime = run["runtime"]
    return [
        name,
        str(run["seed"]),
        runtime["device_name"],
        f"{runtime['precision']} {runtime['layout']}",
        str(runtime["threads"]),
        str(runtime["workers"]),
        f"{run['first']:.1f}",
        f"{(run['seconds'][-1] - run['first']) / len(run['seconds']):.2f}",
    ]


if __name__ == "__main__":
    main()
