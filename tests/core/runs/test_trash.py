import pytest

from core.errors import LimitError, RunError
from core.limits import Limits
from core.runs import creation, processes, run_queue, status, store, trash


def test_a_deleted_run_can_be_restored_or_removed_for_good(trained, checkpoints):
    run = trained("a")
    binned = trash.delete("a")
    assert store.list_runs() == []
    assert trash.list_trash() == [binned]
    assert (binned.name, binned.bytes > 1000) == ("a", True)
    assert trash.restore(binned.key) == run
    assert trash.list_trash() == []
    again = trash.delete("a")
    assert trash.empty() == again.bytes
    assert not list((checkpoints / ".bin").iterdir())


def test_runs_of_one_name_can_be_deleted_one_after_the_other(tiny):
    for notes in ("first", "second"):
        creation.create_run(tiny, "a", notes=notes)
        trash.delete("a")
    keys = [item.key for item in trash.list_trash()]
    assert len(keys) == 2
    creation.create_run(tiny, "a", notes="third")
    with pytest.raises(RunError, match="already a run 'a'"):
        trash.restore(keys[0])
    restored = trash.restore(keys[0], to="b")
    assert {restored.notes, store.open_run("a").notes} == {"second", "third"}
    assert trash.empty(keys[1]) > 0
    assert trash.list_trash() == []


def test_a_run_that_trains_cannot_be_deleted_and_a_waiting_one_leaves_the_queue(tiny):
    run = creation.create_run(tiny, "a")
    status.write(run.folder, "running", "", processes.identity())
    with pytest.raises(RunError, match="stop it before"):
        trash.delete("a")
    status.write(run.folder, "queued")
    binned = trash.delete("a")
    assert run_queue.list_waiting() == []
    trash.restore(binned.key)
    assert run_queue.list_waiting() == [], "it does not start by itself"


@pytest.mark.parametrize("damage", ["status.json", "run.json"])
def test_damaged_runs_can_be_deleted_and_restored(tiny, damage):
    run = creation.create_run(tiny, "a")
    for path in list(run.folder.iterdir()):
        if path.name == damage:
            path.unlink()
    binned = trash.delete("a")
    with pytest.raises(RunError, match="damaged"):
        trash.restore(binned.key)
    assert [item.name for item in store.list_runs()] == ["a"]


def test_links_are_deleted_and_their_targets_are_not(tmp_path, checkpoints):
    for folder in (tmp_path / "outside", checkpoints / "bad name~x.txt"):
        folder.mkdir()
        (folder / "run.json").write_text("x")
    (checkpoints / "link").symlink_to(tmp_path / "outside")
    trash.delete("link")
    assert trash.delete("bad name~x.txt").name == "bad name~x.txt"
    trash.empty()
    assert store.list_runs() == []
    assert (tmp_path / "outside" / "run.json").read_text() == "x"


@pytest.mark.parametrize(
    "name", ["../outside", "..", ".", ".bin", ".lock", "", "a/../../outside", "/etc", "none"]
)
def test_nothing_else_can_be_deleted_restored_or_removed(tiny, checkpoints, name):
    creation.create_run(tiny, "a")
    trash.delete("a")
    (checkpoints.parent / "outside").mkdir(exist_ok=True)
    for call in (trash.delete, trash.restore, trash.empty):
        with pytest.raises(RunError, match=r"there is no run|not in the bin"):
            call(name)
    assert (checkpoints.parent / "outside").is_dir()
    assert len(trash.list_trash()) == 1


def test_restoring_checks_names_and_limits(tiny):
    creation.create_run(tiny, "a")
    key = trash.delete("a").key
    with pytest.raises(RunError, match="cannot be a run's name"):
        trash.restore(key, to="../a")
    creation.create_run(tiny, "b")
    with pytest.raises(LimitError, match="1 runs"):
        trash.restore(key, limits=Limits(max_runs=1))
    assert len(trash.list_trash()) == 1
