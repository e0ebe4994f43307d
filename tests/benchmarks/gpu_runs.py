"""Whole runs on a GPU, each in a process of its own, for `gpu.py`."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import table

from core.config import RunConfig
from core.data import dataset
from core.recipes import recipe
from core.runs import events, run_queue
from core.runs.creation import create_run
from core.runs.store import open_run

ROOT = Path(__file__).parents[2]
GOAL = 99.4
_PUBLISHED = {
    "teacher": "none",
    "optimizer": "sgd",
    "momentum": 0.95,
    "batch_size": 32,
    "schedule": "original-one-cycle",
}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "published": ("taught", _PUBLISHED),
    "taught": ("taught", {}),
    "untaught": ("taught", {"teacher": "none"}),
    "sprint": ("sprint", {}),
}


def run_config(name: str) -> RunConfig:
    """Return the config of one of RUNS, or of a recipe."""
    base, changes = RUNS.get(name, (name, {}))
    return recipe(base).config.changed(**changes)


def runs(data: dataset.Mnist, chosen: Any) -> str:
    """Whole runs, one after the other, each started as the app starts it."""
    rows: list[tuple[object, ...]] = []
    for name in chosen.runs:
        finals = []
        for seed in chosen.seeds:
            run = train_one(name, seed, chosen)
            if isinstance(run, str):
                rows.append((name, seed, *["-"] * 8, run))
                print(rows[-1], file=sys.stderr, flush=True)
                continue
            accuracies = [correct / 100 for correct in run["correct"]]
            finals.append(accuracies[-1])
            to_goal = next(
                (f"{at:.1f}" for at, a in zip(run["at"], accuracies, strict=True) if a >= GOAL), "-"
            )
            rows.append(
                (
                    name,
                    seed,
                    f"**{run['took']:.1f}**",
                    f"{run['started']:.1f}",
                    f"{run['at'][0] - run['started']:.2f}",
                    f"{statistics.median(run['seconds']):.3f}",
                    f"{run['at'][-1] - run['started']:.2f}",
                    f"{accuracies[-1]:.2f}",
                    f"{max(accuracies):.2f}",
                    to_goal,
                    f"{run['format']}; {run['refusal'] or 'captured'}",
                )
            )
            print(rows[-1], file=sys.stderr, flush=True)
        if len(finals) > 1:
            mean, deviation = statistics.fmean(finals), statistics.stdev(finals)
            summary = ["mean", *["-"] * 5, f"**{mean:.3f} ± {deviation:.3f}**", *["-"] * 3]
            rows.append((name, *summary))
    columns = (
        "run",
        "seed",
        "s, whole process",
        "s until training starts",
        "s, first epoch",
        "s an epoch, median",
        "s, all epochs",
        "accuracy, last epoch",
        "best epoch",
        f"s to {GOAL} % (picked on test)",
        "format",
    )
    return "Whole runs with everything that a run writes:\n\n" + table(columns, rows)


def train_one(name: str, seed: int, chosen: Any) -> dict[str, Any] | str:
    """Train a run in a folder of its own; return how it went, or why it failed.

    Times are seconds since the run was submitted, before its process starts.
    """
    config = run_config(name).changed(seed=seed, device=chosen.device)
    if chosen.epochs:
        config = config.changed(epochs=chosen.epochs)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "checkpoints"
        shutil.copytree(ROOT / "checkpoints" / "teacher", folder / "teacher")
        os.environ["INKLING_CHECKPOINTS"] = str(folder)
        create_run(config, "run", folder=folder)
        began = time.time()
        run_queue.submit("run", folder)
        while (run := open_run("run", folder)).is_live or run.state == "queued":
            time.sleep(0.02)
        took = time.time() - began
        if run.state != "finished" or run.runtime is None:
            return f"{run.state}: {run.message}"
        recorded = events.read(folder / "run" / events.NAME)
        return {
            "took": took,
            "started": next(e["time"] for e in recorded if e["kind"] == "started") - began,
            "at": [e["time"] - began for e in recorded if e["kind"] == "epoch"],
            "seconds": [row.seconds for row in run.epochs],
            "correct": [row.val_correct for row in run.epochs],
            "format": f"{run.runtime.precision} {run.runtime.layout}",
            "refusal": run.runtime.not_captured
            or ("" if run.runtime.device == "cuda" else "only on CUDA"),
        }
