"""Worksheets: answers that follow from the networks, runs and measurements, on two pages."""

from __future__ import annotations

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
    wrong = {
        name: run.epochs[-1].val_total - run.epochs[-1].val_correct for name, run in runs.items()
    }
    assert f"{runs['initial'].parameters - 8_000:,} above" in answers("initial")
    assert f"{runs['initial'].epochs[-1].val_accuracy:.2f} %" in answers("initial")
    fixed = wrong["initial"] - wrong["intermediate"]
    assert f"{abs(fixed)} images" in answers("intermediate")
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
    assert "900,000" in answers("final-published")


def test_an_unknown_chapter_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=re.escape("'middle'") + ".*goal.*end"):
        build_worksheet("middle")
