"""Kill a run on MNIST many times, and compare its end with that of an undisturbed run.

    python tests/benchmarks/soak_kill.py --kills 100

Two runs of one config: the first trains undisturbed; the second is killed with SIGKILL at random
moments (while it starts, trains, validates and saves) and resumed each time. Both must end with the
same weights bit for bit and the same epoch table, the time column aside. Where the second is
finished before it was killed often enough, ask for more `--epochs`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.config import RunConfig  # noqa: E402
from core.runs import (  # noqa: E402
    creation,
    status,
    store,
)
from core.runs.run import Run  # noqa: E402

# Everything that a state has to hold: dropout, batch norm, momentum that cycles, averaged weights,
# augmentation in a background process, a hold-out.
CONFIG = RunConfig(
    layers=(
        {"kind": "space_to_depth", "block": 4},
        {"kind": "conv", "channels": 8, "kernel": 3, "norm": "batch", "bias": False},
        {"kind": "dropout", "p": 0.1},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ),
    batch_size=500,
    max_lr=0.1,
    momentum_cycle=True,
    ema_decay=0.99,
    holdout=5_000,
    augmentation="final",
    device="cpu",
    precision="fp32",
    threads=1,
)


def main() -> None:
    """Train both runs and say how they compare; exit status 1 where they differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument(
        "--longest", type=float, default=4.0, help="seconds of training before a kill, at most"
    )
    parser.add_argument("--save-every", type=float, default=1.0, help="seconds between two states")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument(
        "--folder", type=Path, help="where the runs go; default: a temporary folder"
    )
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="inkling-soak-"))).resolve()
    config = CONFIG.changed(epochs=options.epochs)
    whole, cut = (creation.create_run(config, name, folder=folder) for name in ("whole", "cut"))

    started = time.monotonic()
    train(whole, options.save_every).wait()
    print(
        f"undisturbed: {store.open_run('whole', folder).state} "
        f"after {time.monotonic() - started:.0f} s",
        flush=True,
    )

    chance = random.Random(options.seed)
    where: Counter[str] = Counter()
    started = time.monotonic()
    while sum(where.values()) < options.kills:
        process = train(cut, options.save_every)
        # A third of the kills falls into the start, where nothing is saved yet; the others into
        # training.
        if chance.random() < 0.67:
            wait_until_it_trains(process, cut)
        with_luck(process, chance.uniform(0, options.longest))
        if process.poll() is not None:
            print(f"finished after {sum(where.values())} kills; ask for more --epochs", flush=True)
            break
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        if psutil.wait_procs(children, timeout=10)[1]:
            sys.exit("a process that augments outlived the one that trains")
        run = store.open_run("cut", folder)  # raises where the folder is damaged
        if run.state not in ("crashed", "stopped") or not run.can_resume:
            sys.exit(f"after a kill the run is {run.state} and cannot be resumed: {run.message}")
        last = run.read_events()[-1] if run.read_events() else {"kind": "nothing yet"}
        where[last["kind"]] += 1
        if sum(where.values()) % 10 == 0:
            print(
                f"{sum(where.values())} kills, {len(run.epochs)} of {options.epochs} epochs, "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
    if store.open_run("cut", folder).state != "finished":
        train(cut, options.save_every).wait()
    report(store.open_run("whole", folder), store.open_run("cut", folder), where)


def train(run: Run, save_every: float) -> subprocess.Popen[bytes]:
    """A worker for the run, as the queue starts it."""
    with open(run.folder / "log.txt", "ab") as log:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "core.runs.worker",
                str(run.folder),
                "--save-every",
                str(save_every),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_it_trains(process: subprocess.Popen[bytes], run: Run) -> None:
    """Return once this process has written a batch, or is gone."""
    while process.poll() is None:
        now = status.read(run.folder)
        past = run.read_events()
        if now.pid == process.pid and not now.message and past and past[-1]["kind"] == "batch":
            return
        time.sleep(0.02)


def with_luck(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Let the process go on for so long, unless it ends before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def report(whole: Run, cut: Run, where: Counter[str]) -> None:
    """Print what is equal and what is not; exit status 1 where something is not."""

    def table(run: Run) -> list[dict[str, object]]:
        return [{**row.to_dict(), "seconds": 0} for row in run.epochs]

    equal = {
        name: (whole.folder / name).read_bytes() == (cut.folder / name).read_bytes()
        for name in ("last.safetensors", "best.safetensors")
    }
    equal["epoch table"] = table(whole) == table(cut)
    equal["test result"] = whole.test == cut.test
    equal["finished"] = whole.state == cut.state == "finished"
    resumed = sum(event["kind"] in ("resumed", "started") for event in cut.read_events())
    print(
        json.dumps(
            {
                "kills": sum(where.values()),
                "last event before the kill": dict(where),
                "taken up": resumed,
                "epochs": len(cut.epochs),
                "equal": equal,
                "folder": str(cut.folder.parent),
            },
            indent=1,
        )
    )
    sys.exit(0 if all(equal.values()) else 1)


if __name__ == "__main__":
    main()
