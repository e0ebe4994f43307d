"""What may happen to a run: killed and stopped processes, a killed server, a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType

import psutil
from app_tab import Tab

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.errors import RunError  # noqa: E402
from core.runs import jobs, run_queue, status, store  # noqa: E402
from core.runs.run import Run  # noqa: E402

PATIENCE = 60.0  # seconds for a process to start or to end
ROOM = 300_000  # bytes that a full disk may still have, at most
FILLER = ".filler"


class Faults:
    """Does what may happen to the runs of a folder; within `with`, a server can be started.

    Args:
        folder: the checkpoints folder.
        chance: what is random comes from it.
    """

    def __init__(self, folder: Path, chance: random.Random):
        self.folder, self.chance = folder, chance
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Faults:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill_server()

    @staticmethod
    def children(process: psutil.Process) -> list[psutil.Process]:
        """The processes that augment images for a training process."""
        try:
            return process.children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    @staticmethod
    def kill(process: psutil.Process) -> None:
        """SIGKILL; return when the process is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(PATIENCE)

    def stop(self, process: psutil.Process, run: Run) -> None:
        """SIGSTOP, for the training process or also for those that augment.

        Raises:
            SystemExit: the run does not count as training meanwhile, or a second worker may start.
        """
        family = [process, *(self.children(process) if self.chance.random() < 0.5 else [])]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.suspend()
        time.sleep(self.chance.uniform(0, 1))
        if not is_running(process) or status.read(run.folder).pid != process.pid:
            return  # stopped before it had claimed the run, or too late
        if not store.open_run(run.name, self.folder).is_live:
            sys.exit("a stopped process does not count as training")
        if self.chance.random() < 0.5:
            second = psutil.Process(
                jobs.start(
                    "core.runs.worker", run.folder, log=run.folder / status.LOG, append=True
                ).pid
            )
            with contextlib.suppress(psutil.NoSuchProcess):
                second.wait(PATIENCE)
        if self._lock_is_free():
            try:
                run_queue.submit(run.name, self.folder)
            except RunError:
                return
            sys.exit("a second worker may start beside a stopped one")

    def go_on(self, process: psutil.Process) -> None:
        """SIGCONT, for the training process and those that augment."""
        for member in (process, *self.children(process)):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.resume()

    def fill_disk(self, process: psutil.Process, run: Run) -> None:
        """Let the process meet a full disk, for three seconds or until it ends."""
        if self.folder.parent.is_mount():
            filler = self.folder.parent / FILLER
            left = shutil.disk_usage(self.folder).free - self.chance.randrange(ROOM)
            with open(filler, "wb") as file, contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, left))
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(3.0)
            filler.unlink()
            if not is_running(process):
                message = store.open_run(run.name, self.folder).message
                if "disk is full" not in message and message:
                    sys.exit(f"a full disk is reported as: {message}")
            return
        limit = self.chance.randrange(1, 30_000)
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, -1))
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(3.0)
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (-1, -1))

    def start_by_server(self, run: Run) -> psutil.Process:
        """Press the run's Resume button on Train; return the process that it has started."""
        self._start_server()
        before = status.read(run.folder).pid

        async def press() -> None:
            async with Tab(f"http://localhost:{self._port}") as tab:
                page = await tab.open("train", {"run": run.name})
                await tab.press(page.buttons.get("Resume") or page.buttons["Start"])

        asyncio.run(press())
        end = time.monotonic() + PATIENCE
        while (pid := status.read(run.folder).pid) in (None, before):
            if time.monotonic() > end:
                sys.exit(f"Resume starts nothing: {store.open_run(run.name, self.folder)}")
            time.sleep(0.02)
        return psutil.Process(pid)

    def kill_server(self) -> None:
        """SIGKILL, to the server if there is one."""
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait()
            self._server = None

    def _start_server(self) -> None:
        if self._server is not None:
            return
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
        self._server = subprocess.Popen(
            [*command, "--server.port", str(self._port)],
            cwd=ROOT,
            env={**os.environ, "INKLING_CHECKPOINTS": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + PATIENCE
        health = f"http://localhost:{self._port}/_stcore/health"
        while time.monotonic() < end:
            with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=2):
                return
            time.sleep(0.1)
        sys.exit("the server does not start")

    def _lock_is_free(self) -> bool:
        """Whether the stopped process does not happen to hold the folder's lock."""
        return not jobs.is_locked(self.folder / ".lock")


def is_running(process: psutil.Process) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
