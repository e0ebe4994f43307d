"""Listing, renaming and annotating runs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import RunError
from core.runs import (
    creation,
    status,
    store,
)
from core.runs.run import DamagedRun, Run


def test_no_such_run():
    with pytest.raises(RunError, match="there is no run 'x'"):
        store.open_run("x")


def test_the_list_is_newest_first(tiny):
    for name in ("b", "a", "c"):
        creation.create_run(tiny, name)
        time.sleep(0.002)
    assert [run.name for run in store.list_runs()] == ["c", "a", "b"]
    assert store.list_runs(Path("nowhere")) == []


def test_what_else_lies_among_the_runs_is_told_and_not_followed(trained, tmp_path, checkpoints):
    run = trained("a")
    outside = tmp_path / "outside"
    run.folder.rename(outside)
    (checkpoints / "link").symlink_to(outside)
    (checkpoints / "note.txt").write_text("hello")
    (checkpoints / "empty").mkdir()
    (checkpoints / "bad name").mkdir()
    (checkpoints / ".hidden").mkdir()
    reasons = {item.name: item.reason for item in store.list_runs() if isinstance(item, DamagedRun)}
    assert set(reasons) == {"link", "note.txt", "empty", "bad name"}
    assert "link" in reasons["link"]
    assert "not a folder" in reasons["note.txt"]
    with pytest.raises(RunError, match="link"):
        store.open_run("link")


def test_renaming_takes_children_along(trained, tiny):
    trained("a")
    creation.create_run(tiny, "child", parent={"name": "a", "which": "last", "epoch": 3})
    renamed = store.rename("a", "b")
    assert (renamed.name, len(renamed.epochs)) == ("b", 3)
    assert store.open_run("child").parent == {"name": "b", "which": "last", "epoch": 3}
    with pytest.raises(RunError, match="already a run"):
        store.rename("b", "child")
    with pytest.raises(RunError, match="cannot be a run's name"):
        store.rename("b", "../b")
    status.write(renamed.folder, "queued")
    with pytest.raises(RunError, match="b is queued; stop it"):
        store.rename("b", "c")


def test_notes_and_tags_can_be_changed(tiny):
    creation.create_run(tiny, "a", notes="old", tags=("x",))
    assert store.annotate("a", notes="new").tags == ("x",)
    assert store.annotate("a", tags=("y", "z")).notes == "new"
    for wrong in ({"notes": "x" * 10_001}, {"tags": ("",)}, {"tags": ("x",) * 21}, {"tags": (3,)}):
        with pytest.raises(RunError):
            store.annotate("a", **wrong)


def test_three_hundred_runs_are_listed_fast(trained, tiny, checkpoints):
    run = trained("r0")
    for number in range(1, 300):
        folder = checkpoints / f"r{number}"
        folder.mkdir()
        for path in run.folder.iterdir():
            os.link(path, folder / path.name)
    started = time.process_time()
    first = store.list_runs()
    between = time.process_time()
    assert len(first) == 300
    assert all(isinstance(item, Run) for item in first)
    assert store.list_runs() == first
    again = time.process_time() - between
    assert between - started < 3.0
    assert again < 0.3


def test_listing_runs_loads_no_torch(trained, checkpoints):
    trained("a")
    code = (
        "import sys; from core.runs import archive, control, progress, run_queue, store, trash; "
        "print(len(store.list_runs()), run_queue.start_waiting(), [m for m in sys.modules if m in "
        "('torch', 'numpy', 'albumentations', 'streamlit')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(store.__file__).parents[2],
    )
    assert result.stdout.strip() == "1 [] []"
