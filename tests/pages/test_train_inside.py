"""The views of a run on Train: batch, mistakes and pad, with and without something to show."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.charts.sprites import sprite_sheet
from core.data import dataset
from core.insight.predictions import predict
from core.insight.training_batch import batch_at
from core.runs import files, loading, processes, status
from core.runs.run import Run
from pages.ui.train import background, inside
from tests.made import made_run
from tests.opening import open_page, shown, well
from tests.strokes import DIGITS

TRAIN = "pages/train.py"
pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def here(digits, monkeypatch):
    """The made-up digits in place of the dataset: 600 to train on, 20 steps of 30."""
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    return digits


def run_of(folder, **more) -> Run:
    return made_run(
        folder, "mine", **{"batch_size": 30, "epochs": 3, "done": 2, "state": "stopped", **more}
    )


def live(run: Run) -> None:
    status.write(run.folder, "running", "", processes.identity())


def component(app: AppTest, name: str) -> dict:
    each = next(
        each for each in app.get("bidi_component") if each.proto.component_name == f"inkling_{name}"
    )
    return json.loads(each.proto.json)


def words(app: AppTest) -> str:
    return shown(
        "\n".join(
            each.value for kind in (app.markdown, app.caption, app.error, app.info) for each in kind
        )
    )


@pytest.mark.parametrize("view", inside.VIEWS)
@pytest.mark.parametrize("state", ["queued", "stopped", "running"])
def test_every_view_opens_before_there_is_anything_to_see(view, state, folder, idle, here):
    run = run_of(folder, done=0, state="queued" if state == "queued" else "stopped")
    files.write_bytes(run.folder / "events.jsonl", b"")
    if state == "running":
        live(run)
    app = open_page(TRAIN, run="mine", inside=view)
    assert not app.error
    assert view in words(app)


@pytest.mark.parametrize("view", ["Batch", "Mistakes"])
def test_without_the_digits_they_are_offered(view, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "nowhere"))
    run_of(folder)
    app = open_page(TRAIN, run="mine", inside=view)
    assert any(button.label == "Download MNIST" for button in app.button)


@pytest.mark.parametrize("augmentation", ["none", "affine"])
def test_the_batch_is_that_of_the_latest_step_as_augmented(augmentation, folder, here):
    run = run_of(folder, augmentation=augmentation)
    app = open_page(TRAIN, run="mine", inside="Batch")
    assert "epoch 2, step 20 of 20" in words(app)
    shown = component(app, "gallery")
    batch = batch_at(run.config, here.train.to_numpy(), 2, 20)
    assert shown["sheet"] == sprite_sheet(batch.images).uri
    assert [cell["label"] for cell in shown["cells"]] == [str(label) for label in batch.labels]
    assert ("not augmented" in words(app)) == (augmentation == "none")


def test_epochs_that_are_not_augmented_any_more_are_told(folder, here):
    run_of(folder, augmentation="affine", augment_fraction=0.4)
    assert "not augmented" in words(open_page(TRAIN, run="mine", inside="Batch"))


def test_of_a_large_batch_the_first_images_are_shown(folder, here):
    made = run_of(folder, batch_size=100)
    text = (made.folder / "events.jsonl").read_text().replace('"step": 20', '"step": 6')
    (made.folder / "events.jsonl").write_text(text)
    app = open_page(TRAIN, run="mine", inside="Batch")
    assert len(component(app, "gallery")["cells"]) == inside.BATCH
    assert "first 42 of 100" in words(app)


def test_a_batch_stays_a_while_so_that_it_can_be_looked_at(folder, idle, here, monkeypatch):
    run = run_of(folder)
    live(run)
    app = open_page(TRAIN, run="mine", inside="Batch")
    with open(run.folder / "events.jsonl", "a") as file:
        file.write(
            '{"kind": "batch", "time": 1.0, "epoch": 3, "step": 4, "steps": 20, '
            '"loss": 0.5, "lr": 0.1}\n'
        )
    assert "epoch 2, step 20" in words(well(app.run()))
    monkeypatch.setattr(inside, "BATCH_SECONDS", 0.0)
    assert "epoch 3, step 4" in words(well(app.run()))


def test_the_mistakes_are_those_of_the_newest_weights(folder, here):
    run = run_of(folder)
    app = open_page(TRAIN, run="mine", inside="Mistakes")
    images, labels = here.test.images.numpy(), here.test.labels.numpy()
    odds = predict(loading.load_model(run), images)
    wrong = np.flatnonzero(odds.argmax(1) != labels)
    worst = sorted(wrong, key=lambda at: odds[at, labels[at]])[: inside.WORST]
    assert f"after epoch 2: {len(wrong)} of 200 validation images" in words(app)
    shown = component(app, "gallery")
    assert shown["sheet"] == sprite_sheet(images[worst]).uri
    first = worst[0]
    assert shown["cells"][0]["label"] == f"{labels[first]} → {odds[first].argmax()}"
    assert shown["cells"][0]["note"] == f"{100 * odds[first].max():.1f} %"


def test_a_run_with_a_hold_out_is_asked_about_it(folder, here):
    run_of(folder, holdout=90)
    assert "of 90 validation images" in words(open_page(TRAIN, run="mine", inside="Mistakes"))


def test_a_large_network_is_asked_about_an_even_sample(folder, here, monkeypatch):
    monkeypatch.setattr(background, "affordable_images", lambda model, seconds: 50)
    run_of(folder)
    assert "of 50 of 200 validation images" in words(
        open_page(TRAIN, run="mine", inside="Mistakes")
    )


def test_mistakes_of_a_run_under_way_come_when_they_are_there(folder, idle, here, monkeypatch):
    live(run_of(folder))
    slow: list[background.Future] = []
    monkeypatch.setattr(
        background,
        "predict_validation",
        lambda run, sets: slow.append(background.Future()) or slow[-1],
    )
    app = open_page(TRAIN, run="mine", inside="Mistakes")
    assert "weights after epoch 2" in words(app)


@pytest.mark.parametrize(
    "harm", [lambda path: path.write_bytes(b"no weights"), lambda path: path.unlink()]
)
def test_weights_that_went_bad_while_they_are_asked_are_told(folder, here, harm, monkeypatch):
    run = run_of(folder)
    opened = inside.open_run("mine")
    harm(run.folder / "last.safetensors")
    monkeypatch.setattr(inside, "open_run", lambda name: opened)

    def page() -> None:
        from pages.ui.train.inside import draw_inside

        draw_inside("mine", False)

    app = AppTest.from_function(page)
    app.session_state["inside"] = "Mistakes"
    assert shown(well(app.run()).error[0].value)


def test_a_drawing_is_read_by_the_newest_weights(folder, here):
    run_of(folder)
    app = open_page(TRAIN, run="mine", inside="Draw")
    assert component(app, "readout")["probabilities"] is None
    app.session_state["drawing"] = {"strokes": DIGITS[3], "version": 1}
    well(app.run())
    assert "weights after epoch 2" in words(app)
    assert sum(component(app, "readout")["probabilities"]) == pytest.approx(1, abs=0.001)


def test_only_the_chosen_view_costs_anything(folder, here, monkeypatch):
    run_of(folder)
    for name in ("load_digits", "to_mnist"):
        monkeypatch.setattr(inside, name, lambda *given: pytest.fail("another view was worked out"))
    app = open_page(TRAIN, run="mine")
    assert any("TrainCorrect" in each.proto.body for each in app.get("html"))
