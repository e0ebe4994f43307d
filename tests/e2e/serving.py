"""A real server and a real browser, for the browser tests and the script of screenshots."""

from __future__ import annotations

import contextlib
import os
import re
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

import pytest
from playwright.sync_api import Error

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
# Streamlit looks for its server below the page's own path first when a deep link is opened.
PROBES = re.compile(r"/\w+/_stcore/(health|host-config)$")


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def serve(checkpoints: Path, *options: str, path: str = "", **environment: str) -> Iterator[str]:
    """Start the app as a user would, on a free port, and give its address.

    Args:
        checkpoints: the folder of runs.
        options: for Streamlit's command line.
        path: the base path that the options set, such as "/inkling".
        environment: variables.
    """
    port = free_port()
    log = Path(tempfile.gettempdir()) / f"inkling-server-{port}.log"
    with open(log, "w") as output:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                "streamlit_app.py",
                "--server.port",
                str(port),
                *options,
            ],
            cwd=ROOT,
            env={**os.environ, "INKLING_CHECKPOINTS": str(checkpoints), **environment},
            stdout=output,
            stderr=output,
        )
    try:
        address = f"http://localhost:{port}{path}"
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
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    return playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])


@contextlib.contextmanager
def launched(driver: Any, *flags: str) -> Iterator[Any]:
    """An installed Chromium or Chrome, else Playwright's own, started with extra flags."""
    try:
        started = chromium(driver, *flags)
    except Error as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(
            f"no browser to test with; install chromium ({str(error).splitlines()[0][:80]})"
        )
    yield started
    started.close()


@contextlib.contextmanager
def watched_page(browser: Any, app: str, **settings: Any) -> Iterator[Any]:
    """A page in a fresh context of a browser, as the fixture `tab` gives it."""
    context = browser.new_context(**{"viewport": LAPTOP, "base_url": app, **settings})
    context.set_default_timeout(90_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            wrong.append(f"console: {message.text} {message.location.get('url')}")
            if message.type == "error" and not PROBES.search(message.location.get("url", ""))
            else None
        ),
    )
    page.on(
        "request",
        lambda each: (
            wrong.append(f"request: {each.url}")
            if not each.url.startswith((app, "data:", "blob:"))
            else None
        ),
    )
    yield page
    context.close()
    assert not wrong, wrong


def _wait_for(
    address: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 120
) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the app did not start:\n{log.read_text()[-2_000:]}")
