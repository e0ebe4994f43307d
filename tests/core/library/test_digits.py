"""The user's digits: saved, deleted, exported, imported; other files are refused."""

import base64
import json
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LimitError, RunError, UserError
from core.library import digits as own_digits
from core.library.digit_pictures import read_files
from core.library.digits import (
    MAX_DIGITS,
    NAME,
    add_digits,
    clear,
    delete,
    export_digits,
    list_digits,
    list_sets,
    make_digit,
    parse_export,
    save_digit,
)
from core.runs import files, store
from core.runs.digit_file import FOLDER, MAX_BYTES, to_arrays


def image(seed: int) -> np.ndarray:
    """Noise within a black border, as a digit in MNIST's form has it."""
    return np.pad(np.random.default_rng(seed).integers(1, 256, (20, 20), np.uint8), 4)


def entry(
    label: object = 3, pixels: object = None, kept: object = "2026-01-01T10:00:00+00:00"
) -> dict:
    return {
        "label": label,
        "kept": kept,
        "pixels": base64.b64encode(image(0).tobytes()).decode() if pixels is None else pixels,
    }


def file(*digits: object, **values: object) -> bytes:
    return json.dumps({"format": 1, "digits": list(digits), **values}).encode()


def add_file(data: bytes, folder: Path) -> tuple[int, int]:
    """Add the digits of a JSON file to a set: how many it holds, and how many are new."""
    offered = parse_export(data)
    return len(offered), add_digits(offered, folder)


def test_saved_digits_are_listed_in_order_after_a_restart(tmp_path):
    assert list_digits(tmp_path) == []
    for seed in range(3):
        save_digit(image(seed), seed + 4, tmp_path)
    files._parsed._entries.clear()  # as in a new process
    pixels, labels = to_arrays(list_digits(tmp_path))
    assert sorted(labels.tolist()) == [4, 5, 6]
    for label, one in zip(labels, pixels, strict=True):
        np.testing.assert_array_equal(one, image(int(label) - 4))
    assert store.list_runs(tmp_path) == [], "they are no run"
    assert [each.name for each in (tmp_path / FOLDER).iterdir()] == [NAME], (
        "nothing is left beside the file"
    )


def test_no_digits_give_empty_arrays():
    pixels, labels = to_arrays([])
    assert pixels.shape == (0, 28, 28)
    assert labels.shape == (0,)


def test_a_digit_is_saved_once_per_label(tmp_path):
    for label in (7, 7, 1):
        save_digit(image(0), label, tmp_path)
    assert sorted(digit.label for digit in list_digits(tmp_path)) == [1, 7]


def test_one_is_deleted_and_all_are_cleared(tmp_path):
    first, second = (save_digit(image(seed), 2, tmp_path) for seed in range(2))
    delete(first.key, tmp_path)
    delete(first.key, tmp_path)  # another tab was faster
    assert [digit.key for digit in list_digits(tmp_path)] == [second.key]
    clear(tmp_path)
    assert list_digits(tmp_path) == []


@pytest.mark.parametrize(
    ("pixels", "label"),
    [
        (np.zeros((28, 28), np.uint8), 3),
        (np.zeros((28, 28)), 3),
        (image(0)[:27], 3),
        (None, 3),
        (image(0), 10),
        (image(0), -1),
        (image(0), "3"),
        (image(0), True),
    ],
)
def test_invalid_digits_are_refused(tmp_path, pixels, label):
    with pytest.raises(RunError):
        save_digit(pixels, label, tmp_path)
    assert list_digits(tmp_path) == []


