"""Commands for own digits: import, list, export, delete, teach and compare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.data import dataset
from core.library import digits as library
from core.runs import digit_file, epoch_weights, files, processes, run_queue, store
from core.runs.digit_file import FOLDER
from core.runs.weights import to_bytes
from tests.core.cli_runner import run_json, run_refused
from tests.made import made_run
from tests.networks import build_model

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def pictures(tmp_path, digits):
    """A folder of twenty pictures in MNIST's form, and a file that is none."""
    place = tmp_path / "pictures"
    for number, (image, label) in enumerate(
        zip(digits.test.images[:20].numpy(), digits.test.labels[:20].tolist(), strict=True)
    ):
        (place / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / str(label) / f"{label}-anna-{number:02}.png")
    (place / "notes.txt").write_text("x")
    return place


def test_sets_are_imported_listed_exported_and_deleted(core, folder, pictures, tmp_path):
    assert "No digits yet" in core("digits", "list")[1]
    answer = run_json(core, "digits", "import", "anna", str(pictures))
    assert (answer["read"], answer["added"], len(answer["skipped"])) == (20, 20, 1)
    assert (
        "anna: 0 new digits from 20 pictures" in core("digits", "import", "anna", str(pictures))[1]
    )
    assert {digit.writer for digit in library.list_digits(name="anna")} == {"anna"}
    listed = run_json(core, "digits", "list")
    assert [(each["name"], each["digits"]) for each in listed] == [("anna", 20)]
    file = tmp_path / "out.zip"
    assert run_json(core, "digits", "export", "anna", "--output", str(file))["digits"] == 20
    assert "exists" in run_refused(core, "digits", "export", "anna", "--output", str(file))
    assert run_json(core, "digits", "import", "two", str(file))["added"] == 20
    assert run_json(core, "digits", "delete", "anna", "--yes") == {"deleted": "anna"}
    assert "no set" in run_refused(core, "digits", "delete", "anna", "--yes")
    assert "no own digits" in run_refused(core, "digits", "export", "anna")
    (folder / FOLDER / "harmed.json").write_text("{")
    code, _, shown = core("digits", "delete", "harmed")
    assert code == 1
    assert "damaged" in shown
    assert "0 digits" not in shown
    assert run_json(core, "digits", "delete", "harmed", "--yes") == {"deleted": "harmed"}
    assert "cannot be the name" in run_refused(core, "digits", "import", "../x", str(pictures))
    assert "cannot be read" in run_refused(core, "digits", "import", "x", str(tmp_path / "none"))


def test_teach_makes_a_run_and_compare_shows_before_and_after(
    core, folder, pictures, monkeypatch, digits
):
    monkeypatch.setattr(run_queue, "start_worker", lambda place: processes.identity())
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)
    monkeypatch.setattr(dataset, "load", lambda *_: digits)
    made_run(folder, "base")
    core("digits", "import", "anna", str(pictures))
    assert "--digits" in run_refused(core, "teach", "base")
    assert "no own digits 'bo'" in run_refused(core, "teach", "base", "--digits", "bo")
    picture = next(pictures.glob("*/*.png"))
    made = run_json(
        core,
        *("teach", "base", "--digits", "anna", "--epochs", "1", "--digits-test-share", "0.25"),
        *("--drawing", str(picture), "--detach"),
    )
    run = store.open_run(made["name"])
    assert (run.name, run.parent["name"]) == ("base-anna", "base")
    assert (run.config.digits, run.config.digits_test_share, run.config.epochs) == ("anna", 0.25, 1)
    assert "no weights" in run_refused(core, "digits", "compare", run.name)

    for epoch in (0, 1):  # as if it had been trained
        weights = to_bytes(build_model(run.config.changed(seed=epoch)).state_dict())
        epoch_weights.write(run.folder, epoch, weights)
    for which in ("last", "best"):
        files.write_bytes(run.folder / f"{which}.safetensors", weights)
    rows = files.read_json(folder / "base" / "epochs.json")
    files.write_json(run.folder / "epochs.json", rows[:1])
    answer = run_json(core, "digits", "compare", run.name)
    for when in ("before", "after"):
        assert answer["own"][when]["total"] == 5
        assert np.isclose(answer["own"][when]["accuracy"], 20 * answer["own"][when]["correct"])
    assert answer["mnist"]["before"]["total"] == 200
    assert answer["mnist"]["after"]["correct"] == rows[0]["val_correct"], "the recorded figure"
    assert answer["drawing"]["label"] == int(picture.parent.name)
    text = core("digits", "compare", run.name)[1]
    assert "own test digits (anna)" in text
    assert answer["left_out"] == 0
    own = digit_file.read_run_digits(run.folder)
    learned = digit_file.find_learned(run.config, own)
    kept = next(digit.key for digit in own.digits if digit.key not in learned)
    digit_file.write_run_digits(run.folder, replace(own, learned_before=frozenset([kept])))
    answer = run_json(core, "digits", "compare", run.name)
    assert (answer["left_out"], answer["own"]["after"]["total"]) == (1, 4)
    assert "Left out of the test: 1 digit " in core("digits", "compare", run.name)[1]
    assert "before" in text
