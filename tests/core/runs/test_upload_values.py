"""Every value of an upload has a type, a range and a length; what is wrong is refused by name."""

import time
import tracemalloc

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import RunError, UserError
from core.runs import archive, files, store
from core.runs.run import DamagedRun, Run
from tests.core.runs.zips import change_json, read_zip, write_zip

HUGE = 10**20
SURROGATE = "\ud800"
RUN_VALUES = [
    ("tags", [SURROGATE]),
    ("tags", ["x" * 41]),
    ("tags", ["x"] * 21),
    ("tags", "x"),
    ("notes", SURROGATE),
    ("notes", 3),
    ("notes", "\x1b[31m"),
    ("recipe", SURROGATE),
    ("recipe", "x" * 81),
    ("recipe", ["final"]),
    ("group", SURROGATE),
    ("group", 3),
    ("created", SURROGATE),
    ("created", 3),
    ("created", "9" * 100),
    ("parent", {"name": SURROGATE, "which": "last", "epoch": 1}),
    ("parent", {"name": "a", "which": "first", "epoch": 1}),
    ("parent", {"name": "a", "which": "last", "epoch": HUGE}),
    ("parent", {"name": "a", "which": "last", "epoch": 1, "more": 1}),
    ("parent", "a"),
    ("test", {"loss": 1e999, "correct": 1, "total": 2}),
    ("test", {"loss": 0.1, "correct": 3, "total": 2}),
    ("test", {"loss": 0.1, "correct": 1, "total": HUGE}),
    ("test", [0.1, 1, 2]),
]
EPOCH_VALUES = [
    ("seconds", 1e30),
    ("seconds", -1),
    ("seconds", "1"),
    ("train_loss", 10**40),
    ("val_loss", None),
    ("val_loss", 1e999),
    ("lr", HUGE),
    ("epoch", 1.5),
    ("epoch", True),
    ("train_correct", -1),
    ("train_total", HUGE),
    ("val_total", 0),
]
RUNTIME_VALUES = [
    ("parameters", "x"),
    ("parameters", 1e999),
    ("steps_per_epoch", "x"),
    ("steps_per_epoch", -1),
    ("steps_per_epoch", HUGE),
    ("device", "[/x]"),
    ("device_name", SURROGATE),
    ("device_name", "x" * 201),
    ("device_name", "\x1b]0;title\x07"),
    ("precision", "fp64"),
    ("benchmarked", {SURROGATE: 1.0}),
    ("benchmarked", {"fp32": "fast"}),
    ("benchmarked", {str(number): 1.0 for number in range(100)}),
    ("threads", 10**6),
    ("validated_on", "luck"),
    ("torch", ["2"]),
]


@pytest.mark.parametrize(("name", "value"), RUN_VALUES)
def test_a_wrong_value_of_run_json_is_refused_by_name(exported, name, value):
    data = change_json(exported[1], "run.json", lambda run: {**run, name: value})
    with pytest.raises(RunError, match=rf"{name[:3]}|time"):
        archive.import_run(data)
    assert [run.name for run in store.list_runs()] == ["a"]


@pytest.mark.parametrize(("name", "value"), RUNTIME_VALUES)
def test_a_wrong_value_of_the_runtime_is_refused_by_name(exported, name, value):
    data = change_json(
        exported[1], "run.json", lambda run: {**run, "runtime": {**run["runtime"], name: value}}
    )
    with pytest.raises(RunError, match=name):
        archive.import_run(data)


@pytest.mark.parametrize(("name", "value"), EPOCH_VALUES)
def test_a_wrong_value_of_the_epoch_table_is_refused_by_name(exported, name, value):
    data = change_json(
        exported[1], "epochs.json", lambda rows: [{**rows[0], name: value}, *rows[1:]]
    )
    with pytest.raises(RunError, match=f"{name}|more correct"):
        archive.import_run(data)


def test_whole_numbers_become_floats_where_floats_belong(exported):
    data = change_json(
        exported[1], "epochs.json", lambda rows: [{**row, "val_loss": HUGE} for row in rows]
    )
    assert all(type(row.val_loss) is float for row in archive.import_run(data).epochs)


