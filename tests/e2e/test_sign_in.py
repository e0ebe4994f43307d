"""Signing in at a provider, what each role then sees and may do, and signing out."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from identity_provider import Provider, identity_provider
from playwright.sync_api import Page, expect
from raw_client import Client
from serving import LAPTOP, serve
from waiting import visit, wait_for_value

from core.runs import store
from tests.made import made_run

pytest.importorskip("authlib", reason="needs streamlit[auth]")

PEOPLE: dict[str, dict[str, Any]] = {
    name: {"email": f"{name}@example.org", "email_verified": True}
    for name in ("reader", "member", "other", "owner", "stranger")
}
PEOPLE["unverified"] = {"email": "owner@example.org", "email_verified": False}
RUNS = {"members-run": "member@example.org", "others-run": "other@example.org", "nobodys": None}
ROLES = """
owners = ["owner@example.org"]
members = ["member@example.org", "other@example.org"]
readers = ["reader@example.org"]
default = "none"
"""
PAGES = ("", "story", "data", "model", "train", "runs", "experiments", "mistakes", "draw")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with identity_provider(PEOPLE) as running:
        yield running


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("signed-in") / "checkpoints"


@pytest.fixture
def fresh_runs(runs) -> Path:
    """Runs of two people and of nobody."""
    for name, owner in RUNS.items():
        if not (runs / name).exists():
            made_run(runs, name, done=2)
        store.update_run_json(runs / name, owner=owner)
    return runs


@pytest.fixture(scope="module")
def shared_app(provider, runs, tmp_path_factory) -> Iterator[str]:
    """The app with sign-in set up."""
    file = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    file.write_text(
        provider.write_secrets("http://localhost:{port}/oauth2callback", ROLES), encoding="utf-8"
    )
    runs.mkdir()
    with serve(runs, "--secrets.files", str(file)) as address:
        yield address


@contextlib.contextmanager
def opened(browser: Any, app: str) -> Iterator[tuple[Page, list[bytes]]]:
    """A page of a new browser session, and all that the server sends it."""
    context = browser.new_context(viewport=LAPTOP, base_url=app)
    context.set_default_timeout(60_000)
    page = context.new_page()
    received: list[bytes] = []

    def listen(socket: Any) -> None:
        def keep(data: bytes | str) -> None:
            received.append(data if isinstance(data, bytes) else data.encode())

        socket.on("framereceived", keep)

    page.on("websocket", listen)
    yield page, received
    context.close()


def sign_in(page: Page, person: str) -> None:
    visit(page, "/")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=person, exact=True).click()


def address(person: str) -> re.Pattern[str]:
    """A person's address as a page shows it, with the word joiner that keeps it from a link."""
    return re.compile(rf"{person}@\u2060?example\.org")


def expect_signed_in(page: Page, person: str) -> None:
    expect(page.locator(".stSidebar .st-key-account")).to_contain_text(address(person))


def delete_button(page: Page) -> Any:
    return page.locator(".st-key-runs_delete_run").get_by_role("button", name="Delete")


def test_signed_out_people_see_no_data(browser, shared_app, fresh_runs):
    with opened(browser, shared_app) as (page, received):
        for name in PAGES:
            visit(page, f"/{name}" + ("?run=others-run" if name == "train" else ""))
            expect(page.get_by_role("button", name="Sign in")).to_be_visible()
            expect(page.locator(".stSidebar a")).to_have_count(0)
        sent = b"".join(received)
        assert b"Sign in" in sent
        for name in RUNS:
            assert name.encode() not in sent


@pytest.mark.parametrize("person", ["reader", "member", "owner"])
def test_roles(browser, shared_app, fresh_runs, provider, person):
    deletable = {"reader": (), "member": ("members-run",), "owner": tuple(RUNS)}[person]
    with opened(browser, shared_app) as (page, _):
        sign_in(page, person)
        expect_signed_in(page, person)
        visit(page, "/train?start=final")
        start = page.get_by_role("button", name="Start", exact=True)
        expect(start).to_be_visible()
        expect(start).to_be_enabled(enabled=person != "reader")
        for name in RUNS:
            visit(page, f"/runs?select={name}")
            delete = delete_button(page)
            expect(delete).to_be_visible()
            expect(delete).to_be_enabled(enabled=name in deletable)
        visit(page, "/draw")
        expect(page.locator("canvas").first).to_be_visible()
        ended = provider.ended_sessions
        page.locator(".stSidebar").get_by_role("button", name="Sign out").click()
        # The button is back before the browser has left for the provider.
        wait_for_value(page, lambda: provider.ended_sessions, ended + 1)
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        visit(page, "/runs")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("person", ["stranger", "unverified"])
def test_whoever_has_no_role_sees_no_data(browser, shared_app, fresh_runs, person):
    with opened(browser, shared_app) as (page, received):
        sign_in(page, person)
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        visit(page, "/runs")
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        expect(page.locator(".stSidebar a")).to_have_count(0)
        assert not any(name.encode() in b"".join(received) for name in RUNS)


def test_a_stale_page_cannot_delete_anothers_run(browser, shared_app, fresh_runs):
    with opened(browser, shared_app) as (page, _):
        sign_in(page, "member")
        expect_signed_in(page, "member")
        visit(page, "/runs?select=members-run")
        delete_button(page).click()
        confirm = page.locator(".st-key-runs_confirm button")
        expect(confirm).to_be_visible()
        store.update_run_json(fresh_runs / "members-run", owner="other@example.org")
        confirm.click()
        expect(page.get_by_text(address("This belongs to other")).first).to_be_visible()
        assert (fresh_runs / "members-run").exists()
        # The same clicks on the person's own run.
        store.update_run_json(fresh_runs / "members-run", owner="member@example.org")
        visit(page, "/runs?select=members-run")
        delete_button(page).click()
        confirm.click()
        expect(page.get_by_text("members-run is in the bin.").first).to_be_visible()
        assert not (fresh_runs / "members-run").exists()


def test_a_click_made_by_hand_cannot_delete_anothers_run(browser, shared_app, fresh_runs):
    with opened(browser, shared_app) as (page, _):
        sign_in(page, "member")
        expect_signed_in(page, "member")
        cookies = page.context.cookies()
    with Client(shared_app, cookies) as client:
        client.rerun("train", "run=members-run")
        client.click("train_delete")
        assert "train_delete_now" in client.ids  # which stay the same
        client.rerun("train", "run=others-run")
        client.click("train_delete")
        client.click("train_delete_now")
        assert (fresh_runs / "others-run").exists()
        client.rerun("train", "run=members-run")
        client.click("train_delete")
        client.click("train_delete_now")
        assert not (fresh_runs / "members-run").exists()


def test_what_a_member_makes_is_theirs(browser, shared_app, fresh_runs):
    with opened(browser, shared_app) as (page, _):
        sign_in(page, "member")
        expect_signed_in(page, "member")
        visit(page, "/model")
        page.locator(".st-key-model_save button").first.click()
        page.locator(".st-key-model_name input").fill("members-network")
        page.locator(".st-key-model_name input").press("Enter")
        page.locator(".st-key-model_save_now button").click()
        expect(page.get_by_text("Saved as members-network.").first).to_be_visible()
    from core.library import architectures

    (saved,) = architectures.list_saved(fresh_runs)
    assert saved.owner == "member@example.org"
