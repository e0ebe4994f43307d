"""Predictions on the test images: computed once, and again when an input changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import RunError
from core.runs import prediction_cache
from core.runs.loading import load_model
from core.runs.prediction_cache import FOLDER, load_predictions
from core.runs.store import list_runs
from core.runs.weights import save_tensors
from core.training.evaluation import evaluate
from tests.made import made_run
from tests.networks import build_model


@pytest.fixture
def pair(digits):
    return digits.test.to_numpy()


def kept(folder) -> list:
    return sorted((folder / FOLDER).glob("*.npz"))


@pytest.fixture
def counted(monkeypatch) -> list:
    """The runs whose networks were really asked."""
    asked = []

    def ask(run, *rest):
        asked.append(run)
        return measured(run, *rest)

    measured = prediction_cache.predict_run
    monkeypatch.setattr(prediction_cache, "predict_run", ask)
    return asked


def test_predictions_agree_with_the_trainer(tmp_path, pair, digits):
    run = made_run(tmp_path, "mine", architecture="original-3762")
    found = load_predictions(run, test=pair)
    loss, correct = evaluate(
        load_model(run), digits.test.images, digits.test.labels, torch.device("cpu")
    )
    assert int(found.correct.sum()) == correct
    assert float(found.loss.mean()) == pytest.approx(loss, rel=1e-4)


def test_predictions_are_computed_once(tmp_path, pair, counted):
    run = made_run(tmp_path, "mine")
    first, second = (load_predictions(run, test=pair) for _ in range(2))
    assert len(counted) == len(kept(tmp_path)) == 1
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


def test_other_weights_or_images_are_predicted_again(tmp_path, pair, counted):
    run = made_run(tmp_path, "mine")
    load_predictions(run, test=pair)
    load_predictions(run, test=pair[np.arange(len(pair))[::-1]])
    save_tensors(
        run.folder / "last.safetensors", build_model(run.config.changed(seed=2)).state_dict()
    )
    load_predictions(run, test=pair)
    assert len(counted) == 3


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\3\4 no zip"),
        lambda path: np.savez(path, probabilities=np.zeros((3, 10), np.float32)),
        lambda path: np.savez(path, other=np.zeros(3)),
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
    ],
)
def test_a_damaged_file_is_replaced(tmp_path, pair, counted, harm):
    run = made_run(tmp_path, "mine")
    first = load_predictions(run, test=pair)
    harm(kept(tmp_path)[0])
    np.testing.assert_array_equal(
        load_predictions(run, test=pair).probabilities, first.probabilities
    )
    assert len(counted) == 2


def test_predictions_work_where_nothing_can_be_stored(tmp_path, pair):
    run = made_run(tmp_path, "mine")
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    assert len(load_predictions(run, test=pair).labels) == 200


def test_the_number_of_files_is_bounded(tmp_path, pair, monkeypatch):
    monkeypatch.setattr(prediction_cache, "MAX_FILES", 2)
    for seed in (1, 2, 3):
        load_predictions(made_run(tmp_path, f"mine-{seed}", seed=seed), test=pair)
    assert len(kept(tmp_path)) == 2


def test_the_cache_is_not_listed_as_a_run(tmp_path, pair):
    load_predictions(made_run(tmp_path, "mine"), test=pair)
    assert [run.name for run in list_runs(tmp_path)] == ["mine"]


def test_a_run_without_weights_is_named(tmp_path, pair):
    with pytest.raises(RunError, match="no weights yet"):
        load_predictions(made_run(tmp_path, "new", done=0, state="stopped"), test=pair)
    run = made_run(tmp_path, "gone")
    (run.folder / "last.safetensors").unlink()
    with pytest.raises(RunError, match="gone"):
        load_predictions(run, test=pair)


def test_another_number_format_is_predicted_again(tmp_path, pair, counted):
    run = made_run(tmp_path, "mine")
    first = load_predictions(run, test=pair)
    other = replace(run, runtime=run.runtime.changed(precision="bf16", layout="channels_last"))
    assert not np.array_equal(load_predictions(other, test=pair).probabilities, first.probabilities)
    assert len(counted) == 2


def test_outputs_that_are_not_finite_are_an_error(tmp_path, pair):
    run = made_run(tmp_path, "wild")
    weights = {
        name: value * float("nan") for name, value in build_model(run.config).state_dict().items()
    }
    save_tensors(run.folder / "last.safetensors", weights)
    with pytest.raises(RunError, match="wild cannot predict"):
        load_predictions(run, test=pair)


def test_predictions_after_every_epoch_are_computed_once(trained, digits, monkeypatch):
    run, test = trained(), digits.test.to_numpy()
    reports = []
    learning = prediction_cache.load_learning(run, test, lambda *done: reports.append(done))
    assert learning.epochs.tolist() == [0, 1, 2, 3]
    assert reports == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert learning.correct.sum(axis=1).tolist()[1:] == [row.val_correct for row in run.epochs]
    monkeypatch.setattr(prediction_cache, "predict_run", None)
    again = prediction_cache.load_learning(run, test)
    np.testing.assert_array_equal(again.predicted, learning.predicted)
