"""Where the time goes before a run on a GPU does its first step, and in its first epoch.

    python tests/benchmarks/gpu_start.py --runs sprint taught

Each run is a process of its own, which does what the worker does and prints the seconds of each
phase. `--profile` adds the functions in which the process spends most. `--device cpu` tries the
script itself.
"""

from __future__ import annotations

import time

BEGAN = time.time()

import argparse  # noqa: E402
import cProfile  # noqa: E402
import pstats  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Measure the runs asked for, each in a process of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", nargs="+", default=["sprint", "taught"])
    options.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options.add_argument("--profile", action="store_true")
    options.add_argument("--one", help="the run that this process measures")
    options.add_argument("--at", type=float, help="when the process was started")
    chosen = options.parse_args()
    if chosen.one:
        measure_one(chosen)
        return
    for name in chosen.runs:
        command = [sys.executable, __file__, "--one", name, "--device", chosen.device]
        command += ["--profile"] if chosen.profile else []
        print(f"\n{name}:\n\n| phase | seconds |\n| --- | --- |", flush=True)
        subprocess.run([*command, "--at", str(time.time())], check=True)


class Phases:
    """Prints the seconds since the phase before."""

    def __init__(self, began: float):
        self.last = began

    def end(self, name: str) -> None:
        """Print the phase that ends now."""
        now = time.time()
        print(f"| {name} | {now - self.last:.3f} |", flush=True)
        self.last = time.time()


def measure_one(chosen: argparse.Namespace) -> None:
    """Train two epochs of a run, and print the seconds of each phase."""
    phases = Phases(chosen.at or BEGAN)
    profiler = cProfile.Profile()
    phases.end("start of Python")
    import torch

    phases.end("import torch")
    from core.data import dataset
    from core.training.plan import plan
    from core.training.results import EpochResult
    from core.training.trainer import Training

    phases.end("import core")
    if chosen.device == "cuda":
        torch.zeros(1, device="cuda").item()
        phases.end("CUDA context")
    data = dataset.load()
    phases.end("MNIST")
    from gpu_runs import run_config

    from core.runs.loading import load_teacher

    config = run_config(chosen.one).changed(device=chosen.device, epochs=2)
    teacher = load_teacher(config, ROOT / "checkpoints")
    phases.end("teacher's file")
    if chosen.profile:
        profiler.enable()
    from core.training import environment
    from core.training.runtime import resolve_runtime

    environment.find_commit()
    environment.list_packages()
    environment.describe_machine()
    phases.end("record of the machine")
    runtime = resolve_runtime(plan(config), data, teacher)
    phases.end("choice of format: " + runtime.layout)
    training = Training(config, data, runtime=runtime, teacher=teacher)
    phases.end("network and optimizer")
    for step, result in enumerate(training.run(), 1):
        if isinstance(result, EpochResult):
            phases.end(f"end of epoch {result.epoch}, {result.val_correct / 100:.2f} %")
        elif training.epoch == 0 and step in (1, 2, 25, 50):
            if chosen.device == "cuda":
                torch.cuda.synchronize()
            phases.end(f"steps up to {step}")
        elif training.step in (training.steps - 1, training.steps):
            if chosen.device == "cuda":
                torch.cuda.synchronize()
            phases.end(f"steps up to {training.step} of epoch {training.epoch + 1}")
    print(f"\n{training.runtime.not_captured or 'captured'}, {training.runtime.layout}")
    if chosen.profile:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(70)


if __name__ == "__main__":
    main()
