"""The sentences of an analysis follow from the figures."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reports import analysis
from core.reports.analysis import analyse_run
from tests.core.reports.examples import row, run_of


def test_overfitting_is_told_from_its_absence():
    rows = [row(1, 58_000, 9_900, 0.03), row(2, 59_950, 9_915, 0.04)]
    over = " ".join(analyse_run(run_of("initial", rows)))
    assert "overfits by 0.77 points" in over
    assert "loss on the test images has risen" in over
    assert "0.25 points below the goal" in over
    assert "8,530 above" in over
    augmented = " ".join(analyse_run(run_of("final", [row(1, 59_000, 9_940)])))
    assert "No overfitting" in augmented
    assert "augmented images are harder" in augmented
    plain = " ".join(analyse_run(run_of("intermediate", [row(1, 59_520, 9_925)])))
    assert "No overfitting" in plain
    assert "harder" not in plain


def test_a_rising_accuracy_is_told_from_a_level_one():
    rising = [row(n, 59_000, 9_900 + 10 * n) for n in range(1, 5)]
    assert "still rising" in analyse_run(run_of("final", rising))[-1]
    level = [row(n, 59_000, 9_940) for n in range(1, 5)]
    assert "levelled off" in analyse_run(run_of("final", level))[-1]


def test_an_analysis_does_not_contradict_itself():
    rows = [row(n, 59_990, 9_800 + 20 * n) for n in range(1, 5)]
    text = " ".join(analyse_run(run_of("initial", rows)))
    assert "overfits" in text
    assert "still rising" not in text
    level = " ".join(analyse_run(run_of("final", [row(n, 59_000, 9_940) for n in range(1, 5)])))
    assert "more capacity should help" in level
    assert "epochs should help" not in level


@given(
    recipe=st.sampled_from(["initial", "final"]),
    train=st.lists(st.integers(57_000, 60_000), min_size=4, max_size=6),
    validation=st.lists(st.integers(9_500, 10_000), min_size=6, max_size=6),
)
def test_no_analysis_contradicts_itself(recipe, train, validation):
    rows = [row(n, *counts) for n, counts in enumerate(zip(train, validation, strict=False), 1)]
    text = " ".join(analyse_run(run_of(recipe, rows)))
    overfits = "overfits" in text
    assert overfits != ("No overfitting" in text)
    assert not (overfits and "still rising" in text)
    assert not (overfits and "should help." in text and "more capacity should" in text)
    assert not ("levelled off" in text and "epochs should help" in text)
    assert not ("capacity to spare" in text and "more capacity" in text)
    if overfits:
        shown = [float(figure) for figure in re.findall(r"([0-9.]+) %", text.split("overfits")[1])]
        points = float(re.search(r"overfits by ([0-9.]+) points", text)[1])
        assert points == pytest.approx(shown[0] - shown[1], abs=1e-9)


def test_differences_agree_with_the_rounded_figures():
    assert analysis.gap_in_points(99.967, 99.232) == 0.74


@pytest.mark.parametrize(
    ("recipe", "train", "validation", "essence"),
    [
        ("initial", 59_950, 9_915, "capacity to spare"),
        ("initial", 59_700, 9_915, "regularisation should help"),
        ("intermediate", 59_520, 9_925, "0.80 % of the training images"),
        ("final", 59_000, 9_940, "1.67 % of the augmented training images"),
    ],
)
def test_capacity_follows_from_training_and_validation(recipe, train, validation, essence):
    assert essence in analyse_run(run_of(recipe, [row(1, train, validation)]))[2]


def test_an_interval_that_contains_the_goal_is_mentioned():
    assert "contains the goal" in analyse_run(run_of("final", [row(1, 59_000, 9_945)]))[0]
    assert "contains the goal" not in analyse_run(run_of("final", [row(1, 59_000, 9_800)]))[0]
    long = run_of("final", [row(1, 59_000, 9_945)], epochs=20)
    assert "the goal allows 15" in analyse_run(long)[0]
