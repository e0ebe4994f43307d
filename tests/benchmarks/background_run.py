"""A run that trains in a process of its own while something else is measured."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from core.config import RunConfig
from core.runs import creation, events

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds for a run to begin, or a page to answer


@contextlib.contextmanager
def training(config: RunConfig, name: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that trains in a process as the queue starts it, until the context ends."""
    run = creation.create_run(config, name, folder=folder)
    with open(run.folder / "log.txt", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.runs.worker", str(run.folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_for(folder: Path, kind: str) -> float:
    """The time, on the performance counter, at which a run's first event of a kind was there.

    Raises:
        SystemExit: it did not come.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if any(event["kind"] == kind for event in events.read(folder / events.NAME)):
            return time.perf_counter()
        time.sleep(0.005)
    log = folder / "log.txt"
    last_lines = log.read_text()[-1_000:] if log.exists() else ""
    sys.exit(f"{folder.name} did not begin within {PATIENCE:.0f} s:\n{last_lines}")
