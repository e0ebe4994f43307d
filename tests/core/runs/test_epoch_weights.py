"""Weights of every epoch: which are kept, by every kind of run, and how they are opened."""

import errno
import os
from itertools import pairwise

import pytest
import torch

from core.errors import RunError
from core.runs import (
    archive,
    control,
    creation,
    epoch_weights,
    files,
    loading,
    store,
    trash,
    weights,
    worker,
)
from core.runs.group_worker import GroupWorker
from core.training.evaluation import evaluate
from tests.core.runs.zips import change_json, read_zip, write_zip

SMALL = 15_000  # bytes


def kept(run) -> list[int]:
    return epoch_weights.list_files(run.folder)


@pytest.mark.parametrize("epochs", [1, 2, 7, 50, 51, 99, 100, 101, 1_000])
@pytest.mark.parametrize("limit", [1, 2, 3, 10, 50, 500])
def test_the_kept_epochs_are_even_and_hold_the_first_and_the_last(epochs, limit):
    chosen = sorted(epoch_weights.choose_epochs(epochs, limit, SMALL))
    assert len(chosen) == min(limit, epochs) + 1
    assert (chosen[0], chosen[-1]) == (0, epochs)
    gaps = {after - before for before, after in pairwise(chosen)}
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("file_bytes", [SMALL, 400_000, 4_800_000, 8_000_001, 40_000_000])
def test_the_files_never_exceed_their_bound(file_bytes):
    chosen = epoch_weights.choose_epochs(200, 500, file_bytes)
    assert len(chosen) * file_bytes <= epoch_weights.MAX_BYTES
    assert {0, 200} <= chosen or (not chosen and file_bytes * 2 > epoch_weights.MAX_BYTES)


def test_no_epoch_is_kept_with_a_limit_of_zero(trained, tiny):
    run = trained(config=tiny.changed(kept_epochs=0))
    assert not (run.folder / "epochs").exists()
    assert run.list_kept_epochs() == sorted({run.best.epoch, 3})


def test_each_row_of_the_table_is_measured_with_its_file(trained, full, digits):
    run = trained(config=full.changed(epochs=4))
    assert kept(run) == run.list_kept_epochs() == [0, 1, 2, 3, 4]
    for row in run.epochs:
        loss, correct = evaluate(
            loading.load_model(run, row.epoch),
            digits.test.images,
            digits.test.labels,
            torch.device("cpu"),
            layout=run.runtime.layout,
        )
        assert (loss, correct) == (row.val_loss, row.val_correct)
    assert (
        len({(run.folder / epoch_weights.file_name(epoch)).read_bytes() for epoch in range(5)}) == 5
    )
    assert run.weights_path(4).read_bytes() == run.weights_path("last").read_bytes()
    assert run.weights_path(run.best.epoch).read_bytes() == run.weights_path("best").read_bytes()


def test_the_first_file_holds_the_initial_weights(trained, tiny):
    from core.models.network import build
    from core.training.plan import plan

    run = trained(config=tiny.changed(initialisation="he"))
    expected = build(plan(run.config).rows, run.config).state_dict()
    for name, tensor in loading.load_model(run, 0).state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_a_long_run_keeps_some(trained, tiny):
    run = trained(config=tiny.changed(epochs=7, kept_epochs=2))
    assert kept(run) == [0, 4, 7]
    assert run.list_kept_epochs() == sorted({0, 4, 7, run.best.epoch})
    missing = next(epoch for epoch in range(1, 7) if epoch not in run.list_kept_epochs())
    with pytest.raises(RunError, match=rf"no weights after epoch {missing}; it kept .*0, .*and 7"):
        loading.load_model(run, missing)


def test_a_stopped_run_can_open_its_last_epoch(tiny, digits, monkeypatch):
    from tests.core.runs.interruptions import request_at

    run = creation.create_run(tiny.changed(epochs=9, kept_epochs=1), "cut")
    request_at(monkeypatch, "stop", 3, 2)
    worker.train(run.folder, digits)
    run = store.open_run("cut")
    assert (kept(run), len(run.epochs)) == ([0], 2)
    assert run.weights_path(2) == run.weights_path("last")


def test_a_run_without_files_opens_its_last_and_best_epoch(trained):
    run = trained()
    for epoch in kept(run):
        (run.folder / epoch_weights.file_name(epoch)).unlink()
    run = store.open_run(run.name)
    assert run.weights_path(3) == run.weights_path("last")
    with pytest.raises(RunError, match="no weights after epoch 0; it kept those after"):
        run.weights_path(0)
    with pytest.raises(RunError, match="no weights after epoch 4"):
        run.weights_path(4)


def test_a_run_that_has_not_started_has_no_weights(tiny):
    with pytest.raises(RunError, match="new has no weights yet"):
        creation.create_run(tiny, "new").weights_path(0)


def test_what_a_later_position_left_behind_is_removed(tiny, digits, monkeypatch):
    from tests.core.runs.interruptions import request_at

    run = creation.create_run(tiny, "cut")
    with monkeypatch.context() as patch:
        request_at(patch, "stop", 2, 2)
        worker.train(run.folder, digits)
    later = run.folder / epoch_weights.file_name(3)
    later.write_bytes(b"of a position that is gone")
    (later.parent / ".0001.safetensors.1-1.tmp").write_bytes(b"x")
    assert store.open_run("cut").list_kept_epochs() == [0, 1]
    worker.train(run.folder, digits)
    assert sorted(os.listdir(later.parent)) == [f"000{epoch}.safetensors" for epoch in range(4)]
    loading.load_model(store.open_run("cut"), 3)


