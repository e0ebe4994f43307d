"""The network as it was after any kept epoch, on Draw and on Mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.insight.learning import NEVER, describe_epoch
from core.insight.predictions import predict
from core.runs.loading import load_model
from core.runs.prediction_cache import load_learning
from pages.ui.components import rewind
from pages.ui.draw.learning import describe_learning
from tests.made import made_run
from tests.opening import open_page, well
from tests.pages.reading import component, components, page_text

DRAW, MISTAKES = "pages/draw.py", "pages/mistakes.py"


@pytest.fixture(autouse=True)
def folder(folder, monkeypatch, digits, fresh) -> Path:
    """An empty checkpoints folder, made-up digits in place of MNIST, and empty caches."""
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    return folder


def slider(app: AppTest) -> dict:
    return component(app, "rewind")


@pytest.mark.parametrize("view", ["Layers", "Learning"])
@pytest.mark.parametrize("epoch", [0, 1, None])
def test_draw_shows_a_digit_by_the_weights_of_an_epoch(view, epoch, folder, digits):
    run = made_run(folder, "mine", kept=True)
    link = {} if epoch is None else {"epoch": str(epoch)}
    app = open_page(DRAW, view=view, digit="test-3", **link)
    assert slider(app)["epochs"] == [0, 1, 2, 3]
    assert slider(app)["shown"] == (3 if epoch is None else epoch)
    accuracy = f"{run.epochs[0].val_accuracy:.2f}\u00a0%"
    assert slider(app)["notes"][:2] == ["", f"{accuracy} of the test images"]
    model = load_model(run, "last" if epoch is None else epoch)
    expected = predict(model, digits.test.images[3:4].numpy())[0]
    if view == "Learning":
        readout = components(app, "readout")[-1]
        np.testing.assert_allclose(readout["probabilities"], expected, atol=1e-3)
        assert describe_epoch(slider(app)["shown"]) in readout["message"].lower()
    else:
        logits = [cell["note"] for cell in component(app, "layers")["maps"][-1]["cells"]]
        shown = np.array([float(text.replace("\u2212", "-")) for text in logits])
        assert shown.argmax() == expected.argmax()


@pytest.mark.parametrize("page", [DRAW, MISTAKES])
@pytest.mark.parametrize("epoch", ["", "x", "-1", "1e999", "99999999999", "77"])
def test_an_epoch_that_was_not_kept_shows_the_nearest_or_the_last(page, epoch, folder):
    made_run(folder, "mine", kept=True)
    link = {"view": "Learning", "digit": "test-3"} if page == DRAW else {}
    assert slider(open_page(page, epoch=epoch, **link))["shown"] == 3


@pytest.mark.parametrize("page", [DRAW, MISTAKES])
def test_a_run_that_kept_no_epochs_is_shown_as_it_is(page, folder):
    made_run(folder, "old", done=1)
    link = {"view": "Learning", "digit": "test-3"} if page == DRAW else {}
    app = open_page(page, **link)
    assert not components(app, "rewind")
    assert not app.error
    assert ("kept the weights of no epoch but the last" in page_text(app)) == (page == DRAW)


@pytest.mark.parametrize("view", ["Layers", "Learning"])
def test_draw_names_damaged_weights_of_an_epoch(view, folder):
    run = made_run(folder, "mine", kept=True)
    run.weights_path(1).write_bytes(b"x")
    app = open_page(DRAW, view=view, digit="test-3", epoch="1")
    assert "0001.safetensors is not a safetensors file" in page_text(app)


def test_mistakes_names_damaged_weights_of_an_epoch(folder):
    run = made_run(folder, "mine", kept=True)
    run.weights_path(1).write_bytes(b"x")
    app = open_page(MISTAKES, epoch="1")
    assert "0001.safetensors is not a safetensors file" in page_text(app)
    app = open_page(MISTAKES, sort="learnt last")
    assert "0001.safetensors is not a safetensors file" in page_text(app)
    assert component(app, "gallery"), "the errors after the last epoch are shown"


def test_mistakes_are_those_after_the_epoch(folder, digits):
    run = made_run(folder, "mine", kept=True)
    learning = load_learning(run, digits.test.to_numpy())
    for epoch in (0, 2):
        app = open_page(MISTAKES, epoch=str(epoch))
        errors = int((~learning.correct[epoch]).sum())
        assert app.metric[0].value == str(errors)
        assert f"as they were {describe_epoch(epoch)}" in page_text(app)


def test_mistakes_are_sorted_by_when_they_were_learnt(folder, digits):
    run = made_run(folder, "mine", kept=True)
    learning = load_learning(run, digits.test.to_numpy())
    app = open_page(MISTAKES, sort="learnt last")
    cells = component(app, "gallery")["cells"]
    learnt = sorted((int(epoch) for epoch in learning.learnt if epoch > 0), reverse=True)
    assert [cell["note"] for cell in cells] == [f"learnt in {epoch}" for epoch in learnt[:56]]
    assert all("→" in cell["label"] for cell in cells)

    app.selectbox(key="sort").set_value("forgotten")
    cells = component(well(app.run()), "gallery")["cells"]
    forgotten = (learning.learnt == NEVER) & (learning.first_correct != NEVER)
    assert len(cells) == min(56, int(forgotten.sum()))
    assert {cell["note"].split()[0] for cell in cells} == {"correct"}

    never = learning.labels[learning.first_correct == NEVER]
    label = int(np.bincount(never).argmax())
    app.selectbox(key="sort").set_value("never correct")
    app.selectbox(key="labelled").set_value(str(label))
    cells = component(well(app.run()), "gallery")["cells"]
    assert len(cells) == min(56, int((never == label).sum()))


def test_when_an_old_run_learnt_is_not_known(folder):
    made_run(folder, "old")
    app = open_page(MISTAKES, sort="learnt last")
    assert "has not kept the weights of its epochs" in "".join(each.value for each in app.info)
    assert component(app, "gallery")


def test_the_chosen_epoch_is_in_the_link(folder):
    run = made_run(folder, "mine", kept=True)
    app = open_page(MISTAKES, epoch="2")
    assert app.query_params["epoch"] in ("2", ["2"])
    app.session_state[rewind._CHOSEN] = None
    del app.query_params["epoch"]
    app = well(app.run())
    assert slider(app)["shown"] == run.epochs[-1].epoch
    assert "epoch" not in app.query_params


@pytest.mark.parametrize(
    ("predicted", "label", "words"),
    [
        ([1, 7, 7], None, "Read as 7 after epoch 1 and in every kept epoch"),
        ([7, 1, 7], None, "Read as 7 first before training, and always from epoch 4 on"),
        ([1, 1, 2], 7, "Never read as 7, its label"),
        ([1, 7, 2], 7, "first after epoch 1 and last after epoch 1; forgotten"),
    ],
)
def test_when_a_digit_was_learnt_in_words(predicted, label, words):
    probabilities = np.eye(10)[predicted]
    assert words in describe_learning([0, 1, 4], probabilities, label)
