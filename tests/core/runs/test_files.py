import errno
import json
import os
import threading
from pathlib import Path

import pytest

from core.errors import RunError
from core.runs import files


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"x": 1})
    files.write_json(path, {"x": 2})
    assert files.read_json(path) == {"x": 2}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, monkeypatch, call, number):
    path = tmp_path / "state.pt"
    files.write_bytes(path, b"old")

    def full(*arguments):
        raise OSError(number, "full")

    if call == "write":
        real = open

        class Full:
            def __init__(self, *arguments):
                self.file = real(*arguments)

            def __enter__(self):
                return self

            def __exit__(self, *rest):
                self.file.close()

            write = full

        monkeypatch.setattr(files, "open", Full, raising=False)
    else:
        monkeypatch.setattr(os, call, full)
    with pytest.raises(
        files.DiskFullError, match=r"the disk is full: state\.pt could not be saved.*intact"
    ):
        files.write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.pt"], (
        "the space that the attempt took must be free again"
    )


def test_other_faults_of_the_system_are_named(tmp_path):
    with pytest.raises(RunError, match=r"a\.json could not be written: No such file or directory"):
        files.write_json(tmp_path / "missing" / "a.json", 1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"NaN", "not valid JSON"),
        (b"[1, Infinity]", "not valid JSON"),
        (b"[" * 100_000, "nested more than"),
        (b"1" * 9_000, "not valid JSON"),
    ],
)
def test_invalid_json_is_refused(tmp_path, data, says):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(RunError, match=says):
        files.read_json(tmp_path / "a.json")


def test_a_missing_or_huge_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(RunError, match=r"a\.json is missing"):
        files.read_json(tmp_path / "a.json")
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 10)
    (tmp_path / "a.json").write_text(json.dumps("x" * 20))
    with pytest.raises(RunError, match="larger than 10 bytes"):
        files.read_json(tmp_path / "a.json")


def test_reading_again_sees_every_change(tmp_path):
    path = tmp_path / "a.json"
    for value in range(50):  # same size, and faster than a clock of milliseconds tells
        files.write_json(path, value % 10)
        assert files.read_json(path) == value % 10


def test_the_lock_admits_one_at_a_time(tmp_path):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        for _ in range(20):
            with files.lock_folder(tmp_path):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_lock_that_is_never_released_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.1)
    errors = []

    def other():
        try:
            with files.lock_folder(tmp_path):
                pass
        except RunError as error:
            errors.append(str(error))

    with files.lock_folder(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(errors) == 1
    assert "locked" in errors[0]


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.ENOSPC, files.DiskFullError, "the disk is full: new could not be saved"),
        (errno.EACCES, RunError, "new could not be written: Permission denied"),
    ],
)
def test_a_refusal_of_the_system_under_the_lock_is_an_error_message(tmp_path, number, kind, says):
    with pytest.raises(kind, match=says), files.lock_folder(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "new"))
    with files.lock_folder(tmp_path):
        pass


def test_only_partial_files_are_removed(tmp_path: Path):
    (tmp_path / ".state.pt.123-456.tmp").write_bytes(b"half")
    (tmp_path / "state.pt").write_bytes(b"whole")
    files.remove_partial_files(tmp_path)
    assert os.listdir(tmp_path) == ["state.pt"]