@pytest.mark.parametrize(
    "error", [files.disk_full_error, lambda path: OSError(errno.EROFS, "Read-only file system")]
)
def test_a_file_that_cannot_be_written_does_not_end_the_run(
    tiny, digits, monkeypatch, trained, outcome, error
):
    real = files.write_bytes

    def write(path, data):
        if path.parent.name == "epochs":
            raise error(path)
        real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_bytes", write)
        run = trained()
    assert kept(run) == []
    warnings = [event for event in run.read_events() if event["kind"] == "warning"]
    assert len(warnings) == 1, "once, not in every epoch"
    assert warnings[0]["message"].startswith("the weights after epoch 0 are not kept: ")
    assert outcome(run) == outcome(trained("whole")) | {"epochs": {}}


def test_runs_that_train_together_keep_their_epochs(full, digits):
    runs = [creation.create_run(full.changed(seed=seed), f"s{seed}") for seed in (1, 2)]
    runs.append(creation.create_run(full.changed(seed=3, kept_epochs=1), "s3"))
    GroupWorker([run.folder for run in runs], digits).run()
    assert [kept(run) for run in runs] == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 3]]
    for run in map(store.open_run, ("s1", "s2")):
        assert run.runtime is not None
        for row in run.epochs:
            model = loading.load_model(run, row.epoch)
            loss, correct = evaluate(
                model, digits.test.images, digits.test.labels, torch.device("cpu")
            )
            assert correct == row.val_correct
            assert loss == pytest.approx(row.val_loss, rel=1e-5)


def test_a_fork_starts_from_any_kept_epoch(trained, tiny, digits):
    parent = trained()
    child = control.fork("trained", "child", {"epochs": 1}, 1)
    assert child.parent == {"name": "trained", "which": "epoch", "epoch": 1}
    assert (child.folder / creation.START).read_bytes() == parent.weights_path(1).read_bytes()
    assert worker.train(child.folder, digits) == "finished"
    child = store.open_run("child")
    assert child.weights_path(0).read_bytes() == parent.weights_path(1).read_bytes()
    assert store.rename("trained", "other").name == "other"
    assert store.open_run("child").parent["name"] == "other"
    with pytest.raises(RunError, match="no weights after epoch 9"):
        control.fork("other", "grandchild", which=9)


def test_a_deleted_run_is_restored_with_its_epochs(trained):
    run = trained()
    size = sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file())
    deleted = trash.delete(run.name)
    assert deleted.bytes == size
    assert kept(trash.restore(deleted.key)) == [0, 1, 2, 3]


def test_an_imported_run_has_the_epochs_of_the_exported_one(exported):
    run, data = exported
    taken = archive.import_run(data)
    assert kept(taken) == kept(run) == [0, 1, 2, 3]
    for epoch in kept(run):
        assert taken.weights_path(epoch).read_bytes() == run.weights_path(epoch).read_bytes()


def test_imported_epochs_beyond_the_table_are_left_out(exported):
    data = change_json(exported[1], "epochs.json", lambda rows: rows[:2])
    assert kept(archive.import_run(data)) == [0, 1, 2]
    data = change_json(exported[1], "epochs.json", lambda rows: [])
    assert kept(archive.import_run(data)) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-4], r"0002\.safetensors is damaged"),
        (lambda data: b"x" * 100, r"0002\.safetensors is not a safetensors file"),
        (lambda data: weights.to_bytes({"a": torch.zeros(3)}), "belongs to another network"),
        (lambda data: data[:-4] + b"\x00\x00\xc0\x7f", "NaN or infinity"),
    ],
)
def test_an_imported_epoch_is_checked_like_the_other_weights(exported, checkpoints, change, says):
    contents = read_zip(exported[1])
    name = f"a/{epoch_weights.file_name(2)}"
    before = sorted(os.listdir(checkpoints))
    with pytest.raises(RunError, match=says):
        archive.import_run(write_zip({**contents, name: change(contents[name])}))
    assert sorted(os.listdir(checkpoints)) == before


@pytest.mark.parametrize("name", ["a/epochs/x.safetensors", "a/epochs/00002.safetensors"])
def test_other_files_among_the_epochs_are_not_imported(exported, name):
    taken = archive.import_run(write_zip({**read_zip(exported[1]), name: b"x"}))
    assert sorted(os.listdir(taken.folder / "epochs")) == [f"000{n}.safetensors" for n in range(4)]


def test_links_among_the_epochs_are_not_followed(trained, tmp_path):
    run = trained()
    path = run.folder / epoch_weights.file_name(1)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert kept(run) == [0, 2, 3]


def test_a_damaged_epoch_harms_nothing_else(trained):
    run = trained()
    run.weights_path(1).write_bytes(b"x")
    run = store.open_run(run.name)
    loading.load_model(run, 2)
    with pytest.raises(RunError, match=r"0001\.safetensors is not a safetensors file"):
        loading.load_model(run, 1)


@pytest.mark.parametrize(
    ("epochs", "words"),
    [([3], "3"), ([0, 1], "0 and 1"), ([0, 1, 2, 4], "0 to 2 and 4"), ([0, 3, 7], "0, 3 and 7")],
)
def test_epochs_in_words(epochs, words):
    assert epoch_weights.format_epochs(epochs) == words
