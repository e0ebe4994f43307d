"""The app behind a reverse proxy: a base path, TLS, and a websocket that is cut when idle."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from identity_provider import identity_provider
from playwright.sync_api import Error, expect
from reverse_proxy import NAME, Proxy, make_certificate, reverse_proxy
from serving import LAPTOP, PROBES, ROOT, free_port, launched, serve
from test_server import handshake_status
from waiting import visit, wait_for_value, wait_until, wait_until_idle

from core.runs import trash
from tests.made import made_run

IDLE_SECONDS = 600.0  # what a proxy allows at most; one test shortens it
PATH = "/inkling"
PAGES = {
    "": "Home",
    "story": "Story",
    "data": "Data",
    "model": "Model",
    "train": "Train",
    "runs": "Runs",
    "experiments": "Experiments",
    "mistakes": "Mistakes",
    "draw": "Draw",
}


def documented_options() -> list[str]:
    """The options that the sharing notes give for a server behind a proxy."""
    text = (ROOT / ".streamlit" / "README.md").read_text(encoding="utf-8")
    section = text.split("## Behind a reverse proxy")[1].split("\n## ")[0]
    options = re.findall(r"(--server\.\w+) ([\w.]+)", section)
    names = {name for name, _ in options}
    assert names == {"--server.allowedHosts", "--server.address", "--server.baseUrlPath"}
    return [word.replace("NAME", NAME) for option in options for word in option]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("proxied") / "checkpoints"
    folder.mkdir()
    made_run(folder, "mine", done=2)
    made_run(folder, "final", done=2)
    return folder


@pytest.fixture(scope="module")
def proxied_app(runs) -> Iterator[str]:
    """The app as the sharing notes start it; its own address, which only the proxy knows."""
    with serve(runs, *documented_options(), path=PATH) as address:
        yield address


@pytest.fixture(scope="module")
def proxy(proxied_app, tmp_path_factory) -> Iterator[Proxy]:
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    upstream = urlsplit(proxied_app).port or 0
    with reverse_proxy(free_port(), upstream, certificate, IDLE_SECONDS) as running:
        yield running


@pytest.fixture(scope="module")
def foreign_browser(driver) -> Iterator[Any]:
    """A browser that resolves the proxy's public name to this machine."""
    with launched(driver, f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as started:
        yield started


@pytest.fixture
def tab(foreign_browser, proxy) -> Iterator[Any]:
    """A page that opens addresses of the proxy; errors of the page fail the test."""
    context = foreign_browser.new_context(
        viewport=LAPTOP, base_url=proxy.address, ignore_https_errors=True
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "response",
        lambda answer: (
            wrong.append(f"{answer.status} {answer.url}")
            if answer.status >= 400 and not PROBES.search(answer.url)
            else None
        ),
    )
    yield page
    context.close()
    assert not wrong, wrong


def open_path(tab, path):
    """Open a path; again where Chromium gave up on connections that the test's proxy had closed."""
    for _ in range(3):
        try:
            visit(tab, path)
        except Error as error:
            if "ERR_TOO_MANY_RETRIES" not in str(error):
                raise
        else:
            return
    visit(tab, path)


def test_every_page_opens_by_its_link(tab):
    for name, title in PAGES.items():
        open_path(tab, f"{PATH}/{name}")
        expect(tab).to_have_title(f"{title} · Inkling")
        expect(tab.locator("h1")).to_be_visible()
        expect(tab.locator(".stSidebar a").first).to_be_visible()


def test_links_between_pages_stay_below_the_base_path(tab):
    open_path(tab, f"{PATH}/")
    tab.locator(".stSidebar").get_by_role("link", name="Model").click()
    expect(tab.locator("h1")).to_contain_text("Model")
    assert urlsplit(tab.url).path == f"{PATH}/model"


def test_an_idle_websocket_that_is_cut_reconnects_to_its_session(tab, proxy, runs):
    open_path(tab, f"{PATH}/runs?select=mine")
    tab.locator(".st-key-runs_delete_run").get_by_role("button", name="Delete").click()
    # Only the session on the server knows that the dialog is open.
    confirm = tab.locator(".st-key-runs_confirm button")
    expect(confirm).to_be_visible()
    wait_until_idle(tab)
    cut, handshakes = proxy.cut, len(proxy.handshakes)
    proxy.idle_seconds = 1.0
    wait_until(tab, lambda: proxy.cut > cut, "the websocket is not cut")
    proxy.idle_seconds = IDLE_SECONDS
    wait_until(tab, lambda: len(proxy.handshakes) > handshakes, "no new handshake")
    again = proxy.handshakes[handshakes]
    assert len(again) == 3, "the browser names the session that it had"
    assert len(again[2]) > 20
    wait_until_idle(tab)
    expect(confirm).to_be_visible()
    confirm.click()
    expect(tab.get_by_text("mine is in the bin.").first).to_be_visible()
    assert not (runs / "mine").exists()
    assert [item.name for item in trash.list_trash(runs)] == ["mine"]


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        (NAME, f"https://{NAME}", 101),
        (f"{NAME}:8443", f"https://{NAME}:8443", 101),
        ("evil.example", "https://evil.example", 403),
        (NAME, "https://evil.example", 403),
        # A proxy that drops the port from the host, as nginx's $host does.
        (NAME, f"https://{NAME}:8443", 403),
    ],
)
def test_only_the_public_name_may_connect(proxied_app, host, origin, status):
    assert handshake_status(proxied_app, host, origin) == status


def test_people_sign_in_behind_the_proxy(foreign_browser, runs, tmp_path):
    pytest.importorskip("authlib", reason="needs streamlit[auth]")
    person = {"email": "ada@example.org", "email_verified": True}
    file, port = tmp_path / "secrets.toml", free_port()
    with identity_provider({"ada": person}) as provider:
        public = f"https://{NAME}:{port}{PATH}"
        file.write_text(
            provider.write_secrets(f"{public}/oauth2callback", 'members = ["ada@example.org"]'),
            encoding="utf-8",
        )
        options = [*documented_options(), "--secrets.files", str(file)]
        context = foreign_browser.new_context(viewport=LAPTOP, ignore_https_errors=True)
        with (
            serve(runs, *options, path=PATH) as address,
            reverse_proxy(port, urlsplit(address).port or 0, make_certificate(tmp_path), 60),
            contextlib.closing(context),
        ):
            page = context.new_page()
            page.set_default_timeout(60_000)
            visit(page, f"{public}/runs")
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("link", name="ada").click()
            account = page.locator(".stSidebar .st-key-account")
            expect(account).to_contain_text("member")
            visit(page, f"{public}/runs")
            expect(account).to_contain_text("member")
            page.get_by_role("button", name="Sign out").click()
            wait_for_value(page, lambda: provider.ended_sessions, 1)
            expect(page.get_by_role("button", name="Sign in")).to_be_visible()
            assert page.url.startswith(public)
