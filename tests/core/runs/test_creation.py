"""Creating runs: whole or not at all, within the limits."""

import pytest

from core.errors import ArchitectureError, ConfigError, LimitError, RunError
from core.limits import Limits
from core.runs import (
    creation,
    files,
    store,
)


def test_a_created_run_can_be_opened(tiny):
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


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"architecture": "none-such", "layers": []}, ConfigError),
        ({"layers": [{"kind": "conv", "channels": 3, "kernel": 99}]}, ArchitectureError),
        ({"augmentation": "none-such"}, ConfigError),
    ],
)
def test_an_invalid_config_creates_no_folder(tiny, checkpoints, change, error):
    with pytest.raises(error):
        creation.create_run(tiny.changed(**change), "a")
    assert store.list_runs() == []


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MAX_BATCH_SIZE", "99", "limit of 99"),
        ("MAX_EPOCHS", "2", "limit of 2"),
        ("MAX_PARAMETERS", "100", "limit of 100"),
        ("MAX_RUNS", "1", "1 runs"),
    ],
)
def test_limits_are_enforced_when_a_run_is_created(tiny, monkeypatch, variable, value, says):
    creation.create_run(tiny, "first")
    monkeypatch.setenv(f"INKLING_{variable}", value)
    with pytest.raises(LimitError, match=says):
        creation.create_run(tiny, "second")
    assert [run.name for run in store.list_runs()] == ["first"]


def test_the_disk_limit_includes_the_trash(tiny, checkpoints):
    (checkpoints / ".bin").mkdir()
    (checkpoints / ".bin" / "big").write_bytes(bytes(2_000_000))
    with pytest.raises(LimitError, match="2 MB of the 1 MB"):
        creation.create_run(tiny, "a", limits=Limits(max_disk_mb=1))


def test_an_abandoned_folder_is_removed(tiny, checkpoints):
    left = checkpoints / ".new-a"
    left.mkdir()
    (left / "run.json").write_text("{")
    assert store.list_runs() == []
    creation.create_run(tiny, "a")
    assert sorted(path.name for path in checkpoints.iterdir()) == [".lock", "a"]


def test_a_full_disk_leaves_no_partial_run(tiny, checkpoints, monkeypatch):
    real = files.write_bytes

    def write(path, data):
        if path.name == "status.json":
            raise files.disk_full_error(path)
        real(path, data)

    monkeypatch.setattr(files, "write_bytes", write)
    with pytest.raises(files.DiskFullError):
        creation.create_run(tiny, "a")
    assert [path.name for path in checkpoints.iterdir()] == [".lock"]


def test_a_group_is_stored_and_optional(tiny):
    run = creation.create_run(tiny, "a", group="several")
    assert store.open_run("a").group == "several"
    values = files.read_json(run.folder / "run.json")
    files.write_json(
        run.folder / "run.json", {name: value for name, value in values.items() if name != "group"}
    )
    assert store.open_run("a").group is None
    files.write_json(run.folder / "run.json", {**values, "group": 3})
    with pytest.raises(RunError, match="group"):
        store.open_run("a")
    with pytest.raises(RunError, match="cannot be a run's name"):
        creation.create_run(tiny, "b", group="../up")
