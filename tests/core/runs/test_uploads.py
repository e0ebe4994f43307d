"""Uploads that cannot be trusted: refused in a sentence, within bounded time and memory."""

import io
import os
import stat
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config import RunConfig
from core.errors import LimitError, RunError, UserError
from core.limits import Limits
from core.runs import archive, files, loading, store
from core.runs.run import Run
from tests.core.runs.zips import change_json, read_zip, write_zip


@pytest.mark.parametrize(
    "name",
    [
        "../run.json",
        "/run.json",
        "a/../run.json",
        "a/b/run.json",
        "..\\run.json",
        "a\\run.json",
        "C:\\run.json",
        "b/last.safetensors",
    ],
)
def test_a_path_trick_or_a_second_run_is_refused(exported, checkpoints, name):
    data = exported[1]
    contents = read_zip(data)
    before = sorted(path for path in checkpoints.parent.rglob("*"))
    with pytest.raises(RunError, match=r"does not belong in a run's zip|exactly one run"):
        archive.import_run(write_zip({**contents, name: b"{}"}))
    assert sorted(path for path in checkpoints.parent.rglob("*")) == before


def test_the_folder_in_the_zip_names_the_run_but_cannot_lead_anywhere(exported, checkpoints):
    contents = read_zip(exported[1])
    for folder, name in (
        ("~", "run"),
        ("con", "run-2"),
        ("x y", "x-y"),
        ("", "run-3"),
    ):
        moved = {
            f"{folder}/{path.split('/', 1)[1]}" if folder else path.split("/", 1)[1]: data
            for path, data in contents.items()
        }
        assert archive.import_run(write_zip(moved)).name == name
    assert sorted(os.listdir(checkpoints)) == [
        ".lock",
        "a",
        "run",
        "run-2",
        "run-3",
        "x-y",
    ]


def test_a_link_in_the_zip_is_refused(exported):
    contents = read_zip(exported[1])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name)
            if name.endswith("last.safetensors"):
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
                data = b"/etc/passwd"
            target.writestr(entry, data)
    with pytest.raises(RunError, match=r"last\.safetensors' does not belong"):
        archive.import_run(buffer.getvalue())


def test_a_file_that_is_there_twice_is_refused(exported):
    buffer = io.BytesIO(exported[1])
    with zipfile.ZipFile(buffer, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("a/run.json", b"{}")
    with pytest.raises(RunError, match=r"run\.json' does not belong"):
        archive.import_run(buffer.getvalue())


def test_a_zip_bomb_is_refused_before_it_fills_the_memory(exported):
    import tracemalloc

    contents = read_zip(exported[1])
    bomb = write_zip({**contents, "a/events.jsonl": bytes(60_000_000)})
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="too large"):
            archive.import_run(bomb, limits=Limits(max_upload_mb=4))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_zip_that_lies_about_its_sizes_is_refused(exported):
    contents = read_zip(exported[1])
    data = bytearray(write_zip({**contents, "a/events.jsonl": bytes(1_000_000)}))
    size = (1_000_000).to_bytes(4, "little")
    while size in data:  # in the entry's own header and in the list of contents
        data[data.index(size) : data.index(size) + 4] = (10).to_bytes(4, "little")
    with pytest.raises(RunError):
        archive.import_run(bytes(data))


def test_a_file_too_large_or_with_too_many_entries_is_refused(exported):
    with pytest.raises(LimitError, match="at most 1 MB"):
        archive.import_run(bytes(1_000_001), limits=Limits(max_upload_mb=1))
    many = write_zip({f"a/{number}": b"" for number in range(archive.MAX_ENTRIES + 1)})
    with pytest.raises(RunError, match="more than the 1,000 files"):
        archive.import_run(many)


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"x" * 1000, b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + b"\xff" * 16 + b"\0\0"],
)
def test_other_files_are_refused(data):
    with pytest.raises(RunError):
        archive.import_run(data)


@pytest.mark.parametrize(
    "missing", ["run.json", "status.json", "epochs.json", "last.safetensors", "best.safetensors"]
)
def test_a_zip_without_one_of_its_files_is_refused(exported, missing):
    contents = {
        name: data for name, data in read_zip(exported[1]).items() if not name.endswith(missing)
    }
    with pytest.raises(RunError, match=missing):
        archive.import_run(write_zip(contents))
    assert [run.name for run in store.list_runs()] == ["a"]