def test_markdown_is_kept_as_text(exported):
    recipe = "![x](http://127.0.0.1:9/recipe)"
    data = change_json(exported[1], "run.json", lambda run: {**run, "recipe": recipe})
    assert archive.import_run(data).recipe == recipe


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("dance", {}),
        ("failed", {"message": SURROGATE}),
        ("failed", {"message": "x" * 3_000}),
        ("batch", {"steps": 1, "loss": 10**40, "lr": 0.1}),
        ("batch", {"steps": 1, "loss": 0.5}),
        ("epoch", {"row": {"html": "<b>"}}),
        ("rate", {"factor": "much"}),
        ("started", {"epoch": HUGE}),
    ],
)
def test_wrong_events_are_left_out(exported, kind, more):
    run, data = exported
    event = {"kind": kind, "time": 1.0, "epoch": 1, "step": 1, **more}
    contents = read_zip(data)
    line = files.json.dumps(event).encode() + b"\n"
    contents["a/events.jsonl"] = line + contents["a/events.jsonl"]
    imported = archive.import_run(write_zip(contents))
    assert [event["kind"] for event in imported.read_events()] == [
        event["kind"] for event in run.read_events()
    ]


@pytest.mark.parametrize("file", ["run.json", "status.json", "epochs.json", "events.jsonl"])
@pytest.mark.parametrize("piece", [b"[],", b'{"a":[', b"1,", b'"",', b" "])
def test_much_json_in_a_small_upload_costs_little(exported, file, piece):
    """A small zip may hold very much JSON, and JSON takes many times its size in memory."""
    text = b"[" + piece * (60_000_000 // len(piece)) + b"]"
    data = write_zip({**read_zip(exported[1]), f"a/{file}": text})
    assert len(data) < 500_000
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="too large"):
            archive.import_run(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 5


def test_an_upload_is_checked_before_the_lock_is_taken(exported, monkeypatch):
    monkeypatch.setattr(
        files, "lock_folder", lambda folder: pytest.fail("the lock was taken for a bad upload")
    )
    contents = read_zip(exported[1])
    for file in archive.TENSORS:
        with pytest.raises(RunError):
            archive.import_run(write_zip({**contents, f"a/{file}": b"x"}))
    broken = dict.fromkeys(contents, b"{")
    with pytest.raises(RunError):
        archive.import_run(write_zip(broken))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(exported, value):
    from safetensors.torch import load, save

    contents = read_zip(exported[1])
    tensors = load(contents["a/best.safetensors"])
    next(iter(tensors.values())).view(-1)[0] = value
    with pytest.raises(UserError):
        archive.import_run(write_zip({**contents, "a/best.safetensors": save(tensors)}))


@pytest.mark.parametrize(("name", "value"), RUN_VALUES)
def test_a_run_that_is_wrong_all_the_same_is_listed_as_damaged(trained, tiny, name, value):
    """As when a folder was unpacked by hand."""
    run = trained("a")
    values = files.read_json(run.folder / "run.json")
    (run.folder / "run.json").write_text(files.json.dumps({**values, name: value}))
    (damaged,) = store.list_runs()
    assert isinstance(damaged, DamagedRun)
    damaged.reason.encode()
    with pytest.raises(RunError, match="damaged"):
        store.open_run("a")


def test_even_an_unexpected_failure_hides_no_other_run(trained, monkeypatch):
    trained("a")
    trained("b")
    real = store.read_run

    def read_run(folder):
        if folder.name == "a":
            raise OverflowError("cannot convert float infinity to integer")
        return real(folder)

    monkeypatch.setattr(store, "read_run", read_run)
    good, bad = store.list_runs()
    assert isinstance(good, Run)
    assert (bad.name, bad.state) == ("a", "damaged")
    assert "infinity" in bad.reason


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from(["run.json", "epochs.json", "status.json"]),
    name=st.sampled_from(sorted({name for name, _ in RUN_VALUES + EPOCH_VALUES} | {"runtime"})),
    value=json_values,
)
def test_any_value_is_imported_in_its_type_or_refused(exported, file, name, value):
    def change(values):
        if isinstance(values, list):
            return [{**row, name: value} for row in values]
        return {**values, name: value}

    try:
        data = change_json(exported[1], file, change)
        run = archive.import_run(data)
    except UserError as error:
        str(error).encode()
        return
    assert isinstance(store.open_run(run.name), Run)
