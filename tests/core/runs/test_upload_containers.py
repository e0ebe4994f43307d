"""Zips of a run made by other programs: foreign files are ignored, all checks are kept."""

import io
import stat
import struct
import zipfile

import pytest

from core.errors import RunError
from core.runs import archive
from tests.core.runs.zips import read_zip, write_zip


def check_imported(data, run):
    imported = archive.import_run(data)
    assert imported.epochs == run.epochs
    assert imported.config == run.config


def test_a_zip_by_finder_is_imported(exported):
    run, data = exported
    contents = {"a/": b"", **read_zip(data)}
    for name in list(contents):
        path = name.rstrip("/").rpartition("/")
        contents[f"__MACOSX/{path[0]}/._{path[2]}".replace("//", "/")] = bytes(120)
    contents["a/.DS_Store"] = bytes(6_148)
    contents["__MACOSX/a/run.json"] = b"{"
    check_imported(write_zip(contents), run)


def test_a_zip_by_powershell_is_imported(exported):
    """Windows PowerShell 5 writes backslashes."""
    run, data = exported
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in read_zip(data).items():
            entry = zipfile.ZipInfo("x")
            entry.filename = name.replace("/", "\\")
            target.writestr(entry, content)
    check_imported(buffer.getvalue(), run)


def test_a_zip_by_explorer_is_imported(exported):
    """The folder's files alone, without the folder."""
    run, data = exported
    contents = {name.partition("/")[2]: content for name, content in read_zip(data).items()}
    check_imported(write_zip({**contents, "Thumbs.db": bytes(100), "desktop.ini": b""}), run)


@pytest.mark.parametrize("comment", [b"made by 7-Zip", b"x" * 65_535])
def test_a_zip_with_a_comment_is_imported(exported, comment):
    run, data = exported
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as target:
        target.comment = comment
    check_imported(buffer.getvalue(), run)


@pytest.mark.parametrize("parent", ["", "checkpoints/"])
def test_a_zip_of_a_runs_folder_by_hand_is_imported(trained, parent):
    run = trained("a")
    (run.folder / "report.md").write_text("# a")
    (run.folder / "log.txt").write_text("")
    (run.folder / "state.pt").write_bytes(b"\x80\x02c")
    (run.folder / "request.json").write_text("{}")
    contents = {
        f"{parent}a/{path.relative_to(run.folder).as_posix()}": path.read_bytes()
        for path in run.folder.rglob("*")
        if path.is_file()
    }
    imported = archive.import_run(write_zip(contents))
    assert imported.epochs == run.epochs
    assert imported.name == "a-2"
    names = {path.name for path in imported.folder.iterdir()}
    files = {"status.json", "run.json", "epochs.json", "events.jsonl", *archive.TENSORS}
    assert names == {*files, "epochs"}


def test_checks_hold_for_foreign_containers_too(exported):
    contents = read_zip(exported[1])
    backslashes = {name.replace("/", "\\"): data for name, data in contents.items()}
    for name in ("..\\run.json", "\\run.json", "C:\\a\\run.json", "a\\..\\run.json"):
        with pytest.raises(RunError):
            archive.import_run(write_zip({**backslashes, name: b"{}"}))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name)
            if name.endswith("run.json"):
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            target.writestr(entry, data)
    with pytest.raises(RunError, match="does not belong"):
        archive.import_run(buffer.getvalue())


def test_a_second_directory_in_a_zip_changes_nothing(exported):
    """One set of bytes is parsed once, so two programs cannot read two different files."""
    run, data = exported
    other = write_zip({"b/run.json": b"{}"})
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, 0, 0)
    for joined in (other + data, data + other, data + end):
        try:
            check_imported(joined, run)
        except RunError:
            continue


def test_many_entries_in_any_directory_are_refused_before_they_are_listed(exported, monkeypatch):
    many = write_zip({f"{number}": b"" for number in range(archive.MAX_ENTRIES + 1)})
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *rest: pytest.fail("it was listed"))
    for data in (many, many + exported[1], exported[1] + many, many + b"PK\x05\x06" + bytes(18)):
        with pytest.raises(RunError, match="more than the 1,000 files"):
            archive.import_run(data)
