"""Three workers on one PostgreSQL server, one of them killed: each run is trained exactly once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.runs import processes
from core.sweeps import storage as sweep_storage
from core.sweeps import study
from core.sweeps.slots import DONE
from tests.core.sweeps import sweeping

RUNS = 8
PATIENCE = 120.0  # seconds


def programs() -> Path | None:
    """Where PostgreSQL's server is; None: not installed."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a PostgreSQL server of this test's own."""
    place = programs()
    missing = []
    if place is None:
        missing.append(
            "PostgreSQL's server is not installed; on Debian: apt-get install postgresql."
        )
    if importlib.util.find_spec("psycopg") is None:
        missing.append("psycopg is not installed: pip install 'psycopg[binary]'")
    if missing:
        message = " ".join(missing)
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    assert place is not None
    # Not in pytest's folder, which only its owner may enter: the server refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="inkling-postgresql-"))
    su: list[str] = []
    if os.getuid() == 0:
        su = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

    def do(program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [*su, place / program, "-D", folder / "data", *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    try:
        do("initdb", "-U", "inkling", "-A", "trust", "-N")
        do("pg_ctl", "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://inkling@127.0.0.1:{port}/postgres"
        finally:
            sweep_storage._open.cache_clear()
            do("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read(ledger: Path) -> list[tuple[str, int, int]]:
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [(word, int(place), int(pid)) for word, place, pid in map(str.split, lines)]


def test_after_a_worker_is_killed_each_run_is_trained_once(server, tmp_path):
    ledger = tmp_path / "ledger"
    study.create(sweeping.made("shared", runs=RUNS, sampler="tpe", epochs=3), server)
    workers: list[subprocess.Popen[bytes]] = []

    def begin(*hold: str) -> subprocess.Popen[bytes]:
        folder = tmp_path / f"machine-{len(workers)}"
        folder.mkdir()
        workers.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.core.sweeps.sweeping",
                    server,
                    str(folder),
                    str(ledger),
                    "shared",
                    *hold,
                ],
                cwd=processes.ROOT,
            )
        )
        return workers[-1]

    def wait_for_first(process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + PATIENCE
        while process.pid not in {pid for _, _, pid in read(ledger)}:
            assert process.poll() is None, "the worker ended before it began a run"
            assert time.monotonic() < until, "the worker began nothing"
            time.sleep(0.05)

    try:
        victim = begin("hold")
        wait_for_first(victim)
        others = [begin(), begin()]
        wait_for_first(others[0])
        victim.send_signal(signal.SIGKILL)
        for each in others:
            assert each.wait(PATIENCE) == 0
    finally:
        for each in workers:
            each.kill()
            each.wait()

    told = read(ledger)
    ended = Counter(place for word, place, _ in told if word == "ended")
    assert ended == dict.fromkeys(range(1, RUNS + 1), 1)
    [(killed, count)] = [
        (place, count)
        for place, count in Counter(place for word, place, _ in told if word == "began").items()
        if count > 1
    ]
    assert count == 2
    assert [place for _, place, pid in told if pid == victim.pid] == [killed]

    state = study.read("shared", server)
    assert state.count(DONE) == RUNS
    assert state.is_over
    assert len({trial.run for trial in state.trials}) == RUNS
    opened, _ = study.load("shared", server)
    first, second = [
        each.params
        for each in opened.trials
        if each.user_attrs.get("slot") == killed and each.params
    ]
    assert first == second
