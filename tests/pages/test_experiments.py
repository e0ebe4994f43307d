"""The Experiments page: without runs, with runs and groups, and with damaged ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.data.dataset import Mnist
from core.errors import RunError
from core.experiments import lr_range_job, repeats
from core.experiments.lr_range import Point, learning_rates
from core.experiments.lr_range_job import RangeTest, Request
from core.recipes import RECIPES
from core.runs import files, run_queue, store
from core.runs.weights import save_tensors
from pages.ui.controls import SLIDER_VALUES
from pages.ui.experiments.compare import describe_settings
from pages.ui.experiments.lr_range import nearest_slider_rate
from tests.made import made_run
from tests.networks import build_model
from tests.opening import open_page, well
from tests.pages.reading import page_links, page_text, press

PAGE = "pages/experiments.py"
COMPARE, REPEATS, RATES, SWEEP, EXPORTS = PARTS = (
    "Compare",
    "Repeats",
    "Rate finder",
    "Sweep",
    "Exports",
)


pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def here(digits, monkeypatch) -> Mnist:
    """The made-up digits in place of the dataset."""
    monkeypatch.setattr(dataset, "load", lambda folder=None, progress=None: digits)
    return digits


def opened(part: str, **link: str) -> AppTest:
    return open_page(PAGE, experiment=part, **link)


def group(folder: Path, name: str, correct: Sequence[int], **config) -> None:
    """A group whose runs, of seeds from 1, name so many of 10,000 test images rightly."""
    for seed, each in enumerate(correct, 1):
        run = made_run(folder, f"{name}-s{seed}", group=name, seed=seed, **config)
        rows = files.read_json(run.folder / "epochs.json")
        files.write_json(
            run.folder / "epochs.json", [*rows[:-1], {**rows[-1], "val_correct": each}]
        )


def weights(folder: Path, name: str, seed: int, factor: float = 1.0) -> None:
    """Give a run the first weights of a seed, times a factor."""
    run = store.open_run(name, folder)
    drawn = build_model(run.config.changed(seed=seed)).state_dict()
    save_tensors(
        run.folder / "last.safetensors", {name: tensor * factor for name, tensor in drawn.items()}
    )


@pytest.mark.parametrize("part", PARTS)
def test_with_nothing_trained_every_part_says_what_it_is_for(part, folder):
    app = opened(part)
    assert [each.value for each in app.title] == ["Experiments"]
    if part in (COMPARE, EXPORTS):
        assert page_links(app) == {"Train the Final recipe": "start=final"}
        assert {COMPARE: "which is better", EXPORTS: "can be exported"}[part] in page_text(app)


def test_a_part_that_the_link_does_not_know_is_the_first(folder):
    assert "which is better" in page_text(opened("cake"))


def test_two_runs_are_compared_image_by_image_in_a_sentence(folder, here):
    for seed, name in enumerate(("final", "intermediate"), 1):
        made_run(folder, name, architecture="keras-style")
        weights(folder, name, seed)
    app = opened(COMPARE)
    assert (app.selectbox(key="first").value, app.selectbox(key="second").value) == (
        "intermediate",
        "final",
    )
    said = page_text(app)
    assert "only intermediate is correct on" in said
    assert "McNemar" in said
    assert [each.label for each in app.metric] == ["intermediate", "final"]
    assert "200 test images. 95\u00a0% confidence intervals" in said
    assert "show=two+runs" in next(iter(page_links(app).values()))
    app = opened(COMPARE, first="final", second="intermediate")
    assert "only final is correct on" in page_text(app)


def test_a_comparison_names_the_settings_that_differ(folder):
    start = made_run(folder, "start", done=2, architecture="linear-7850")
    other = made_run(folder, "other", done=2, epochs=3, architecture="initial")
    text = describe_settings(start, other)
    assert "Network linear-7850 or initial" in text
    assert "Epochs 2 or 3" in text
    fork = made_run(folder, "fork", parent={"name": "start", "which": "last", "epoch": 2}, done=2)
    assert "Settings: the same. fork started from the weights of start." in (
        describe_settings(start, fork)
    )


def test_a_setting_without_effect_on_one_of_two_runs_has_no_figure(folder):
    one = made_run(folder, "one", schedule="constant", lr=0.3, max_lr=0.7)
    two = made_run(folder, "two", schedule="one-cycle", lr=0.3, max_lr=0.2)
    text = describe_settings(one, two)
    assert "Schedule constant or one-cycle" in text
    assert "Peak learning rate without effect or 0.2" in text
    assert "0.7" not in text


def test_two_groups_are_compared_by_their_seeds(folder):
    group(folder, "a", [9_900, 9_904, 9_898])
    group(folder, "b", [9_931, 9_936, 9_928])
    app = opened(COMPARE, first="a", second="b")
    assert "b is better by 0.31 points" in page_text(app)
    assert "the seeds 1 to 3" in page_text(app)
    assert app.selectbox(key="second").options == ["b"], "a group is held against groups only"
    lone = opened(COMPARE, first="a-s1")
    assert "a" not in lone.selectbox(key="second").options
    assert "a-s2" in lone.selectbox(key="second").options


def test_one_group_alone_has_nothing_to_be_held_against(folder):
    group(folder, "a", [9_900, 9_904])
    assert "no other group" in page_text(opened(COMPARE, first="a"))


def test_groups_measured_on_different_images_are_refused_in_a_sentence(folder):
    group(folder, "a", [9_900, 9_904])
    group(folder, "b", [9_900, 9_904], holdout=10_000)
    assert "cannot be compared" in page_text(opened(COMPARE, first="a", second="b"))


def test_a_run_whose_weights_are_no_numbers_is_an_error_in_words(folder, here):
    for name in ("final", "intermediate"):
        made_run(folder, name)
    weights(folder, "final", 1, math.nan)
    app = opened(COMPARE)
    assert "final cannot predict" in page_text(app)
    assert not app.metric


@pytest.mark.parametrize(
    ("part", "key"), [(COMPARE, "first"), (EXPORTS, "taken"), (RATES, "tested")]
)
def test_a_damaged_run_that_the_link_asks_for_is_named_with_the_reason(part, key, folder, here):
    for name in ("mine", "yours", "theirs"):
        made_run(folder, name)
    (folder / "mine" / "last.safetensors").write_bytes(b"no weights")
    assert "mine is damaged: last.safetensors is not a safetensors file" in page_text(
        opened(part, **{key: "mine"})
    )
    assert not opened(part).warning


def test_a_group_is_made_and_started(folder, idle):
    app = opened(REPEATS)
    assert "No group yet" in page_text(app)
    well(app.number_input(key="times").set_value(3).run())
    press(app, "experiments_start_group")
    made = repeats.open_group("final-repeats")
    assert [run.config.seed for run in made.runs] == [1, 2, 3]
    assert [run.config for run in made.runs] == [
        RECIPES["final"].config.changed(seed=seed) for seed in (1, 2, 3)
    ]
    assert {run.recipe for run in made.runs} == {"final"}
    assert len(idle) + len(run_queue.list_waiting()) == 3
    assert "none of its 3 runs" in page_text(app)
    well(app.text_input(key="experiments_group_name").set_value("final-repeats").run())
    press(app, "experiments_start_group")
    assert "already a group" in page_text(app)


def test_a_group_tells_its_mean_its_interval_and_what_it_was_measured_on(folder):
    group(folder, "mine", [9_945, 9_941, 9_943], epochs=3)
    group(folder, "held", [9_900, 9_910], holdout=10_000)
    made_run(folder, "lone")
    app = opened(REPEATS, group="mine")
    table = app.dataframe[0].value.set_index("Group")
    assert list(table.index) == ["held", "mine"]
    assert table.loc["mine", "Mean"] == pytest.approx(99.43)
    assert table.loc["mine", "95 % interval"] == "99.38 to 99.48"
    assert list(table["Measured on"]) == ["10,000 validation images", "test images"]
    assert "99.43 %" in page_text(app)
    assert page_links(app) == {seed: f"run=mine-s{seed}" for seed in "123"}
    assert len(app.get("download_button")) == 2


def test_only_a_mean_earns_a_group_the_badge(folder):
    group(folder, "lucky", [9_945, 9_920], epochs=3)
    assert "goal reached" not in page_text(opened(REPEATS))
    group(folder, "good", [9_945, 9_941], epochs=3)
    assert "goal reached" in page_text(opened(REPEATS, group="good"))


def test_seeds_are_added_and_what_stands_still_goes_on(folder, idle):
    group(folder, "mine", [9_900, 9_904], epochs=3)
    press(opened(REPEATS), "experiments_add_seeds")
    assert [run.config.seed for run in repeats.open_group("mine").runs] == [1, 2, 3, 4]
    assert ([place.name for place in idle], run_queue.list_waiting()) == (["mine-s3"], ["mine-s4"])
    run_queue.remove("mine-s4")
    app = opened(REPEATS)
    assert "mean of 2 seeds" in page_text(app)
    press(app, "experiments_train_rest")
    assert run_queue.list_waiting() == ["mine-s4"]


def climb(config, steps: int = 100, end: float = 3.0) -> tuple[Point, ...]:
    """Points whose loss falls to the middle of the test and then grows."""
    losses = [
        2.3 - 2 * at / 50 if at < 50 else 0.3 + (end - 0.3) * (at - 50) / 50 for at in range(steps)
    ]
    rates = learning_rates(config, steps)
    return tuple(
        Point(at + 1, rate, loss, loss)
        for at, (rate, loss) in enumerate(zip(rates, losses, strict=True))
    )


@pytest.fixture
def asked(monkeypatch, here) -> list[Request]:
    """Keeps range tests from being started; gives those that would have been."""
    requests: list[Request] = []
    monkeypatch.setattr(lr_range_job, "start", requests.append)
    return requests


def test_a_range_test_is_asked_for_as_it_is_set_up(folder, asked):
    made_run(folder, "mine", max_lr=0.07)
    app = opened(RATES)
    assert "Which peak learning rate" in page_text(app)
    press(app, "experiments_start_range")
    well(app.selectbox(key="tested").set_value("mine").run())
    well(app.selectbox(key="begin_with").set_value("trained weights").run())
    well(app.select_slider(key="steps").set_value(500).run())
    press(app, "experiments_start_range")
    assert asked == [
        Request(RECIPES["final"].config),
        Request(store.open_run("mine").config, "mine", 500),
    ]


def test_while_it_climbs_it_says_how_far_it_is(folder, monkeypatch):
    points = climb(RECIPES["final"].config)[:40]
    monkeypatch.setattr(
        lr_range_job, "read", lambda request: RangeTest(points, 100, "running", "", 12.0)
    )
    app = opened(RATES)
    assert "is running" in page_text(app)
    assert app.get("progress")[0].proto.text == "Step 40 of 100, about 12 s left"


def test_its_suggestion_goes_to_train_with_the_set_up(folder, monkeypatch):
    config = RECIPES["intermediate"].config
    found = RangeTest(climb(config), 100, "done")
    monkeypatch.setattr(lr_range_job, "read", lambda request: found)
    app = opened(RATES, tested="intermediate")
    lr = found.suggestion.lr
    assert f"Suggested peak learning rate: {lr:g}" in page_text(app)
    assert {each.label: each.value for each in app.metric}["Suggested"] == f"{lr:g}"
    press(app, "experiments_train_with_rate")
    assert app.session_state["recipe"] == "intermediate"
    assert app.session_state["max_lr"] == nearest_slider_rate(lr)
    assert app.session_state["architecture"] == config.architecture


def test_a_schedule_without_a_highest_rate_gets_it_as_its_rate(folder, monkeypatch):
    made_run(folder, "flat", schedule="cosine", lr=0.3)
    found = RangeTest(climb(RECIPES["final"].config), 100, "done")
    monkeypatch.setattr(lr_range_job, "read", lambda request: found)
    app = opened(RATES, tested="flat", begin_with="trained weights")
    assert {each.label: each.value for each in app.metric}["Set-up"] == "0.3"
    press(app, "experiments_train_with_rate")
    assert app.session_state["lr"] == nearest_slider_rate(found.suggestion.lr)
    assert app.session_state["fork"] == "flat"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (RangeTest(climb(RECIPES["final"].config)[:10], 100, "done"), "inconclusive"),
        (RangeTest((), 100, "failed", "MNIST cannot be kept."), "MNIST cannot be kept."),
    ],
)
def test_a_test_that_tells_nothing_says_why_and_suggests_nothing(folder, monkeypatch, found, words):
    monkeypatch.setattr(lr_range_job, "read", lambda request: found)
    app = opened(RATES)
    assert words in page_text(app)
    assert "experiments_train_with_rate" not in [each.key for each in app.button]


def test_a_range_test_that_cannot_be_begun_is_an_error_in_words(folder, here, monkeypatch):
    def refuse(request: Request) -> None:
        raise RunError("another range test is under way; it takes less than a minute.")

    monkeypatch.setattr(lr_range_job, "start", refuse)
    assert "another range test is under way" in page_text(
        press(opened(RATES), "experiments_start_range")
    )


@pytest.mark.parametrize("rate", [0.0004, 0.0351, 0.9, 7.3])
def test_a_rate_lands_on_the_nearest_step_of_trains_slider(rate):
    found = nearest_slider_rate(rate)
    assert found in SLIDER_VALUES["max_lr"]
    assert max(found / rate, rate / found) < 1.25 or rate > SLIDER_VALUES["max_lr"][-1]


def test_a_network_is_made_checked_and_handed_out_under_the_runs_name(folder, here):
    made_run(folder, "mine")
    app = opened(EXPORTS)
    assert app.selectbox(key="taken").value == "mine"
    before = len(app.get("download_button"))
    press(app, "experiments_make_onnx")
    assert "200 of 200 test images" in page_text(app)
    assert len(app.get("download_button")) == before + 1
    assert "experiments_make_onnx" not in [each.key for each in well(app.run()).button], (
        "what is made stays"
    )
    well(app.segmented_control(key="weights").set_value("best").run())
    assert "experiments_make_onnx" in [each.key for each in app.button], (
        "other weights make another file"
    )


def test_what_cannot_be_made_says_why_and_is_not_handed_out(folder, here):
    made_run(folder, "mine")
    weights(folder, "mine", 1, math.nan)
    app = opened(EXPORTS)
    press(app, "experiments_make_torch")
    assert "weights" in page_text(app)
    assert len(app.get("download_button")) == 4, "the reports, the settings and the events"
