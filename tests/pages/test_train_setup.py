"""Teachers in Train's set-up, and changes of the learning rate, long tables and alt texts."""

from __future__ import annotations

import json

import pytest

from core.experiments.time_estimate import START_SECONDS
from core.runs import events, files, folders, loading, store, trash
from core.training import format_cache
from pages.ui import checkpoints
from tests.made import damaged_run, made_run
from tests.opening import open_page, shown, well

TRAIN = "pages/train.py"


def words(app) -> str:
    return shown("\n".join(each.value for each in app.markdown))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of shipped runs beside the user's."""
    for module in (folders, loading, checkpoints):
        monkeypatch.setattr(module, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    return tmp_path / "shipped"


def test_the_teacher_is_a_run_with_weights_ones_own_or_shipped(folder, shipped):
    made_run(folder, "mine")
    made_run(folder, "fresh", done=0, state="stopped")
    made_run(shipped, "master")
    for place in (folder, shipped):
        damaged_run(place, "broken")
    app = open_page(TRAIN, recipe="initial")
    assert app.selectbox(key="teacher").value == "none"
    assert app.selectbox(key="teacher").options == ["none", "mine", "master"]
    assert "temperature" not in app.session_state, "without a teacher there is nothing to soften"


@pytest.mark.parametrize("teacher", ["mine", "master"])
def test_a_teacher_is_chosen_linked_and_trained_with(teacher, folder, shipped, idle):
    made_run(folder, "mine")
    made_run(shipped, "master")
    app = open_page(TRAIN, recipe="initial", teacher=teacher, teacher_share="0.7")
    app.number_input(key="temperature").set_value(3.0)
    well(app.run())
    next(button for button in app.button if button.label == "Start").click()
    well(app.run())
    config = store.open_run("my-initial").config
    assert (config.teacher, config.teacher_share, config.temperature) == (teacher, 0.7, 3.0)
    assert f"**Teacher** {teacher}" in words(app)


@pytest.mark.parametrize("asked", ["gone", "fresh", "../final"])
def test_a_teacher_that_cannot_be_is_none(folder, asked):
    made_run(folder, "fresh", done=0, state="stopped")
    assert (
        open_page(TRAIN, recipe="initial", teacher=asked).selectbox(key="teacher").value == "none"
    )


def test_a_teacher_that_is_deleted_meanwhile_is_let_go(folder):
    made_run(folder, "mine")
    app = open_page(TRAIN, recipe="initial", teacher="mine")
    trash.delete("mine")
    assert well(app.run()).selectbox(key="teacher").value == "none"


def test_a_recipe_whose_teacher_is_not_here_says_so_at_the_start(folder, shipped, idle):
    app = open_page(TRAIN, recipe="taught")
    assert app.selectbox(key="teacher").value == "teacher"
    next(button for button in app.button if button.label == "Start").click()
    assert "train it first" in shown(well(app.run()).error[0].value)
    assert not idle


def test_a_recipe_can_do_without_its_teacher(folder):
    app = open_page(TRAIN, recipe="taught", teacher="none")
    assert app.selectbox(key="teacher").value == "none"


def test_changes_of_the_rate_are_told_in_the_run(folder):
    run = made_run(folder, "mine", epochs=5, state="stopped")
    files.append_bytes(
        run.folder / events.NAME,
        events.format_event("rate", 2, 7, factor=0.5)
        + events.format_event("rate", 3, 1)
        + events.format_event("rate", 3, 2, factor="much"),
    )
    assert "**Learning rate** × 0.5 from epoch 2, step 7" in words(open_page(TRAIN, run="mine"))


def test_the_table_of_a_long_run_keeps_to_its_newest_rows(folder):
    made_run(folder, "short", done=2, epochs=15, state="stopped")
    made_run(folder, "long", done=30, epochs=200, state="stopped")
    short, long = (
        "\n".join(each.proto.body for each in open_page(TRAIN, run=name).get("html"))
        for name in ("short", "long")
    )
    assert (short.count("class=ahead"), long.count("class=ahead")) == (13, 3)
    assert ('"sheet tail"' in short, '"sheet tail"' in long) == (False, True)


def test_the_set_up_says_how_long_a_run_like_an_earlier_one_takes(folder, monkeypatch):
    monkeypatch.setattr(format_cache, "list_measurements", list)
    run = made_run(folder, "before", done=1, batch_size=512, augmentation="none")
    seconds = round(START_SECONDS + 2 * run.epochs[0].seconds)
    link = {"recipe": "initial", "architecture": "linear-7850", "batch_size": "512"}
    app = open_page(TRAIN, **link, epochs="2")
    captions = [caption.value for caption in app.caption]
    assert any(f"about {seconds} s on this machine" in caption for caption in captions), captions
    app = open_page(TRAIN, recipe="final")
    assert not any("on this machine" in caption.value for caption in app.caption)


def test_a_chart_says_in_words_what_it_shows(folder):
    made_run(folder, "mine", done=2, epochs=5, state="stopped")
    charts = [
        json.dumps(str(each.proto))
        for each in open_page(TRAIN, run="mine").get("vega_lite_chart")
        or open_page(TRAIN, run="mine").get("arrow_vega_lite_chart")
    ]
    for said in (
        "94.00 % on the test images",
        "0.4000 on the test images",
        "one-cycle schedule over 5",
    ):
        assert any(said in each for each in charts), said
