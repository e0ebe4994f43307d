"""Fixtures of the browser tests: a server, a browser, and a page that nothing may go wrong on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright
from serving import ROOT, launched, serve, watched_page

from core.runs import control, trash
from core.runs.folders import list_entries
from core.runs.store import open_run
from tests.made import made_run

expect.set_options(
    timeout=60_000
)  # a machine that trains answers late; how late is measured elsewhere


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark browser tests, and let each have a second attempt, which the report names.

    A browser and a server on a machine whose cores are busy now and then lose a click or a
    connection; a fault of the app fails both attempts.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """A folder with the runs of three recipes: the shipped ones, or fake ones."""
    folder = tmp_path_factory.mktemp("app") / "checkpoints"
    folder.mkdir()
    for name in ("initial", "intermediate", "final"):
        shipped = ROOT / "checkpoints" / name
        if (shipped / "last.safetensors").is_file():
            shutil.copytree(shipped, folder / name)
        else:
            made_run(folder, name, done=15, epochs=15, recipe=name)
    return folder


@pytest.fixture
def guests(checkpoints) -> Iterator[None]:
    """After the test, remove the runs that it added and restore those that it deleted."""
    before = {path.name for path in list_entries(checkpoints)}
    yield
    for name in {path.name for path in list_entries(checkpoints)} - before:
        if open_run(name, checkpoints).is_live:
            control.stop(name, checkpoints)
            control.wait_until_idle(name, checkpoints, seconds=60)
        trash.delete(name, checkpoints)
    for item in trash.list_trash(checkpoints):
        if item.name in before and not (checkpoints / item.name).exists():
            trash.restore(item.key, folder=checkpoints)
    trash.empty(folder=checkpoints)


@pytest.fixture(scope="session")
def app(checkpoints) -> Iterator[str]:
    """The address of the app, started as a user would."""
    with serve(checkpoints) as address:
        yield address


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Playwright, of which a process can have one only."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(driver) -> Iterator[Any]:
    """The browser of all pages that need none of their own."""
    with launched(driver) as started:
        yield started


@pytest.fixture
def tab(browser, app, request) -> Iterator[Any]:
    """A page in a fresh context; console errors and foreign requests fail the test.

    Parametrise it indirectly with settings of the context, such as a viewport.
    """
    with watched_page(browser, app, **getattr(request, "param", {})) as page:
        yield page
