"""Runs as zip files: exported and imported without loss."""

import os

import pytest

from core.errors import LimitError, RunError
from core.limits import Limits
from core.runs import archive, creation, loading, processes, status, store, torch_file
from core.runs.run import Run
from tests.core.runs.zips import change_json, read_zip, write_zip
from tests.made import RUNTIME


def test_an_exported_run_is_imported_unchanged(exported, kinds):
    run, data = exported
    taken = archive.import_run(data)
    assert taken.name == "a-2"
    assert (taken.config, taken.epochs, taken.runtime, taken.state) == (
        run.config,
        run.epochs,
        run.runtime,
        "finished",
    )
    assert abs((taken.created - run.created).total_seconds()) < 0.01
    assert kinds(taken) == kinds(run)
    for which in ("last.safetensors", "best.safetensors"):
        assert (taken.folder / which).read_bytes() == (run.folder / which).read_bytes()
    loading.load_model(taken)
    assert archive.import_run(data, "mine").name == "mine"
    with pytest.raises(RunError, match="already a run 'mine'"):
        archive.import_run(data, "mine")
    with pytest.raises(RunError, match="cannot be a run's name"):
        archive.import_run(data, "../mine")


def test_a_copied_run_is_exported_whatever_its_file_times(exported):
    run, _ = exported
    os.utime(run.folder / "epochs.json", (1, 1))  # as a checkout leaves it, older than the weights
    assert archive.import_run(archive.export_run(run)).epochs == run.epochs


def test_an_unfinished_run_is_imported_as_stopped_and_can_be_forked(trained, tiny):
    from core.runs import control

    run = trained("a")
    torch_file.save(run.folder / "state.pt", {"format": 1})
    status.write(run.folder, "paused", "after epoch 3")
    data = archive.export_run(store.open_run("a"))
    assert not any("state.pt" in name or "log.txt" in name for name in read_zip(data))
    taken = archive.import_run(data)
    assert (taken.state, taken.can_resume) == ("stopped", False)
    control.fork(taken.name, "child")


def test_a_run_without_weights_is_exported_and_imported(tiny):
    creation.create_run(tiny, "new")
    taken = archive.import_run(archive.export_run(store.open_run("new")))
    assert (taken.state, taken.epochs, taken.can_resume) == ("stopped", (), True)


def test_a_new_run_resolves_its_runtime_on_this_machine(tiny):
    """Whoever made the zip could ask for a million threads there."""
    creation.create_run(tiny, "new")
    data = change_json(
        archive.export_run(store.open_run("new")),
        "run.json",
        lambda run: {**run, "runtime": RUNTIME.changed(threads=999).to_dict()},
    )
    assert archive.import_run(data).runtime is None


def test_notes_tags_recipe_and_parent_are_imported(trained, tiny):
    trained("a")
    creation.create_run(
        tiny,
        "b",
        notes="mine",
        tags=("x",),
        recipe="final",
        parent={"name": "a", "which": "best", "epoch": 2},
    )
    taken = archive.import_run(archive.export_run(store.open_run("b")))
    assert (taken.notes, taken.tags, taken.recipe, taken.parent) == (
        "mine",
        ("x",),
        "final",
        {"name": "a", "which": "best", "epoch": 2},
    )


def test_a_run_is_not_exported_while_it_saves(exported, monkeypatch):
    run: Run = exported[0]
    status.write(run.folder, "running", "", processes.identity())
    os.utime(
        run.folder / "last.safetensors", (4e9, 4e9)
    )  # newer than the table: the epoch is not yet in it
    monkeypatch.setattr(
        archive.time, "sleep", lambda seconds: os.utime(run.folder / "epochs.json", (4e9, 4e9))
    )
    assert read_zip(archive.export_run(run))
    os.utime(run.folder / "last.safetensors", (5e9, 5e9))
    monkeypatch.setattr(archive.time, "sleep", lambda seconds: None)
    with pytest.raises(RunError, match="changes faster"):
        archive.export_run(run)


@pytest.mark.parametrize("file", archive.OLD_TENSORS)
def test_a_zip_in_the_old_format_is_refused_with_what_to_do(exported, file):
    contents = read_zip(exported[1])
    with pytest.raises(RunError, match=r"python -m core convert"):
        archive.import_run(write_zip({**contents, f"a/{file}": b"x"}))


def test_a_run_above_the_limits_is_not_imported(exported):
    with pytest.raises(LimitError, match="epochs, 3, "):
        archive.import_run(exported[1], limits=Limits(max_epochs=2))
    with pytest.raises(LimitError, match="1 runs"):
        archive.import_run(exported[1], limits=Limits(max_runs=1))
