"""Interrupt runs on MNIST many times in every way, and compare them with an undisturbed run.

    python tests/benchmarks/soak_kill.py --kills 100

Runs of one config: the first trains undisturbed; the others are interrupted at random moments,
while they start, train, validate, save and end, and resumed each time. An interruption is SIGKILL
of the training process, of a process that augments images, or of the server that the run was
started from by its button; a disk that fills up; SIGSTOP, followed by SIGCONT or SIGKILL. Each run
must end with the same weights bit for bit and the same epoch table, the time column aside, and
leave nothing behind. When one is finished the next begins, until there were enough interruptions.

The disk is a tmpfs of 64 MB, which needs root; without it, the process may no longer write
(RLIMIT_FSIZE) instead. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
from faults import Faults, is_running
from measuring import machine, table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.config import RunConfig  # noqa: E402
from core.recipes import RECIPES  # noqa: E402
from core.runs import creation, jobs, status, store  # noqa: E402
from core.runs.run import STATE, Run  # noqa: E402

# Everything that a state has to hold: dropout, batch norm, momentum that cycles, averaged weights,
# augmentation in background processes, a hold-out.
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
    augmentation="final",
)
DISK_MB = 64
PROGRESS = 60.0  # seconds in which a run that trains must write something
# Files that a finished run may have, and files beside the runs.
RUN_FILES = {
    "run.json",
    "status.json",
    "epochs.json",
    "events.jsonl",
    "last.safetensors",
    "best.safetensors",
    status.LOG,
    status.WORKER_LOCK,
}
SHARED_FILES = {".lock", ".queue.json", ".predictions"}


class Soak:
    """The runs, what interrupts them, and what was found."""

    def __init__(self, folder: Path, options: argparse.Namespace):
        self.folder, self.options = folder, options
        self.chance = random.Random(options.seed)
        self.faults = Faults(folder, self.chance)
        self.counts: Counter[str] = Counter()
        self.moments: Counter[str] = Counter()
        base = RECIPES[options.recipe].config if options.recipe else CONFIG
        self.config = base.changed(
            epochs=options.epochs,
            holdout=5_000,
            device="cpu",
            precision="fp32",
            threads=options.threads,
        )

    def train_undisturbed(self) -> Run:
        """The run that the others are compared with."""
        run = creation.create_run(self.config, "whole", folder=self.folder)
        process = self.start(run)
        process.wait()
        return store.open_run("whole", self.folder)

    def start(self, run: Run) -> psutil.Process:
        """A worker for the run, as the queue starts it."""
        log = run.folder / status.LOG
        every = ("--save-every", str(self.options.save_every))
        process = jobs.start("core.runs.worker", run.folder, *every, log=log, append=True)
        return psutil.Process(process.pid)

    def interrupt(self, name: str) -> Run:
        """Train a run, interrupted again and again, until it is finished."""
        run = creation.create_run(self.config, name, folder=self.folder)
        while True:
            by_server = self.wants_more and self.chance.random() < 0.1
            process = self.faults.start_by_server(run) if by_server else self.start(run)
            # A third of the interruptions falls into the start, where nothing is saved yet.
            if by_server or self.chance.random() < 0.67:
                self.wait_for_batches(process, run)
            if by_server and is_running(process):
                self.count("server killed", run)
                self.faults.kill_server()
                self.check_progress(process, run)
            while self.wants_more and is_running(process):
                with contextlib.suppress(psutil.TimeoutExpired):
                    process.wait(self.chance.uniform(0, self.options.longest))
                if is_running(process):
                    self.interrupt_once(process, run)
            process.wait()
            run = store.open_run(name, self.folder)  # raises where the folder is damaged
            if run.state == "finished":
                return run
            if run.state not in ("crashed", "failed") or not run.can_resume:
                sys.exit(f"{name} is {run.state} and cannot be resumed: {run.message}")

    @property
    def wants_more(self) -> bool:
        """Whether there were too few interruptions so far."""
        return sum(self.counts.values()) < self.options.kills

    def interrupt_once(self, process: psutil.Process, run: Run) -> None:
        """Do one of the faults to the training process."""
        kinds = ("training killed", "augmenting killed", "disk full", "stopped")
        kind = self.chance.choices(kinds, (50, 15, 15, 20))[0]
        children = self.faults.children(process)
        if kind == "augmenting killed" and not children:
            kind = "training killed"
        if kind == "disk full":
            self.count(kind, run)
            self.faults.fill_disk(process, run)
        elif kind == "stopped":
            ends = self.chance.random() < 0.5
            self.count("stopped, then killed" if ends else "stopped, then continued", run)
            self.faults.stop(process, run)
            if ends:
                self.faults.kill(process)
            else:
                self.faults.go_on(process)
                self.check_progress(process, run)
        else:
            self.count(kind, run)
            self.faults.kill(self.chance.choice(children) if "aug" in kind else process)
            if "aug" in kind:
                self.check_progress(process, run)
        if not is_running(process) and psutil.wait_procs(children, timeout=15)[1]:
            sys.exit(f"after {kind!r}, a process that augments outlived the one that trains")

    def count(self, kind: str, run: Run) -> None:
        """Count a fault, and the moment of the run that it falls into."""
        past = run.read_events()
        self.counts[kind] += 1
        self.moments[past[-1]["kind"] if past else "nothing yet"] += 1
        done = sum(self.counts.values())
        if done % 10 == 0:
            print(f"{done} interruptions, {time.monotonic() - BEGUN:.0f} s", flush=True)

    def wait_for_batches(self, process: psutil.Process, run: Run) -> None:
        """Return once this process has trained a batch, or is gone."""
        while is_running(process):
            now, past = status.read(run.folder), run.read_events()
            if now.pid == process.pid and not now.message and past and past[-1]["kind"] == "batch":
                return
            time.sleep(0.02)

    def check_progress(self, process: psutil.Process, run: Run) -> None:
        """Return once the run has written an event, or its process has ended."""
        events, end = len(run.read_events()), time.monotonic() + PROGRESS
        while is_running(process) and len(run.read_events()) == events:
            if time.monotonic() > end:
                sys.exit(f"{run.name} neither trains nor ends; see {run.folder}")
            time.sleep(0.02)


def compare(whole: Run, cut: Run) -> dict[str, bool]:
    """What of two runs is equal."""

    def rows(run: Run) -> list[dict[str, object]]:
        return [{**row.to_dict(), "seconds": 0} for row in run.epochs]

    return {
        "last weights": _bytes_of(whole, "last") == _bytes_of(cut, "last"),
        "best weights": _bytes_of(whole, "best") == _bytes_of(cut, "best"),
        "epoch table": rows(whole) == rows(cut),
        "test result": whole.test == cut.test,
    }


def _bytes_of(run: Run, which: str) -> bytes:
    return run.weights_path(which).read_bytes()


def list_leftovers(folder: Path) -> list[str]:
    """Files, locks and processes that should not be there when all runs are finished."""
    found = [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in RUN_FILES
        and path.relative_to(folder).parts[0] not in SHARED_FILES
    ]
    locks = [*folder.rglob(status.WORKER_LOCK), folder / ".lock"]
    found += [f"{path.relative_to(folder)} is locked" for path in locks if jobs.is_locked(path)]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(folder) in " ".join(process.cmdline()):
                found.append(f"process {process.pid}: {' '.join(process.cmdline())[:80]}")
    return found


@contextlib.contextmanager
def small_disk(place: Path | None) -> Iterator[Path]:
    """A folder on a small disk, if the system permits it."""
    place = (place or Path(tempfile.mkdtemp(prefix="inkling-soak-"))).resolve()
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    folder = place / "checkpoints"
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        if is_mounted:
            kept = shutil.copytree(folder, place.with_suffix(".copy"))
            print(f"the runs are kept in {kept}")
        raise
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)
            with contextlib.suppress(OSError):
                place.rmdir()


def main() -> None:
    """Train, interrupt and compare; exit status 1 where something differs or is left over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, help="interruptions")
    parser.add_argument("--recipe", choices=list(RECIPES), help="default: a small network")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--longest", type=float, default=1.2, help="seconds between two, at most")
    parser.add_argument("--save-every", type=float, default=0.5, help="seconds between two states")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--folder", type=Path, help="default: a temporary folder")
    options = parser.parse_args()
    wrong: list[str] = []
    with small_disk(options.folder) as folder:
        soak = Soak(folder, options)
        with soak.faults:
            whole = soak.train_undisturbed()
            print(f"undisturbed: {whole.state} after {time.monotonic() - BEGUN:.0f} s", flush=True)
            finished = 0
            while finished == 0 or soak.wants_more:
                cut = soak.interrupt(f"cut-{finished + 1}")
                finished += 1
                equal = compare(whole, cut)
                wrong += [f"{cut.name}: {what} differs" for what, same in equal.items() if not same]
        wrong += [f"left over: {what}" for what in list_leftovers(folder)]
        print(
            f"\n{sum(soak.counts.values())} interruptions of {finished} runs of {options.epochs} "
            f"epochs in {time.monotonic() - BEGUN:.0f} s. {machine()}.\n"
        )
        layout = whole.runtime.layout if whole.runtime else "unknown"
        print(f"layout: {layout}, threads: {options.threads}\n")
        print(table(("interruption", "count"), soak.counts.most_common()), end="\n\n")
        print(table(("last event before it", "count"), soak.moments.most_common()), end="\n\n")
        print(f"ends compared with an undisturbed run: {json.dumps(list(equal))}; {STATE} is gone")
        print("\n".join([f"wrong: {len(wrong)}", *(f"  {text}" for text in wrong[:20])]))
        if wrong:
            sys.exit(1)


BEGUN = time.monotonic()

if __name__ == "__main__":
    main()