def test_tabs_do_not_lose_each_others_digits(tmp_path):
    def draw(tab: int) -> None:
        for number in range(5):
            save_digit(image(10 * tab + number), tab, tmp_path)

    tabs = [threading.Thread(target=draw, args=(tab,)) for tab in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert len(list_digits(tmp_path)) == 20


def test_an_exported_set_is_read_again_as_it_was(tmp_path):
    for seed, writer in enumerate((None, "Anna", "Anna M., 2")):
        save_digit(image(seed), seed, tmp_path, writer=writer, name="here")
    reading = read_files([("here.zip", export_digits(tmp_path, name="here"))])
    assert not reading.skipped
    digits = [make_digit(each.image, each.label, writer=each.writer) for each in reading.digits]
    assert add_digits(digits, tmp_path, name="there") == 3
    assert add_digits(digits, tmp_path, name="there") == 0, "twice makes no difference"
    here, there = (list_digits(tmp_path, name) for name in ("here", "there"))
    assert {(each.key, each.writer) for each in here} == {(each.key, each.writer) for each in there}


def test_sets_are_kept_apart_listed_and_limited(tmp_path, monkeypatch):
    save_digit(image(0), 1, tmp_path, name="anna")
    save_digit(image(1), 1, tmp_path, name="anna")
    save_digit(image(2), 7, tmp_path)
    (tmp_path / FOLDER / "broken.json").write_text("{")
    sets = {each.name: each for each in list_sets(tmp_path)}
    assert {name: each.total for name, each in sets.items()} == {"anna": 2, "own": 1, "broken": 0}
    assert (sets["anna"].counts[1], sets["own"].counts[7]) == (2, 1)
    assert "broken.json" in sets["broken"].error
    delete(list_digits(tmp_path)[0].key, tmp_path)
    assert [each.name for each in list_sets(tmp_path)] == ["anna", "broken"], "an empty set is gone"
    monkeypatch.setattr(own_digits, "MAX_SETS", 2)
    with pytest.raises(LimitError, match="sets"):
        save_digit(image(0), 1, tmp_path, name="third")
    delete("x", tmp_path, name="third")  # another tab deleted the last one; nothing is written
    with pytest.raises(RunError, match="no own digits"):
        export_digits(tmp_path, name="third")


@pytest.mark.parametrize("name", ["../own", "a/b", "", "none", "con", "x" * 80, ".hidden"])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(RunError, match="set"):
        save_digit(image(0), 1, tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[",
        b"[]",
        b"{}",
        b"null",
        file(values=1)[:-5],
        b"\xff\xfe",
        file(format=2),
        b'{"format": 1, "digits": 3}',
        file(None),
        file([1]),
        file(entry(label=10)),
        file(entry(label="3")),
        file(entry(label=True)),
        file(entry(pixels="AAAA")),
        file(entry(pixels="?" * 1048)),
        file(entry(pixels=3)),
        file(entry(pixels=base64.b64encode(bytes(784)).decode())),
        file(entry(kept="soon")),
        file(entry(kept=3)),
        file({"label": 3}),
        file(entry(), entry(label=None)),
        b"NaN",
        b"[" * 100_000,
        pickle.dumps({"format": 1, "digits": []}),
    ],
    ids=range(25),
)
def test_an_invalid_file_is_refused_and_changes_nothing(tmp_path, data):
    save_digit(image(5), 5, tmp_path)
    with pytest.raises(RunError):
        add_file(data, tmp_path)
    assert [digit.label for digit in list_digits(tmp_path)] == [5]


def test_nothing_in_a_file_is_run(tmp_path):
    trace = tmp_path / "trace"

    class Trap:
        def __reduce__(self):
            return (trace.touch, ())

    with pytest.raises(RunError, match="JSON"):
        add_file(pickle.dumps(Trap()), tmp_path)
    assert not trace.exists()


def test_size_and_number_are_limited(tmp_path, monkeypatch):
    with pytest.raises(LimitError, match="MB"):
        add_file(bytes(MAX_BYTES + 1), tmp_path)
    with pytest.raises(LimitError):
        add_file(file(*[entry()] * (MAX_DIGITS + 1)), tmp_path)
    monkeypatch.setattr(own_digits, "MAX_DIGITS", 2)
    for seed in range(2):
        save_digit(image(seed), 1, tmp_path)
    with pytest.raises(LimitError, match="Delete some"):
        save_digit(image(2), 1, tmp_path)
    save_digit(image(1), 1, tmp_path)  # is there already
    assert len(list_digits(tmp_path)) == 2


def test_the_largest_allowed_set_survives_export_and_import(tmp_path):
    data = file(
        *[
            entry(pixels=base64.b64encode(image(at).tobytes()).decode(), label=at % 10)
            for at in range(MAX_DIGITS)
        ]
    )
    assert len(data) < MAX_BYTES
    assert add_file(data, tmp_path) == (MAX_DIGITS, MAX_DIGITS)
    assert add_file(data, tmp_path) == (MAX_DIGITS, 0)
    assert len(read_files([("all.zip", export_digits(tmp_path))]).digits) == MAX_DIGITS


@pytest.mark.parametrize("harm", [b"", b"{", file(entry(label=99)), file(format=9)])
def test_a_damaged_file_is_named_and_only_cleared_on_request(tmp_path, harm):
    save_digit(image(0), 1, tmp_path)
    path = tmp_path / FOLDER / NAME
    path.write_bytes(harm)
    for act in (
        lambda: list_digits(tmp_path),
        lambda: save_digit(image(1), 1, tmp_path),
        lambda: export_digits(tmp_path),
        lambda: delete("x", tmp_path),
    ):
        with pytest.raises(RunError, match=r"own\.json"):
            act()
    assert path.read_bytes() == harm
    clear(tmp_path)
    assert list_digits(tmp_path) == []


def test_links_are_not_followed(tmp_path):
    outside = tmp_path / "outside.json"
    outside.write_bytes(file(entry()))
    (tmp_path / "folder" / FOLDER).mkdir(parents=True)
    (tmp_path / "folder" / FOLDER / NAME).symlink_to(outside)
    for act in (
        lambda: list_digits(tmp_path / "folder"),
        lambda: save_digit(image(1), 1, tmp_path / "folder"),
        lambda: clear(tmp_path / "folder"),
    ):
        with pytest.raises(RunError, match="link"):
            act()
    assert outside.read_bytes() == file(entry())


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(RunError):
        save_digit(image(0), 1, tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["format", "digits", "label", "pixels", "kept"]), inner)
    ),
)


@given(values)
def test_any_json_is_imported_or_refused(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("any")
    try:
        add_file(json.dumps(value).encode(), folder)
    except UserError:
        assert not (folder / FOLDER).exists()
