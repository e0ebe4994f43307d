"""The cache folder follows each system's convention, and a variable overrides it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.user_cache import cache_folder

HOME = Path.home()


@pytest.mark.parametrize(
    ("system", "environment", "folder"),
    [
        ("linux", {}, HOME / ".cache" / "inkling"),
        ("linux", {"XDG_CACHE_HOME": "/caches"}, Path("/caches/inkling")),
        ("linux", {"XDG_CACHE_HOME": "relative"}, HOME / ".cache" / "inkling"),
        ("darwin", {"XDG_CACHE_HOME": "/caches"}, HOME / "Library" / "Caches" / "inkling"),
        ("win32", {}, HOME / "AppData" / "Local" / "inkling"),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/inkling")),
        ("linux", {"INKLING_CACHE": "/mine", "XDG_CACHE_HOME": "/caches"}, Path("/mine")),
        ("win32", {"INKLING_CACHE": "~/mine"}, HOME / "mine"),
    ],
)
def test_the_folder_is_the_systems(system, environment, folder, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    assert cache_folder(environment) == folder
