"""Two runs or two groups: which is better, in words that say no more than the figures."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import RunError
from core.experiments import comparison
from core.insight.mistakes import Predictions
from tests.made import made_run


def predictions(wrong: range, count: int = 10_000) -> Predictions:
    """Predictions for zeros: 1 for the images in the range, 0 for the others."""
    probabilities = np.zeros((count, 10), np.float32)
    probabilities[:, 0] = 1
    probabilities[list(wrong)] = np.eye(10, dtype=np.float32)[1]
    return Predictions(probabilities, np.zeros(count, np.int64))


def test_the_better_of_two_runs_is_named_with_its_interval():
    # 12 images on which only a is correct, 30 on which only b is.
    a, b = predictions(range(0, 30)), predictions(range(100, 112))
    result = comparison.compare_runs("a", a, "b", b)
    assert result.is_significant
    assert "b is better by 0.18 points" in result.summary
    assert "confidence interval 0.05 to 0.31" in result.summary
    assert result.accuracies == pytest.approx((99.7, 99.88))
    assert "p = 0.0079" in result.method
    assert comparison.count_agreement(result) == {
        "both correct": 9_958,
        "only a correct": 12,
        "only b correct": 30,
        "both wrong": 0,
    }
    swapped = comparison.compare_runs("b", b, "a", a)
    assert swapped.summary == result.summary
    assert swapped.difference == pytest.approx(-result.difference)


def test_a_difference_that_is_not_significant_is_called_so():
    a, b = predictions(range(0, 30)), predictions(range(100, 125))
    result = comparison.compare_runs("a", a, "b", b)
    assert not result.is_significant
    assert result.summary.startswith("No clear difference")
    assert "b is 0.05 points better" in result.summary
    assert "-0.10 to +0.20" in result.summary
    close = comparison.ComparisonResult("a", "b", (98.83, 98.96), 0.13, (-0.001, 0.26), "")
    assert "interval +0.00 to +0.26" in close.summary
    equal = comparison.compare_runs("a", a, "b", a)
    assert "same accuracy" in equal.summary
    assert equal.interval[0] < 0 < equal.interval[1], "equal on these images is not equal on all"


def test_a_tiny_p_value_is_given_as_a_bound():
    a, b = predictions(range(0, 60)), predictions(range(100, 105))
    assert "p < 0.0001" in comparison.compare_runs("a", a, "b", b).method


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((9_900, 9_910, 9_905), (9_930, 9_941, 9_936)),
        ((9_930, 9_941, 9_936), (9_900, 9_910, 9_905)),
    ],
)
def test_groups_of_the_same_seeds_are_compared_in_pairs(group, first, second):
    one, two = group("one", first), group("two", second)
    result = comparison.compare_groups(one, two)
    assert abs(result.difference) == pytest.approx(0.3067, abs=1e-4)
    assert ("two is better" if second > first else "one is better") in result.summary
    assert "seeds 1 to 3" in result.method
    # Student's t by hand: differences 0.30, 0.31, 0.31; 4.3027 * 0.0057735 / sqrt(3).
    assert result.interval[1] - result.interval[0] == pytest.approx(
        2 * 4.30265 * 0.0057735 / 3**0.5, abs=1e-4
    )


def test_groups_with_different_seeds_are_compared_by_their_means(group):
    result = comparison.compare_groups(
        group("one", (9_910, 9_920, 9_930)), group("two", (9_940, 9_935, 9_950), (4, 5, 6))
    )
    assert "Welch" in result.method
    assert result.interval == pytest.approx((0.00933, 0.42400), abs=1e-4)
    assert "two is better by 0.22 points" in result.summary


def test_a_difference_smaller_than_the_spread_is_not_clear(group):
    result = comparison.compare_groups(group("one", (9_904, 9_926)), group("two", (9_930, 9_915)))
    assert "No clear difference" in result.summary


def test_an_impossible_comparison_is_refused_by_name(group, folder):
    group("one", (9_904, 9_926))
    group("few", (9_904,))
    group("held", (900, 910), holdout=1_000)
    made_run(folder, "run")
    for first, second, words in (
        ("run", "run", "two different"),
        ("run", "one", "run is a run and one is a group"),
        ("one", "run", "run is a run and one is a group"),
        ("one", "few", "few has one finished run"),
        ("one", "held", "one was measured on the test images, held on the 1,000 validation"),
        ("run", "nobody", "no run or group 'nobody'"),
    ):
        with pytest.raises(RunError, match=words):
            comparison.compare(first, second)


@pytest.mark.mnist
def test_two_runs_are_compared_on_the_real_test_images(folder):
    made_run(folder, "one")
    made_run(folder, "two", seed=2)
    result = comparison.compare("one", "two")
    assert sum(comparison.count_agreement(result).values()) == 10_000
    values = result.to_dict()
    assert values["images"]["only_first"] + values["images"]["both_correct"] == round(
        100 * values["accuracies"][0]
    )
    assert values["significant"] == (values["interval"][0] > 0 or values["interval"][1] < 0)
