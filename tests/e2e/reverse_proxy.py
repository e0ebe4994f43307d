"""A reverse proxy on the loopback address, with TLS and a timeout for idle websockets.

It does what the nginx location in .streamlit/README.md does: it forwards the path, the host with
its port, and the headers of an upgrade.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NAME = "inkling.test"  # RFC 6761: never the name of a real host


class Proxy:
    """The proxy's address, and what it saw.

    Args:
        port: where it listens.
        upstream: the port that it forwards to.
        idle_seconds: after which it cuts a websocket that carries nothing.
    """

    def __init__(self, port: int, upstream: int, idle_seconds: float) -> None:
        self.port, self.upstream, self.idle_seconds = port, upstream, idle_seconds
        self.address = f"https://{NAME}:{port}"
        self.cut = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.handshakes: list[list[str]] = []
        """The subprotocols of each websocket: Streamlit's own, a token, and the session."""

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one request and its answer; of an upgrade, everything that follows."""
        self.open.add(writer)
        # Whoever leaves, or the end of the proxy, ends the exchange.
        left = (OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*left):
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines if line)
            names = {name.lower(): name for name in headers}
            upgrades = "upgrade" in names
            headers[names.get("connection", "Connection")] = "Upgrade" if upgrades else "close"
            headers["X-Forwarded-Proto"] = "https"
            if upgrades:
                protocols = headers[names["sec-websocket-protocol"]]
                self.handshakes.append([part.strip() for part in protocols.split(",")])
            server_reader, server = await asyncio.open_connection("127.0.0.1", self.upstream)
            self.open.add(server)
            head = "\r\n".join([first, *(f"{name}: {text}" for name, text in headers.items())])
            server.write(f"{head}\r\n\r\n".encode("latin-1"))
            await self._exchange(reader, writer, server_reader, server, upgrades)
        writer.close()

    async def end(self) -> None:
        """End all connections, whatever they still carry."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in self.open:
            writer.transport.abort()
        await asyncio.sleep(0.1)  # the loop closes their sockets

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        upgrades: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            nonlocal last
            with contextlib.suppress(OSError):
                while data := await source.read(65_536):
                    last = loop.time()
                    target.write(data)
                    await target.drain()

        answers = asyncio.create_task(copy(server_reader, writer))
        requests = asyncio.create_task(copy(reader, server))
        while not answers.done() and not (upgrades and requests.done()):
            await asyncio.wait([answers, requests] if upgrades else [answers], timeout=0.2)
            if upgrades and loop.time() - last > self.idle_seconds:
                self.cut += 1
                break
        answers.cancel()
        requests.cancel()
        server.close()


def make_certificate(folder: Path) -> Path:
    """A certificate of our own for NAME, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    file, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    files = ["-keyout", str(key), "-out", str(file)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    file.write_text(file.read_text() + key.read_text())
    return file


@contextlib.contextmanager
def reverse_proxy(
    port: int, upstream: int, certificate: Path, idle_seconds: float
) -> Iterator[Proxy]:
    """Run a proxy in a thread of its own."""
    proxy = Proxy(port, upstream, idle_seconds)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    ready = threading.Event()
    ends: list[Callable[[], object]] = []

    async def serve() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        ends.append(lambda: loop.call_soon_threadsafe(ended.set))
        async with await asyncio.start_server(proxy.forward, "127.0.0.1", port, ssl=context):
            ready.set()
            await ended.wait()
            await proxy.end()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield proxy
    finally:
        ends[0]()
        thread.join(30)
