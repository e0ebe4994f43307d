"""A real server and a real browser, for the browser tests and the script of screenshots."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextlib.contextmanager
def serve(checkpoints: Path, **environment: str) -> Iterator[str]:
    """Start the app as a user would, on a free port, and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = Path(tempfile.gettempdir()) / f"inkling-server-{port}.log"
    with open(log, "w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)], cwd=ROOT,
            env={**os.environ, "INKLING_CHECKPOINTS": str(checkpoints), **environment}, stdout=output, stderr=output)
    try:
        address = f"http://localhost:{port}"
        _wait_for(f"{address}/_stcore/health", server, log)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def chromium(playwright: Any, *flags: str) -> Any:
    """The installed Chromium or Chrome, else Playwright's own.

    Args:
        playwright: what starts it.
        flags: for its command line, beside those that every test needs.

    Raises:
        playwright.sync_api.Error: there is none.
    """
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the app did not start:\n{log.read_text()[-2_000:]}")
