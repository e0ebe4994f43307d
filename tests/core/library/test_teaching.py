"""A network is taught own digits: a fork that keeps its copy, resumes exactly, and is compared."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.config import NO_DIGITS, RunConfig
from core.errors import RunError, UserError
from core.insight.training_batch import batch_at
from core.library import digits as library
from core.library import teaching
from core.runs import archive, control, creation, digit_file, status, store, trash, worker
from core.runs.digit_file import Drawing
from tests.core.runs.zips import read_zip, write_zip

QUICK = {
    "epochs": 4,
    "transforms": [],
    "augmentation": "none",
    "max_lr": 0.05,
    "batch_size": 100,
    "digits_share": 0.1,
}


@pytest.fixture
def parent(folder, digits):
    """A trained run, and a set of twenty digits that it has not seen."""
    config = RunConfig(
        layers=(
            {"kind": "avgpool", "kernel": 4, "stride": 4},
            {"kind": "linear", "channels": 10, "activation": "none"},
        ),
        batch_size=100,
        epochs=1,
        device="cpu",
        precision="fp32",
        threads=1,
    )
    run = creation.create_run(config, "parent")
    assert worker.train(run.folder, digits) == "finished"
    turned = np.rot90(digits.test.images[:20].numpy(), axes=(1, 2))
    library.add_digits(
        [
            library.make_digit(image.copy(), int(label), owner="somebody")
            for image, label in zip(turned, digits.test.labels[:20], strict=True)
        ],
        name="anna",
    )
    return store.open_run("parent")


def test_a_taught_run_starts_from_the_weights_and_learns_the_digits(parent, digits):
    drawing = Drawing(library.list_digits(name="anna")[0].pixels, 3)
    run = teaching.teach("parent", "anna", "taught", QUICK, drawing=drawing)
    own = digit_file.read_run_digits(run.folder)
    assert (len(own.digits), own.drawing) == (20, drawing)
    assert {digit.owner for digit in own.digits} == {None}
    assert teaching.is_taught(run)
    assert not teaching.is_taught(parent)
    assert worker.train(run.folder, digits) == "finished"
    run = store.open_run("taught")
    assert run.last.train_total == 667 == run.runtime.train_images, "a tenth are own digits"
    assert run.steps_per_epoch == 7
    test = digits.test.to_numpy()
    learned, kept = teaching.learned_keys(run), teaching.load_test_digits(run)
    assert len(learned) == len(kept) == 10
    assert learned < {digit.key for digit in own.digits}
    assert teaching.learned_keys(parent) == frozenset()
    compared = teaching.compare(run, test)
    assert compared.own[0].total == compared.own[1].total == 10
    assert compared.own[1] != compared.own[0]
    assert compared.mnist[0].correct == parent.last.val_correct
    assert compared.mnist[1].correct == run.last.val_correct
    assert compared.drawing == drawing
    assert 0 < compared.guesses[1].probability <= 1
    assert teaching.compare(run, None).mnist is None
    seen = batch_at(
        run.config,
        digits.train.to_numpy(),
        4,
        7,
        digit_file.load_own(run.config, run.folder),
    )
    assert len(seen) == 67, "the last batch of an epoch"


def test_digits_that_the_runs_before_it_learned_do_not_test_a_run(parent, digits):
    """Taught again after the set has grown, when other digits are drawn for testing."""
    teaching.teach("parent", "anna", "once", {**QUICK, "epochs": 1})
    once = store.open_run("once")
    assert worker.train(once.folder, digits) == "finished"
    learned = teaching.learned_keys(once)
    turned = np.rot90(digits.test.images[20:40].numpy(), axes=(1, 2))
    library.add_digits(
        [
            library.make_digit(image.copy(), int(label))
            for image, label in zip(turned, digits.test.labels[20:40], strict=True)
        ],
        name="anna",
    )
    run = teaching.teach("once", "anna", "twice", {**QUICK, "epochs": 1})
    other = control.fork("once", "other", {"holdout_seed": 5, "epochs": 1})  # keeps its parent's
    untouched = control.fork("once", "untouched", {"holdout_seed": 5, "epochs": 1}, 0)
    assert worker.train(run.folder, digits) == "finished"
    run = store.open_run("twice")
    compared = teaching.compare(run, None)
    assert compared.left_out > 0
    assert compared.own[0].total == 20 - compared.left_out
    thrice = teaching.teach("twice", "anna", "thrice", {"holdout_seed": 3})
    trash.delete("once")
    copied = archive.import_run(archive.export_run(run), "copied")
    for each in (run, other, thrice, copied):
        kept = teaching.load_test_digits(each)
        keys = {
            library.make_digit(image, int(label)).key
            for image, label in zip(kept.images, kept.labels, strict=True)
        }
        assert len(keys) == len(kept) > 0
        assert not keys & learned
        assert not keys & teaching.learned_keys(each)
        assert learned <= teaching.learned_keys(each)
    assert len(teaching.load_test_digits(untouched)) == 10, "from the weights before the epoch"
    path = run.folder / digit_file.RUN_FILE
    for harm in (3, [3], ["x" * 17]):
        values = json.loads(path.read_text()) | {"learned_before": harm}
        path.write_text(json.dumps(values))
        with pytest.raises(RunError, match="damaged"):
            teaching.load_test_digits(run)


def test_it_resumes_bit_for_bit_and_keeps_its_copy(parent, digits, monkeypatch):
    for name in ("whole", "cut"):
        teaching.teach("parent", "anna", name, {**QUICK, "augmentation": "gentle"})
    library.clear(name="anna")  # the runs have their own copies
    assert worker.train(store.open_run("whole").folder, digits) == "finished"
    cut = store.open_run("cut").folder
    status.write_request(cut, "pause-after-epoch")
    assert worker.train(cut, digits) == "paused"
    assert worker.train(cut, digits) == "finished"
    weights = [(store.open_run(name).weights_path()).read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    assert [row.val_correct for row in store.open_run("whole").epochs] == [
        row.val_correct for row in store.open_run("cut").epochs
    ]
    forked = control.fork("whole", "forked", {"epochs": 1})
    own = digit_file.read_run_digits(forked.folder)
    assert own.digits == digit_file.read_run_digits(cut).digits
    assert own.learned_before == teaching.learned_keys(store.open_run("cut"))
    imported = archive.import_run(archive.export_run(store.open_run("whole")), "imported")
    assert digit_file.read_run_digits(imported.folder) == digit_file.read_run_digits(cut)
    assert (
        teaching.compare(imported, None).own == teaching.compare(store.open_run("whole"), None).own
    )
    with pytest.raises(RunError, match="no own digits 'anna'"):
        teaching.teach("parent", "anna", "late")
    contents = read_zip(archive.export_run(store.open_run("whole")))
    assert b"somebody" not in contents["whole/digits.json"]
    for harm in (None, b"{", b'{"format": 1, "digits": [{"label": 11}]}'):
        harmed = {**contents, "whole/digits.json": harm}
        with pytest.raises(RunError, match=r"digits\.json"):
            archive.import_run(write_zip({k: v for k, v in harmed.items() if v is not None}))


def test_what_cannot_be_taught_is_refused(parent, digits):
    for name in ("../anna", "nobody", NO_DIGITS):
        with pytest.raises(UserError):
            teaching.teach("parent", name, "new")
        if name != NO_DIGITS:
            with pytest.raises(UserError):
                creation.create_run(parent.config.changed(digits=name), "new")
    with pytest.raises(RunError, match="no run"):
        teaching.teach("nobody", "anna", "new")
    with pytest.raises(RunError, match="not learned any own digits"):
        teaching.compare(parent, None)
    assert not (parent.folder.parent / "new").exists()
    run = creation.create_run(parent.config.changed(digits="anna"), "harmed")
    (run.folder / digit_file.RUN_FILE).write_text('{"format": 1, "digits": []}')
    assert worker.train(run.folder, digits) == "failed"
    assert "digits.json is damaged" in store.open_run("harmed").message
