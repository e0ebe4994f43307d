"""Commands for runs: pause, step, fork, rename, note, delete, restore, export, import."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from core.cli import watch
from core.config import RunConfig
from core.errors import DataError
from core.runs import control, creation, processes, run_queue, status, store, trash
from tests.core.cli_runner import run_json, run_refused
from tests.made import made_run

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def reply(monkeypatch):
    """Set what standard input holds."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture
def idle(monkeypatch) -> list[str]:
    """Start no processes; returns the names of the runs that would be trained."""
    started: list[str] = []
    monkeypatch.setattr(
        run_queue, "start_worker", lambda place: started.append(place.name) or processes.identity()
    )
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)
    return started


def test_renaming_a_run_updates_its_forks(core, folder):
    made_run(folder, "a")
    control.fork("a", "b")
    assert run_json(core, "rename", "a", "first")["name"] == "first"
    assert store.open_run("b").parent["name"] == "first"
    assert core("rename", "first", "again")[1] == "first is now again.\n"
    assert "already a run 'b'" in run_refused(core, "rename", "again", "b")
    assert "cannot be a run's name" in run_refused(core, "rename", "again", "../b")
    assert "no run 'first'" in run_refused(core, "rename", "first", "c")


def test_notes_and_tags_are_set_shown_and_removed(core, folder):
    made_run(folder, "a")
    assert core("note", "a")[1] == "a has no note and no tags.\n"
    answer = run_json(core, "note", "a", "--text", "Learns fast.", "--tags", "fast, small,,fast")
    assert (answer["notes"], answer["tags"]) == ("Learns fast.", ["fast", "small"])
    assert core("note", "a")[1] == "Learns fast.\nTags: fast, small\n"
    assert run_json(core, "note", "a", "--tags", "")["notes"] == "Learns fast."
    assert store.open_run("a").tags == ()
    assert core("note", "a", "--text", "")[1] == "a has no note and no tags.\n"
    assert "10,000" in run_refused(core, "note", "a", "--text", "x" * 20_000)
    assert "between 1 and 40" in run_refused(core, "note", "a", "--tags", "x" * 50)
    assert "no run 'b'" in run_refused(core, "note", "b", "--text", "x")


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_nothing_is_deleted_without_confirmation(typed, core, folder, reply):
    made_run(folder, "a")
    reply(typed)
    code, text, error = core("delete", "a")
    assert (code, text) == (1, "")
    assert "a to the bin?" in error
    assert "nothing was done" in error
    assert "Traceback" not in error
    assert store.open_run("a")
    core("delete", "a", "--yes")
    reply(typed)
    code, _, error = core("bin", "--empty")
    assert code == 1
    assert "delete 1 run" in error
    assert len(trash.list_trash()) == 1


def test_runs_are_deleted_listed_restored_and_removed_for_good(core, folder, reply):
    for name in ("a", "b", "c"):
        made_run(folder, name)
    assert core("bin")[1] == core("bin", "--empty")[1] == "The bin is empty.\n"
    reply("y\n")
    assert core("delete", "a")[1] == "a is in the bin; `restore a` brings it back.\n"
    assert [item["name"] for item in run_json(core, "delete", "b", "c", "b", "--yes")] == ["b", "c"]
    assert run_json(core, "runs") == []
    assert {item["name"] for item in run_json(core, "bin")} == {"a", "b", "c"}
    assert len(core("bin")[1].splitlines()) == 3
    assert core("restore", "a")[1] == "a is restored.\n"
    assert run_json(core, "restore", "b", "--name", "d")["name"] == "d"
    assert store.open_run("d").epochs
    assert "'a' is not in the bin" in run_refused(core, "restore", "a")
    assert run_json(core, "bin", "--empty", "--yes")["removed"] == ["c"]
    assert "'c' is not in the bin" in run_refused(core, "restore", "c")


def test_the_run_deleted_last_is_restored_by_its_name(core, folder):
    for notes in ("first", "second"):
        made_run(folder, "a")
        store.annotate("a", notes=notes)
        core("delete", "a", "--yes")
    key = trash.list_trash()[-1].key
    assert run_json(core, "restore", "a")["notes"] == "second"
    assert "already a run 'a'" in run_refused(core, "restore", "a")
    assert run_json(core, "restore", key, "--name", "b")["notes"] == "first"


def test_damaged_runs_can_be_deleted_but_not_running_ones(core, folder, reply):
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text("{")
    run = made_run(folder, "live")
    status.write(run.folder, "running", "", processes.identity())
    assert run_json(core, "delete", "broken", "--yes")[0]["name"] == "broken"
    assert "stop it" in run_refused(core, "delete", "live", "--yes")
    reply("y\n")
    assert "there is no run '../live'" in run_refused(core, "delete", "live", "../live"), (
        "it is refused before the confirmation"
    )


