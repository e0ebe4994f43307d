import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from core.errors import ArchitectureError, ConfigError, LimitError, RunError
from core.limits import Limits
from core.runs import (
    creation,
    files,
    loading,
    processes,
    run_names,
    status,
    store,
    weights,
)
from core.runs.run import DamagedRun, Run
from core.runs.weights import save_tensors
from tests.made import made_run

BAD_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "/etc",
    "a\0b",
    "-a",
    ".hidden",
    "a b",
    "a.",
    "ä",
    "a" * 61,
    "con",
    "NUL.txt",
    "a\n",
    "~",
    "C:",
    "a:b",
    None,
    3,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_could_reach_elsewhere_is_refused(tiny, name, checkpoints):
    for call in (lambda: creation.create_run(tiny, name), lambda: store.open_run(name)):
        with pytest.raises(RunError, match="cannot be a run's name"):
            call()
    assert not [path for path in checkpoints.iterdir() if path.name != files.LOCK]


@given(st.text(max_size=80))
def test_any_wanted_name_becomes_one_that_can_be_had(wanted):
    name = run_names.find_free_name(wanted, Path("nowhere"))
    assert run_names.check_name(name) == name


@given(st.text(alphabet=st.sampled_from("./\\abC-_ ~\0:"), max_size=12))
def test_whatever_name_passes_stays_inside(name):
    try:
        run_names.check_name(name)
    except RunError:
        return
    assert Path("/x/checkpoints", name).resolve().parent == Path("/x/checkpoints")


def test_a_free_name_counts_up(tiny):
    assert run_names.find_free_name("final") == "final"
    creation.create_run(tiny, "final")
    creation.create_run(tiny, "Final-2")
    assert run_names.find_free_name("final") == "final-3"
    assert run_names.find_free_name("Größe: 5 / x") == "Gr-e-5-x"


def test_what_was_made_can_be_opened(tiny):
    made = creation.create_run(tiny, "a", recipe="final", notes="mine", tags=("x", "y"))
    assert made == store.open_run("a")
    assert (made.config, made.recipe, made.notes, made.tags, made.parent) == (
        tiny,
        "final",
        "mine",
        ("x", "y"),
        None,
    )
    assert (made.last, made.best, made.test, made.is_live) == (None, None, None, False)
    with pytest.raises(RunError, match="no weights yet"):
        made.weights_path()
    with pytest.raises(RunError, match="last or best"):
        made.weights_path("../last")


def test_a_name_is_had_once_whatever_its_case(tiny):
    creation.create_run(tiny, "Run")
    with pytest.raises(RunError, match="already a run 'run'; choose another name, such as 'run-2'"):
        creation.create_run(tiny, "run")


def test_no_such_run():
    with pytest.raises(RunError, match="there is no run 'x'"):
        store.open_run("x")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"architecture": "none-such", "layers": []}, ConfigError),
        ({"layers": [{"kind": "conv", "channels": 3, "kernel": 99}]}, ArchitectureError),
        ({"augmentation": "none-such"}, ConfigError),
    ],
)
def test_a_config_that_makes_no_run_makes_no_folder(tiny, checkpoints, change, error):
    with pytest.raises(error):
        creation.create_run(tiny.changed(**change), "a")
    assert store.list_runs() == []


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MAX_BATCH_SIZE", "99", "batch size 100 is more than"),
        ("MAX_EPOCHS", "2", "epochs 3 is more than"),
        ("MAX_PARAMETERS", "100", "parameters 500 is more than"),
        ("MAX_RUNS", "1", "1 runs"),
    ],
)
def test_limits_are_held_in_the_core(tiny, monkeypatch, variable, value, says):
    creation.create_run(tiny, "first")
    monkeypatch.setenv(f"INKLING_{variable}", value)
    with pytest.raises(LimitError, match=says):
        creation.create_run(tiny, "second")
    assert [run.name for run in store.list_runs()] == ["first"]


def test_the_disk_limit_counts_the_bin_too(tiny, checkpoints):
    (checkpoints / ".bin").mkdir()
    (checkpoints / ".bin" / "big").write_bytes(bytes(2_000_000))
    with pytest.raises(LimitError, match="2 MB of the 1 MB"):
        creation.create_run(tiny, "a", limits=Limits(max_disk_mb=1))


def test_the_list_is_newest_first(tiny):
    for name in ("b", "a", "c"):
        creation.create_run(tiny, name)
        time.sleep(0.002)
    assert [run.name for run in store.list_runs()] == ["c", "a", "b"]
    assert store.list_runs(Path("nowhere")) == []


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
        files.write_json(folder / "run.json", {**values, "format": 2})
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
        ("newer format", "written in format 2 by another version"),
        ("unknown field", "unknown field 'colour'"),
        ("unknown architecture", "gone"),
        ("wrong shapes", "belongs to another network"),
        ("wrong row", "impossible values"),
        ("row missing", "do not count up from 1"),
        ("no table", "not a table"),
        ("no such state", "names no state"),
        ("no time", "'yesterday' is no time"),
        ("parent", "parent, notes"),
        ("test", "is not a valid result"),
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


