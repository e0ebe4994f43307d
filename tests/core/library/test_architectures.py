"""The user's architectures: saved, listed, replaced, deleted; damaged files are named."""

import json

import pytest

from core.errors import ArchitectureError, LimitError, RunError
from core.library import architectures as own_architectures
from core.library.architectures import DamagedFile, SavedArchitecture, delete, list_saved, save
from core.models.architectures import ARCHITECTURES
from core.models.shapes import trace
from core.runs import store

ROWS = ({"kind": "maxpool"}, {"kind": "linear", "activation": "none"})


@pytest.fixture
def place(tmp_path):
    """The folder that the files lie in."""
    return tmp_path / own_architectures.FOLDER


def test_what_is_saved_is_listed_newest_first(tmp_path, place):
    save("first", ROWS, folder=tmp_path)
    kept = save("second.2", ARCHITECTURES["initial"].rows, folder=tmp_path)
    assert [each.name for each in list_saved(tmp_path)] == ["second.2", "first"]
    assert kept.parameters == 16_530
    assert trace(kept.rows) == trace(ARCHITECTURES["initial"].rows)
    assert json.loads((place / "first.json").read_text())["rows"] == [
        {"kind": "maxpool"},
        {"kind": "linear", "activation": "none"},
    ]
    assert store.list_runs(tmp_path) == [], "they are no runs"


def test_nothing_is_listed_before_anything_is_saved(tmp_path):
    assert list_saved(tmp_path) == []


@pytest.mark.parametrize("name", ["../out", "a/b", "", "con", ".hidden", "x" * 61, "a b"])
def test_a_name_that_could_reach_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(RunError, match="cannot be an architecture's name"):
        save(name, ROWS, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["initial", "Original-3762"])
def test_a_shipped_name_is_refused(tmp_path, name):
    with pytest.raises(RunError, match="shipped"):
        save(name, ROWS, folder=tmp_path)


def test_invalid_rows_are_refused(tmp_path):
    with pytest.raises(ArchitectureError, match="row 1"):
        save("mine", [{"kind": "conv", "kernel": 99}], folder=tmp_path)


def test_names_are_unique_in_any_case_unless_replaced(tmp_path):
    save("Mine", ROWS, folder=tmp_path)
    with pytest.raises(RunError, match="already an architecture 'Mine'"):
        save("mine", ROWS[1:], folder=tmp_path)
    assert save("mine", ROWS[1:], replace=True, folder=tmp_path).name == "Mine"
    (only,) = list_saved(tmp_path)
    assert len(only.rows) == 1


def test_the_number_of_architectures_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(own_architectures, "MAX_SAVED", 1)
    save("mine", ROWS, folder=tmp_path)
    with pytest.raises(LimitError, match="delete some"):
        save("other", ROWS, folder=tmp_path)
    save("mine", ROWS, replace=True, folder=tmp_path)


def test_damaged_files_are_named_beside_the_others(tmp_path, place):
    save("well", ROWS, folder=tmp_path)
    outside = tmp_path / "outside.json"
    outside.write_text((place / "well.json").read_text())
    (place / "link.json").symlink_to(outside)
    (place / "folder.json").mkdir()
    for name, words in {
        "cut.json": '{"format": 1, "ro',
        "list.json": "[]",
        "newer.json": '{"format": 9, "rows": []}',
        "wrong.json": '{"format": 1, "rows": [{"kind": "cake"}]}',
        "notes.txt": "hello",
        "number.json": '{"format": 1, "rows": 7}',
        "initial.json": '{"format": 1, "rows": []}',
        "undated.json": json.dumps({"format": 1, "rows": ROWS}),
    }.items():
        (place / name).write_text(words)
    own, *damaged = list_saved(tmp_path)
    assert isinstance(own, SavedArchitecture)
    reasons = {each.name: each.reason for each in damaged if isinstance(each, DamagedFile)}
    for name, words in {
        "cut.json": "not valid JSON",
        "list.json": "not an architecture",
        "newer.json": "another version",
        "wrong.json": "row 1: unknown kind",
        "notes.txt": "JSON",
        "link.json": "link",
        "number.json": "a list of rows",
        "initial.json": "shipped",
        "undated.json": "time",
        "folder.json": "cannot be read",
    }.items():
        assert words in reasons.pop(name)
    assert not reasons


def test_deleting_removes_one_architecture(tmp_path, place):
    save("mine", ROWS, folder=tmp_path)
    save("other", ROWS, folder=tmp_path)
    (place / "cut.json").write_text("{")
    delete("mine", tmp_path)
    delete("cut.json", tmp_path)
    assert [each.name for each in list_saved(tmp_path)] == ["other"]
    with pytest.raises(RunError, match="'mine'"):
        delete("mine", tmp_path)
    with pytest.raises(RunError, match="no saved architecture"):
        delete("../other", tmp_path)


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path, place):
    place.write_text("")
    assert list_saved(tmp_path) == []
    with pytest.raises(RunError, match="cannot be written"):
        save("mine", ROWS, folder=tmp_path)