def test_an_exported_run_can_be_imported(core, folder, tmp_path, monkeypatch):
    run = made_run(folder, "a")
    file = tmp_path / "a.zip"
    answer = run_json(core, "export-run", "a", "--output", str(file))
    assert (answer["run"], answer["bytes"]) == ("a", file.stat().st_size)
    made = run_json(core, "import-run", str(file))
    assert (made["name"], len(made["epochs"])) == ("a-2", 3)
    assert core("import-run", str(file), "--name", "b")[1] == f"{file} is imported as b.\n"
    assert (store.open_run("b").folder / "last.safetensors").read_bytes() == (
        run.folder / "last.safetensors"
    ).read_bytes()
    assert "already a run 'b'" in run_refused(core, "import-run", str(file), "--name", "b")
    assert "cannot be a run's name" in run_refused(core, "import-run", str(file), "--name", "../b")
    monkeypatch.chdir(tmp_path)
    assert core("export-run", "a")[1].startswith("a is exported to a-run.zip (")
    assert zipfile.is_zipfile("a-run.zip")
    assert "a-run.zip exists" in run_refused(core, "export-run", "a")
    assert "there is no folder" in run_refused(core, "export-run", "a", "--output", "nowhere/a.zip")
    assert "no run 'nix'" in run_refused(core, "export-run", "nix")


def test_files_that_are_not_runs_are_not_imported(core, folder, tmp_path, monkeypatch):
    file = tmp_path / "x.zip"
    assert "x.zip is not imported: " in run_refused(core, "import-run", str(file))
    file.write_bytes(b"no zip")
    assert "is not a zip file" in run_refused(core, "import-run", str(file))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/../../run.json", "{}")
    assert "does not belong in" in run_refused(core, "import-run", str(file))
    monkeypatch.setenv("INKLING_MAX_UPLOAD_MB", "1")
    file.write_bytes(b"x" * 1_000_001)
    assert "at most 1 MB" in run_refused(core, "import-run", str(file))
    assert list(folder.glob("*")) == []


def test_pausing_and_stepping_request_it_of_the_worker(core, folder, idle):
    run = made_run(folder, "live", state="stopped")
    status.write(run.folder, "running", "", processes.identity())
    assert core("pause", "live", "--after-epoch")[1] == "live will pause at the end of its epoch.\n"
    assert status.read_request(run.folder) == "pause-after-epoch"
    status.clear_request(run.folder)
    assert core("step", "live", "--detach")[1] == "live is training one epoch.\n"
    assert status.read_request(run.folder) == "pause-after-epoch"
    assert run_json(core, "resume", "live", "--detach")["state"] == "running"
    assert status.read_request(run.folder) is None
    assert idle == []


def test_a_fork_whose_data_cannot_be_fetched_leaves_no_run(core, folder, idle, monkeypatch):
    def fail(*_):
        raise DataError("no network.")

    made_run(folder, "a", done=1)
    monkeypatch.setattr(watch, "fetch_data", fail)
    assert "no network" in run_refused(core, "fork", "a")
    assert [run.name for run in store.list_runs()] == ["a"]


def test_finished_runs_can_be_neither_paused_nor_stepped(core, folder, idle):
    made_run(folder, "done")
    assert "finished" in run_refused(core, "pause", "done")
    assert "finished; fork it" in run_refused(core, "step", "done")
    for command in ("pause", "step"):
        assert "no run 'nix'" in run_refused(core, command, "nix")


def test_a_fork_takes_weights_and_changed_options(core, folder, idle):
    made_run(folder, "a", done=3, recipe="final")
    answer = run_json(
        core, "fork", "a", "--epochs", "1", "--max-lr", "0.02", "--nesterov", "--detach"
    )
    assert answer["name"] == "a-fork"
    assert answer["parent"] == {"name": "a", "which": "last", "epoch": 3}
    assert (
        answer["config"]["epochs"],
        answer["config"]["max_lr"],
        answer["config"]["nesterov"],
    ) == (1, 0.02, True)
    assert answer["config"]["batch_size"] == 3_000
    assert idle == ["a-fork"]
    assert core("fork", "a", "--name", "b", "--weights", "best", "--detach")[1] == "b is queued.\n"
    assert store.open_run("b").state == "queued", "one is training already"
    assert run_queue.list_waiting() == ["b"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--architecture initial", "do not fit another network"),
        ("--epochs many", "epochs must be a whole number"),
        ("--epochs 0", "must be between"),
        ("--epochs 900", "above this machine's limit"),
        ("--weights worst", "last or best"),
        ("--name ../x", "cannot be a run's name"),
        ("--name a", "already a run 'a'"),
    ],
)
def test_impossible_forks_are_refused(options, words, core, folder, idle):
    made_run(folder, "a")
    assert words in run_refused(core, "fork", "a", *options.split())
    assert [run.name for run in store.list_runs()] == ["a"]
    assert idle == []


