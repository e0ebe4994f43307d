"""Listing, renaming and annotating runs."""

import os
import shutil
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
    trash,
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


FOREIGN = ("lost+found", "__MACOSX", "empty", ".DS_Store", "Thumbs.db", "README.md", "note~.txt")


def test_foreign_files_and_folders_are_ignored(tiny, checkpoints):
    creation.create_run(tiny, "a")
    for name in FOREIGN[:3]:
        (checkpoints / name).mkdir()
        (checkpoints / name / "file").write_text("x")
    for name in FOREIGN[3:]:
        (checkpoints / name).write_text("x")
    assert [run.name for run in store.list_runs()] == ["a"]
    with pytest.raises(RunError, match="already"):
        creation.create_run(tiny, "empty")


def test_a_name_that_is_not_utf_8_can_be_shown_and_deleted(tiny, checkpoints):
    run = creation.create_run(tiny, "a")
    try:
        os.rename(run.folder, os.fsencode(checkpoints) + b"/a\xff\xfe")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (damaged,) = store.list_runs()
    assert damaged.name.encode() == "a\ufffd\ufffd".encode()
    trash.delete(damaged.name)
    assert store.list_runs() == []
    assert [item.name for item in trash.list_trash()] == [damaged.name]


@pytest.mark.parametrize("name", ["run.json", "status.json", "epochs.json", "last.safetensors"])
def test_a_folder_in_place_of_a_file_is_damage(trained, name):
    run = trained("a")
    (run.folder / name).unlink()
    (run.folder / name).mkdir()
    (damaged,) = store.list_runs()
    assert isinstance(damaged, DamagedRun)
    assert name in damaged.reason


def test_a_link_among_the_runs_is_named_and_not_followed(trained, tmp_path, checkpoints):
    run = trained("a")
    outside = tmp_path / "outside"
    run.folder.rename(outside)
    (checkpoints / "link").symlink_to(outside)
    (checkpoints / "bad name").mkdir()
    (checkpoints / "bad name" / "run.json").write_text("{}")
    reasons = {item.name: item.reason for item in store.list_runs() if isinstance(item, DamagedRun)}
    assert set(reasons) == {"link", "bad name"}
    assert "link" in reasons["link"]
    with pytest.raises(RunError, match="link"):
        store.open_run("link")


def test_renaming_updates_forks(trained, tiny):
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
        shutil.copytree(run.folder, checkpoints / f"r{number}", copy_function=os.link)
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
