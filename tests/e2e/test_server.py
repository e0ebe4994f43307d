"""The server without a browser: hosts and origins that may connect, and many connections."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

CONNECTIONS = 200


@contextlib.contextmanager
def websocket(app: str, host: str | None = None, origin: str | None = None) -> Iterator[int]:
    """Open Streamlit's websocket and yield the status of its handshake; 101 if it is open."""
    address = urlsplit(app)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.putrequest("GET", f"{address.path}/_stcore/stream", skip_host=True)
    headers = {
        "Host": host or address.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "streamlit",
    } | ({"Origin": origin} if origin else {})
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    with contextlib.closing(connection), connection.getresponse() as response:
        yield response.status


def handshake_status(app: str, host: str | None = None, origin: str | None = None) -> int:
    with websocket(app, host, origin) as status:
        return status


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_local_names_may_connect(app, name):
    host = f"{name}:{urlsplit(app).port}"
    assert handshake_status(app, host, f"http://{host}") == 101


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", "http://evil.example"),
        ("evil.example:{port}", "http://evil.example:{port}"),
        ("localhost.evil.example", "http://localhost.evil.example"),
        ("localhost@evil.example", "http://localhost"),
        ("localhost:{port}", "http://evil.example"),
        ("localhost:{port}", "https://evil.example:{port}"),
        ("localhost:{port}", "null"),
    ],
)
def test_a_foreign_host_or_origin_may_not_connect(app, host, origin):
    port = urlsplit(app).port
    assert handshake_status(app, host.format(port=port), origin.format(port=port)) == 403


@pytest.mark.parametrize("session", ["x", "../x", "00000000-0000-0000-0000-000000000000"])
def test_an_upload_without_a_session_is_refused(app, session):
    request = urllib.request.Request(
        f"{app}/_stcore/upload_file/{session}/file", b"data", method="PUT"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    with contextlib.closing(refused.value):
        assert 400 <= refused.value.code < 500


def test_many_connections_leave_the_server_healthy(app):
    with contextlib.ExitStack() as held:
        statuses = {held.enter_context(websocket(app)) for _ in range(CONNECTIONS)}
        assert statuses == {101}
        with urllib.request.urlopen(f"{app}/_stcore/health", timeout=30) as health:
            assert health.status == 200
    assert handshake_status(app) == 101
