"""Reading a run's folder: damage is named, changes are noticed."""

import pytest

from core.data.presets import PRESETS, transforms_of
from core.errors import RunError
from core.runs import (
    archive,
    control,
    creation,
    files,
    store,
    weights,
)
from core.runs.run import FORMAT, DamagedRun, Run
from core.runs.worker import train


def _corrupt(run: Run, how: str) -> None:
    folder = run.folder
    values = dict(files.read_json(folder / "run.json"))
    rows = [dict(row) for row in files.read_json(folder / "epochs.json")]
    if how.startswith("missing "):
        (folder / how.removeprefix("missing ")).unlink()
    elif how.startswith("bad JSON "):
        (folder / how.removeprefix("bad JSON ")).write_text('{"state": "fini')
    elif how.startswith("foreign "):
        (folder / how.removeprefix("foreign ")).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    elif how == "a list":
        files.write_json(folder / "run.json", [1, 2])
    elif how == "newer format":
        files.write_json(folder / "run.json", {**values, "format": 3})
    elif how == "unknown field":
        files.write_json(
            folder / "run.json", {**values, "config": {**values["config"], "colour": 3}}
        )
    elif how == "unknown architecture":
        files.write_json(folder / "run.json", {**values, "config": {"architecture": "gone"}})
    elif how == "wrong shapes":
        files.write_json(
            folder / "run.json", {**values, "config": {"architecture": "original-3762"}}
        )
    elif how == "wrong row":
        files.write_json(folder / "epochs.json", [{**rows[0], "val_correct": 10**6}, *rows[1:]])
    elif how == "row missing":
        files.write_json(folder / "epochs.json", rows[1:])
    elif how == "no table":
        files.write_json(folder / "epochs.json", {"rows": rows})
    elif how == "no such state":
        files.write_json(
            folder / "status.json", {"state": "happy", "message": "", "updated": values["created"]}
        )
    elif how == "no time":
        files.write_json(folder / "run.json", {**values, "created": "yesterday"})
    elif how == "parent":
        files.write_json(folder / "run.json", {**values, "parent": {"name": ["x"]}})
    elif how == "test":
        files.write_json(folder / "run.json", {**values, "test": {"loss": 0.1}})
    elif how == "torn weights":
        (folder / "last.safetensors").write_bytes((folder / "last.safetensors").read_bytes()[:-40])


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("missing run.json", "run.json is missing"),
        ("missing status.json", "status.json is missing"),
        ("missing epochs.json", "epochs.json is missing"),
        ("missing last.safetensors", "last.safetensors is missing"),
        ("missing best.safetensors", "best.safetensors is missing"),
        ("bad JSON run.json", "run.json is damaged"),
        ("bad JSON status.json", "status.json is damaged"),
        ("bad JSON epochs.json", "epochs.json is damaged"),
        ("foreign run.json", "not valid JSON"),
        ("foreign last.safetensors", "last.safetensors is not a safetensors file"),
        ("foreign best.safetensors", "best.safetensors is not a safetensors file"),
        ("a list", "not describe a run of this app"),
        ("newer format", "written in format 3 by another version"),
        ("unknown field", "unknown field 'colour'"),
        ("unknown architecture", "gone"),
        ("wrong shapes", "belongs to another network"),
        ("wrong row", "more correct than images"),
        ("row missing", "do not count up from 1"),
        ("no table", "not a table"),
        ("no such state", "no valid state"),
        ("no time", "'yesterday' is not a time"),
        ("parent", "parent"),
        ("test", "test: correct is missing"),
        ("torn weights", "last.safetensors is damaged"),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason_beside_the_others(trained, tiny, how, says):
    run, other = trained("a"), creation.create_run(tiny, "b")
    _corrupt(run, how)
    assert [item.name for item in store.list_runs()] == ["b", "a"]
    good, bad = store.list_runs()
    assert good == other
    assert isinstance(bad, DamagedRun)
    assert says in bad.reason
    with pytest.raises(RunError, match="run 'a' is damaged"):
        store.open_run("a")


def test_foreign_files_inside_a_run_do_no_harm(trained):
    run = trained("a")
    (run.folder / "export.onnx").write_bytes(b"x")
    assert store.open_run("a") == run


def test_a_run_that_has_not_changed_is_not_checked_again(trained, monkeypatch):
    run = trained("a")
    assert store.open_run("a") == run
    monkeypatch.setattr(
        files, "parse_json", lambda data, name: pytest.fail(f"{name} is read again")
    )
    monkeypatch.setattr(
        weights, "_read_header", lambda path: pytest.fail(f"{path.name} is read again")
    )
    assert store.open_run("a") == run


@pytest.mark.parametrize(
    "name", ["run.json", "epochs.json", "last.safetensors", "best.safetensors"]
)
def test_whatever_changes_in_a_run_is_noticed(trained, name):
    run = trained("a")
    assert store.open_run("a") == run
    (run.folder / name).write_bytes(b"{}")
    with pytest.raises(RunError, match="damaged"):
        store.open_run("a")
    (run.folder / name).unlink()
    with pytest.raises(RunError, match="missing"):
        store.open_run("a")


def test_a_run_counts_its_parameters(trained, tiny):
    assert trained("a").parameters == 7 * 7 * 10 + 10
    assert (
        creation.create_run(tiny.changed(architecture="original-3762", layers=()), "b").parameters
        == 3_762
    )


def write_as_before_shifts(run, **changes):
    """Write run.json as it was before affine transforms had the choice of shifts."""
    values = files.read_json(run.folder / "run.json")
    config = {**values["config"], **changes}
    files.write_json(run.folder / "run.json", {**values, "format": 1, "config": config})


def test_a_run_from_before_there_were_fractional_shifts_keeps_whole_pixels(trained, tiny):
    run = trained("a")
    assert store.open_run("a").config.transforms == ()
    write_as_before_shifts(run, augmentation="gentle")
    old = store.open_run("a")
    (row,) = transforms_of(old.config)
    assert (row["shift"], row["shifts"], row["centre"]) == (0.05, "whole", "middle")
    store.annotate("a", notes="Opened again.")
    assert store.open_run("a").config == old.config, "the file may be written again"
    copy = archive.import_run(archive.export_run(old), "copy")
    assert copy.config == old.config
    assert files.read_json(copy.folder / "run.json")["format"] == FORMAT
    fork = control.fork("a", "b", old.config.to_dict())
    assert transforms_of(fork.config) == (row,)
    new = creation.create_run(tiny.changed(augmentation="gentle"), "new")
    assert transforms_of(store.open_run("new").config)[0]["shifts"] == "fractional"
    assert new.config.transforms == ()


def test_a_run_of_the_recipe_that_was_called_final_is_one_of_taught(tiny):
    run = creation.create_run(tiny, "a", recipe="final")
    assert store.open_run("a").recipe == "final"
    write_as_before_shifts(run)
    assert store.open_run("a").recipe == "taught"


def test_a_run_from_before_trains_on_the_images_it_was_to_train_on(tiny, digits):
    whole = PRESETS["gentle"].transforms[0] | {"shifts": "whole"}
    weights_of = {}
    for name, config in (
        ("old", tiny.changed(augmentation="gentle")),
        ("new", tiny.changed(transforms=[whole])),
    ):
        run = creation.create_run(config, name)
        if name == "old":
            write_as_before_shifts(run)
        assert train(run.folder, digits) == "finished"
        weights_of[name] = (run.folder / "last.safetensors").read_bytes()
    assert weights_of["old"] == weights_of["new"]