@pytest.mark.parametrize("file", archive.TENSORS)
def test_weights_that_do_not_fit_are_refused(exported, file):
    contents = read_zip(exported[1])
    for data in (b"", b"x" * 500, contents[f"a/{file}"][:-1], contents[f"a/{file}"] + b"x"):
        with pytest.raises(RunError, match=file):
            archive.import_run(write_zip({**contents, f"a/{file}": data}))
    assert [run.name for run in store.list_runs()] == ["a"]


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (
            "run.json",
            lambda run: {**run, "config": {**run["config"], "colour": 1}},
            "unknown field 'colour'",
        ),
        (
            "run.json",
            lambda run: {**run, "config": {**run["config"], "lr": "fast"}},
            "lr must be a number",
        ),
        (
            "run.json",
            lambda run: {**run, "config": {**run["config"], "layers": [{"kind": "exec"}]}},
            "exec",
        ),
        ("run.json", lambda run: {**run, "format": 3}, "format 3 by another version"),
        ("run.json", lambda run: {**run, "notes": "x" * 20_000}, "notes has"),
        ("run.json", lambda run: {**run, "tags": [{}]}, "tags"),
        ("run.json", lambda run: {**run, "created": "0001-01-01T00:00:00+23:59"}, "time"),
        (
            "run.json",
            lambda run: {**run, "test": {"loss": 0.1, "correct": 9, "total": 5}},
            "test",
        ),
        ("run.json", lambda run: [run], "not describe a run"),
        ("epochs.json", lambda rows: [{**row, "val_total": 0} for row in rows], "val_total"),
        (
            "epochs.json",
            lambda rows: [{**row, "lr": float("nan")} for row in rows],
            "not valid JSON",
        ),
        ("epochs.json", lambda rows: [{**row, "lr": 10**400} for row in rows], "lr"),
        (
            "epochs.json",
            lambda rows: [{**row, "html": "<script>"} for row in rows],
            "html",
        ),
        ("epochs.json", lambda rows: rows * 2, "do not count up"),
    ],
)
def test_wrong_values_are_refused_by_field(exported, file, change, says):
    with pytest.raises(UserError, match=says):
        archive.import_run(change_json(exported[1], file, change))
    assert [run.name for run in store.list_runs()] == ["a"]


def test_unknown_values_are_not_imported(exported):
    data = change_json(
        exported[1],
        "run.json",
        lambda run: {
            **run,
            "evil": "x",
            "runtime": {**run["runtime"], "deep": {"x": [1]}, "long": "y" * 999},
        },
    )
    data = change_json(
        data, "status.json", lambda now: {**now, "state": "running", "pid": 1, "message": "<b>"}
    )
    taken = archive.import_run(data)
    assert "evil" not in (taken.folder / "run.json").read_text()
    assert taken.runtime == store.open_run("a").runtime
    assert not {"deep", "long"} & set(files.read_json(taken.folder / "run.json")["runtime"])
    assert (taken.state, taken.message) == ("stopped", "imported from a file")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 10**6),
)
def test_any_bytes_are_a_valid_run_or_a_user_error(exported, places, cut):
    data = bytearray(exported[1])
    for place, flip in places:
        data[place % len(data)] ^= flip
    if cut % 4 == 0:
        del data[cut % len(data) :]
    try:
        taken = archive.import_run(bytes(data))
    except UserError:
        return
    assert isinstance(store.open_run(taken.name), Run)
    loading.load_model(taken)


CONFIG_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.dictionaries(st.text(max_size=4), st.integers(), max_size=2), max_size=2),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.dictionaries(
        st.sampled_from(list(RunConfig().to_dict())), CONFIG_VALUES, min_size=1, max_size=3
    )
)
def test_any_config_fits_its_weights_or_is_refused(exported, changes):
    data = change_json(
        exported[1], "run.json", lambda run: {**run, "config": {**run["config"], **changes}}
    )
    try:
        taken = archive.import_run(data, limits=Limits(max_runs=10_000))
    except UserError:
        return
    loading.load_model(taken)
