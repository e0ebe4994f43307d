"""Fixtures of the page tests: a queue that starts no process, and empty caches."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner

from core.runs import processes, run_queue
from core.training import format_cache
from pages.ui.home import first_network
from tests.made import made_run


@pytest.fixture(scope="session", autouse=True)
def one_scan() -> Iterator[None]:
    """Let AppTest search the installed packages for components once, not for each app it opens."""
    scan = functools.cache(manifest_scanner.scan_component_manifests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch) -> None:
    """Keeps Home from timing training steps in the background, and from what was timed before."""
    done: Future[None] = Future()
    done.set_result(None)
    monkeypatch.setattr(first_network, "start_measurement", lambda *config: done)
    monkeypatch.setattr(format_cache, "list_measurements", list)


@pytest.fixture
def idle(monkeypatch) -> list[Path]:
    """Keeps processes from being started; gives the run folders that would have been trained."""
    asked: list[Path] = []

    def start(place: Path) -> tuple[int, float]:
        asked.append(place)
        return processes.identity()

    monkeypatch.setattr(run_queue, "start_worker", start)
    return asked


@pytest.fixture
def fresh() -> Iterator[None]:
    """Clear Streamlit's caches before and after the test."""
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def four_runs(folder) -> Path:
    """A folder with two finished runs, a stopped one, and one without an epoch."""
    made_run(folder, "final", recipe="final", done=15, epochs=15, architecture="original-3762")
    made_run(folder, "other", done=3, max_lr=0.05)
    made_run(folder, "cut", done=1, state="stopped", epochs=4)
    made_run(folder, "fresh", done=0, state="stopped", epochs=4)
    return folder