def test_what_else_lies_among_the_runs_is_told_and_not_followed(trained, tmp_path, checkpoints):
    run = trained("a")
    outside = tmp_path / "outside"
    run.folder.rename(outside)
    (checkpoints / "link").symlink_to(outside)
    (checkpoints / "note.txt").write_text("hello")
    (checkpoints / "empty").mkdir()
    (checkpoints / "bad name").mkdir()
    (checkpoints / ".hidden").mkdir()
    reasons = {item.name: item.reason for item in store.list_runs() if isinstance(item, DamagedRun)}
    assert set(reasons) == {"link", "note.txt", "empty", "bad name"}
    assert "link" in reasons["link"]
    assert "not a folder" in reasons["note.txt"]
    with pytest.raises(RunError, match="link"):
        store.open_run("link")


def test_foreign_files_inside_a_run_do_no_harm(trained):
    run = trained("a")
    (run.folder / "export.onnx").write_bytes(b"x")
    assert store.open_run("a") == run


def test_a_maker_that_was_killed_leaves_nothing_in_the_way(tiny, checkpoints):
    left = checkpoints / ".new-a"
    left.mkdir()
    (left / "run.json").write_text("{")
    assert store.list_runs() == []
    creation.create_run(tiny, "a")
    assert sorted(path.name for path in checkpoints.iterdir()) == [".lock", "a"]


def test_a_full_disk_leaves_no_half_made_run(tiny, checkpoints, monkeypatch):
    real = files.write_bytes

    def write(path, data):
        if path.name == "status.json":
            raise files.disk_full_error(path)
        real(path, data)

    monkeypatch.setattr(files, "write_bytes", write)
    with pytest.raises(files.DiskFullError):
        creation.create_run(tiny, "a")
    assert [path.name for path in checkpoints.iterdir()] == [".lock"]


def test_renaming_takes_children_along(trained, tiny):
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


@pytest.mark.parametrize("which", ["last", "best"])
def test_a_loaded_model_is_ready_to_use(trained, which):
    model = loading.load_model(trained("a"), which)
    assert not model.training


def test_weights_with_no_number_are_refused(trained):
    import torch

    run = trained("a")
    tensors = load_file(run.folder / "last.safetensors")
    tensors["layers.1.bias"][3] = torch.nan
    save_tensors(run.folder / "last.safetensors", tensors)
    with pytest.raises(RunError, match=r"layers\.1\.bias that is no number"):
        loading.load_model(store.open_run("a"))


def test_three_hundred_runs_are_listed_fast(trained, tiny, checkpoints):
    run = trained("r0")
    for number in range(1, 300):
        folder = checkpoints / f"r{number}"
        folder.mkdir()
        for path in run.folder.iterdir():
            os.link(path, folder / path.name)
    started = time.process_time()
    first = store.list_runs()
    between = time.process_time()
    assert len(first) == 300
    assert all(isinstance(item, Run) for item in first)
    assert store.list_runs() == first
    again = time.process_time() - between
    assert between - started < 3.0
    assert again < 0.3


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


def test_a_run_knows_how_many_numbers_it_learns(trained, tiny):
    assert trained("a").parameters == 7 * 7 * 10 + 10
    assert (
        creation.create_run(tiny.changed(architecture="original-3762", layers=()), "b").parameters
        == 3_762
    )


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


def test_a_dead_process_is_noticed_and_its_log_quoted(trained):
    run = trained("a")
    (run.folder / "log.txt").write_text("starting\nRuntimeError: the roof is on fire\n")
    status.write(run.folder, "running", "", (os.getpid(), 1.0))
    run = store.open_run("a")
    assert (run.state, run.is_live) == ("crashed", False)
    assert run.message.endswith("RuntimeError: the roof is on fire")
    assert run.read_log_tail().splitlines()[0] == "starting"
    (run.folder / "log.txt").unlink()
    assert "it said nothing" in store.open_run("a").message


@pytest.mark.parametrize(
    ("action", "state", "message"),
    [
        ("pause", "pausing", ""),
        ("stop", "running", "stopping"),
        ("pause-after-epoch", "running", "pauses at the end of the epoch"),
        ("dance", "running", ""),
    ],
)
def test_what_is_asked_of_a_live_worker_is_told(tiny, action, state, message):
    run = creation.create_run(tiny, "a")
    status.write(run.folder, "running", "", processes.identity())
    status.write_request(run.folder, action)
    run = store.open_run("a")
    assert (run.state, run.message) == (state, message)


def test_a_group_is_kept_and_older_runs_have_none(tiny):
    run = creation.create_run(tiny, "a", group="several")
    assert store.open_run("a").group == "several"
    values = files.read_json(run.folder / "run.json")
    files.write_json(
        run.folder / "run.json", {name: value for name, value in values.items() if name != "group"}
    )
    assert store.open_run("a").group is None
    files.write_json(run.folder / "run.json", {**values, "group": 3})
    with pytest.raises(RunError, match="recipe or group"):
        store.open_run("a")
    with pytest.raises(RunError, match="cannot be a run's name"):
        creation.create_run(tiny, "b", group="../up")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("old+gone", "no run gone"),
        ("old+fresh", "fresh has no weights yet"),
        ("old+../old", "cannot be a run's name"),
        ("old+", "cannot be a run's name"),
    ],
)
def test_every_one_of_several_teachers_must_be_a_trained_run(asked, answer, tiny, checkpoints):
    made_run(checkpoints, "old")
    made_run(checkpoints, "fresh", done=0, state="stopped")
    with pytest.raises(RunError, match=answer):
        creation.create_run(tiny.changed(teacher=asked), "net")
    assert creation.create_run(tiny.changed(teacher="old+old"), "net").config.teachers == (
        "old",
        "old",
    )