@pytest.mark.mnist
def test_a_real_run_trains_one_epoch_pauses_and_is_forked(core, mnist):
    config = (
        "--architecture",
        "linear-7850",
        "--batch-size",
        "2048",
        "--device",
        "cpu",
        "--threads",
        "1",
    )
    creation.create_run(
        RunConfig(architecture="linear-7850", batch_size=2048, epochs=2, device="cpu", threads=1),
        "a",
    )
    first = run_json(core, "step", "a")
    assert (first["state"], len(first["epochs"])) == ("paused", 1)
    code, text, _ = core("step", "a")
    assert code == 0
    assert [line[:8] for line in text.splitlines()[-2:]] == ["|     1 ", "|     2 "]
    assert run_json(core, "runs")[0]["state"] in ("paused", "finished")
    forked = run_json(core, "fork", "a", "--name", "b", "--epochs", "1", *config[2:])
    assert (forked["state"], forked["parent"]["epoch"]) == ("finished", 2)
    assert forked["epochs"][0]["train_loss"] < first["epochs"][0]["train_loss"]


def test_a_checkpoints_path_that_is_a_file_is_named(core, tmp_path, monkeypatch):
    file = tmp_path / "notes.txt"
    file.write_text("not a folder")
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(file))
    message = run_refused(core, "runs")
    assert str(file) in message
    assert "INKLING_CHECKPOINTS" in message
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(file / "below"))
    assert str(file / "below") in run_refused(core, "runs")
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(tmp_path / "not yet"))
    assert core("runs")[0] == 0


def test_runs_are_found_by_words_and_conditions(core, folder):
    made_run(folder, "slow", max_lr=0.01)
    made_run(folder, "fast", max_lr=0.2)
    assert [run["name"] for run in run_json(core, "runs", "--find", "max_lr > 0.1")] == ["fast"]
    assert core("runs", "--find", "nothing")[1] == "No run matches.\n"
    assert "no setting or measure 'cake'" in run_refused(core, "runs", "--find", "cake > 1")


@pytest.mark.parametrize("width", [40, 90])
def test_a_narrow_terminal_never_shows_two_names_alike(folder, monkeypatch, width):
    names = [f"{'a-long-name-of-a-run' * 2}-{number}" for number in range(3)]
    for name in names:
        made_run(folder, name)
    screen = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr("core.cli.output.out", screen)
    watch.print_runs(store.list_runs())
    text = screen.file.getvalue()
    assert "…" not in text
    column = "".join(line.split(" ", 1)[0] for line in text.splitlines()[1:])
    assert all(name in (column if width == 90 else text) for name in names)


def test_a_config_is_printed_written_and_trained_again(core, folder, tmp_path, idle):
    run = made_run(folder, "one", max_lr=0.03, epochs=4)
    printed = core("config", "one")[1]
    assert RunConfig.from_dict(json.loads(printed)) == run.config
    assert "written to" in core("config", "one", "--output", str(tmp_path / "c.json"))[1]
    arguments = ("--config", str(tmp_path / "c.json"), "--epochs", "5", "--name", "two")
    assert core("train", *arguments, "--detach")[0] == 0
    assert store.open_run("two").config == run.config.changed(epochs=5)
    (tmp_path / "bad.json").write_text('{"cake": 1}')
    for path, message in (("bad.json", "cake"), ("none.json", "cannot be read")):
        assert message in run_refused(core, "train", "--config", str(tmp_path / path))
    assert "not both" in run_refused(
        core, "train", "--recipe", "final", "--config", str(tmp_path / "c.json")
    )


def test_repeats_begin_with_an_existing_run(core, folder, idle):
    made_run(folder, "one", seed=3)
    made_run(folder, "other", group="some")
    arguments = ("--repeats", "2", "--name", "both", "--detach")
    values = run_json(core, "train", "--first", "one", *arguments)
    assert values["runs"] == ["one", "both-s4"]
    more = ("--repeats", "2", "--name", "more", "--detach")
    assert "belongs to the group some" in run_refused(core, "train", "--first", "other", *more)
    assert "needs --repeats" in run_refused(core, "train", "--first", "one")
    assert "leave out" in run_refused(core, "train", "--first", "one", "--epochs", "3", *more)


def test_events_for_tensorboard_are_written_into_a_folder_of_their_own(
    core, folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    made_run(folder, "one")
    values = run_json(core, "export", "one", "--format", "tensorboard")
    assert values["file"] == str(Path("tensorboard", "one", "one.tfevents"))
    assert (tmp_path / values["file"]).stat().st_size == values["bytes"]
    assert "exists" in run_refused(core, "export", "one", "--format", "tensorboard")
    text = core("export", "one", "--format", "tensorboard", "--output", "x.tfevents")[1]
    assert "tensorboard --logdir ." in text
    refused = run_refused(core, "export", "one", "--format", "tensorboard", "--output", "x.events")
    assert "x.tfevents" in refused
    assert not Path("x.events").exists()


def test_a_network_is_printed_on_one_page(core, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_run(folder, "one", architecture="separable-2634")
    made_run(folder, "large", architecture="initial")
    values = run_json(core, "export", "one", "--format", "svg")
    assert values["file"] == "one.svg"
    assert Path("one.svg").read_text(encoding="utf-8").startswith("<svg")
    text = core("export", "one", "--format", "pdf", "--output", "x.pdf")[1]
    assert "A3" in text
    assert Path("x.pdf").read_bytes().startswith(b"%PDF")
    assert "exists" in run_refused(core, "export", "one", "--format", "svg")
    assert "16,530 parameters" in run_refused(core, "export", "large", "--format", "pdf")
