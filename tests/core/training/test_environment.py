"""What a run records of the machine and the code that it was trained with."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from core.training import environment


@pytest.fixture(autouse=True)
def nothing_cached():
    for function in (environment.describe_machine, environment.find_commit):
        function.cache_clear()
    yield
    for function in (environment.describe_machine, environment.find_commit):
        function.cache_clear()


def test_a_processor_has_a_name_on_every_system(monkeypatch):
    def read_text(path, *args, **kwargs):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setattr(environment.os, "cpu_count", lambda: 8)
    assert environment.describe_machine().startswith("arm, 8 cores, ")
    environment.describe_machine.cache_clear()
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "")
    assert environment.describe_machine().startswith("unknown, 8 cores, ")


def test_a_commit_is_the_projects_own(tmp_path):
    def git(*arguments):
        names = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *names, *arguments], cwd=tmp_path, check=True, capture_output=True)

    assert environment.find_commit(tmp_path) == ""
    git("init", "-q")
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "code.py").write_text("a = 1")
    assert environment.find_commit(tmp_path) == ""
    git("add", ".")
    git("commit", "-q", "-m", "Begin")
    environment.find_commit.cache_clear()
    commit = environment.find_commit(tmp_path)
    assert len(commit) == 12
    (tmp_path / "core" / "code.py").write_text("a = 2")
    environment.find_commit.cache_clear()
    assert environment.find_commit(tmp_path) == f"{commit}+"
    # A folder within another project's repository has no commit of its own.
    environment.find_commit.cache_clear()
    assert environment.find_commit(tmp_path / "core") == ""
