"""Worksheets: answers that follow from the networks, runs and measurements, on two pages."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest

from core.errors import ConfigError, RunError
from core.experiments import measurements
from core.experiments.measurements import read_measurements
from core.models.architectures import rows_of
from core.models.network import build
from core.models.shapes import trace
from core.recipes import RECIPES
from core.reports import questions, story, worksheet_text
from core.reports.rungs import Effect
from core.reports.worksheets import CHAPTERS, build_worksheet
from tests.made import measured

SHIPPED = [name for name in story.CHAPTERS if RECIPES[name].shipped]


def answers(chapter: str) -> str:
    return "\n".join(question.answer for question in build_worksheet(chapter).questions)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_chapter_has_a_page_of_questions_with_answers(chapter):
    sheet = build_worksheet(chapter)
    assert 5 <= len(sheet.questions) <= 8
    assert len({question.text for question in sheet.questions}) == len(sheet.questions)
    assert all(
        question.text.endswith("?") or "Order" in question.text for question in sheet.questions
    )
    assert all(question.answer for question in sheet.questions)
    html = worksheet_text.to_html(sheet)
    assert html.count('<section class="page') == 2
    assert html.count("<li>") == 2 * len(sheet.questions)
    assert worksheet_text.to_text(sheet).count(sheet.questions[0].text) == 1


def test_answers_are_those_of_the_shipped_runs():
    runs = {name: story.open_shipped_run(name) for name in SHIPPED}
    wrong = {name: run.epochs[-1].val_errors for name, run in runs.items()}
    assert f"{runs['initial'].parameters - 8_000:,} above" in answers("initial")
    assert f"{runs['initial'].epochs[-1].val_accuracy:.2f} %" in answers("initial")
    fixed = wrong["initial"] - wrong["intermediate"]
    assert f"{abs(fixed)} {'fewer' if fixed >= 0 else 'more'}" in answers("intermediate")
    assert story.chapter_title(min(wrong, key=wrong.__getitem__)) == answers("end").split(";")[0]
    assert "288" in answers("goal")
    assert "7,850" in answers("goal")
    mean = read_measurements().find(RECIPES["final"].config)
    assert mean is not None
    assert f"{mean.accuracy.mean:.3f} %" in answers("final")


@pytest.mark.parametrize("name", ["initial", "intermediate", "tiny"])
def test_rows_are_counted_as_torch_counts_them(name):
    """The terms beside the answer give it, and their sum is that of the network."""
    config = RECIPES[name].config
    layers = [each for each in trace(rows_of(config)) if each.row["kind"] == "conv"]
    total = 0
    for layer in layers:
        question = questions.count_row_parameters(layer)
        terms = question.working.split(" + ")
        value = sum(math.prod(map(int, term.split(" × "))) for term in terms)
        assert f"{value:,}" == question.answer
        total += value
    assert total == sum(each.numel() for each in build(rows_of(config), config).parameters())


def test_what_is_not_measured_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "FILE", tmp_path / "figures.json")
    with pytest.raises(RunError, match="figures"):
        build_worksheet("changes")
    measurements.Measurements([measured("final-published", 99.2)]).write(measurements.FILE)
    sheet = build_worksheet("changes")
    assert 5 <= len(sheet.questions) <= 8
    assert not any("“" in question.text for question in sheet.questions)
    assert "675,000" in answers("final-published"), "three of four images in 15 epochs"


def test_transformed_images_are_those_of_the_epochs_that_augment_them():
    """1 - 0.5 * 0.5 of the images have at least one of the two transforms of `final`."""
    config = RECIPES["final-published"].config.changed(holdout=10_000, augment_fraction=0.6)
    question = questions.count_augmented(config)
    assert "In 9 of 15 epochs" in question.text
    assert "50,000 training images" in question.text
    assert question.answer == f"{round(9 * 50_000 * 0.75):,}"
    assert math.prod(float(term.replace(",", "")) for term in question.working.split(" × ")) == (
        9 * 50_000 * 0.75
    )


@pytest.mark.parametrize(
    ("train", "overfits"), [(59_580, "no"), (59_600, "no"), (59_640, "no"), (59_660, "yes")]
)
def test_overfitting_begins_beyond_the_smallest_difference_that_counts(train, overfits):
    """The test accuracy of the run is 99.3 %, so the limit is 99.4 % in training."""
    run = story.open_shipped_run("initial")
    row = dataclasses.replace(
        run.epochs[-1], train_correct=train, train_total=60_000, val_correct=9_930
    )
    run = dataclasses.replace(run, epochs=(*run.epochs[:-1], row))
    assert questions.measure_gap(run).answer.endswith(f"; {overfits}")


@pytest.mark.parametrize(("interval", "words"), [((0.01, 0.2), "yes"), ((-0.01, 0.2), "no")])
def test_a_difference_is_significant_if_its_interval_excludes_0(interval, words):
    question = questions.judge_change("Muon", Effect(5, (99.2, 99.3), interval))
    assert question.answer.startswith(f"+10.0 images; {words}")


def test_minus_signs_are_set_as_such():
    sheet = build_worksheet("changes")
    assert "-0." in worksheet_text.to_text(sheet)
    html = worksheet_text.to_html(sheet)
    assert "\u22120." in html
    assert not re.search(r"[ (>]-\d", html.split("</style>")[1])


def test_an_unknown_chapter_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=re.escape("'middle'") + ".*goal.*end"):
        build_worksheet("middle")
