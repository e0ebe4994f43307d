"""Two runs or two groups: which is better, in words that say no more than the figures."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import RunError
from core.experiments import comparison
from core.insight.mistakes import Predictions
from tests.made import made_run


def answers(wrong: range, count: int = 10_000) -> Predictions:
    """A network that takes the images in the range for a 1 and names the others rightly: all are zeros."""
    probabilities = np.zeros((count, 10), np.float32)
    probabilities[:, 0] = 1
    probabilities[list(wrong)] = np.eye(10, dtype=np.float32)[1]
    return Predictions(probabilities, np.zeros(count, np.int64))


def test_the_better_of_two_runs_is_named_with_its_interval():
    # 12 images that only a gets right, 30 that only b does.
    answer = comparison.of_runs("a", answers(range(0, 30)), "b", answers(range(100, 112)))
    assert answer.words == "b is better by 0.18 points (0.05 to 0.31)."
    assert answer.accuracies == pytest.approx((99.7, 99.88))
    assert "a alone is right about 12 and b alone about 30" in answer.method
    assert "p = 0.0079" in answer.method
    assert comparison.counts(answer) == {
        "both right": 9_958,
        "only a right": 12,
        "only b right": 30,
        "both wrong": 0,
    }
    other = comparison.of_runs("b", answers(range(100, 112)), "a", answers(range(0, 30)))
    assert other.words == answer.words
    assert other.difference == pytest.approx(-answer.difference)


def test_what_may_be_chance_is_called_so():
    answer = comparison.of_runs("a", answers(range(0, 30)), "b", answers(range(100, 125)))
    assert not answer.told_apart
    assert answer.words == (
        "a and b cannot be told apart: b is 0.05 points better here, which may be chance "
        "(-0.10 to +0.20)."
    )
    same = comparison.of_runs("a", answers(range(0, 30)), "b", answers(range(0, 30)))
    assert "equally good here" in same.words
    assert same.interval[0] < 0 < same.interval[1], "equal on these images is not equal on all"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((9_900, 9_910, 9_905), (9_930, 9_941, 9_936)),
        ((9_930, 9_941, 9_936), (9_900, 9_910, 9_905)),
    ],
)
def test_groups_of_the_same_seeds_are_compared_in_pairs(group, first, second):
    one, two = group("one", first), group("two", second)
    answer = comparison.of_groups(one, two)
    assert abs(answer.difference) == pytest.approx(0.3067, abs=1e-4)
    assert answer.words.startswith("two is better" if second > first else "one is better")
    assert "seeds 1 to 3" in answer.method
    # Student's t by hand: differences 0.30, 0.31, 0.31; 4.3027 * 0.0057735 / sqrt(3).
    assert answer.interval[1] - answer.interval[0] == pytest.approx(
        2 * 4.30265 * 0.0057735 / 3**0.5, abs=1e-4
    )


def test_groups_of_other_seeds_are_compared_by_their_means(group):
    answer = comparison.of_groups(
        group("one", (9_910, 9_920, 9_930)), group("two", (9_940, 9_935, 9_950), (4, 5, 6))
    )
    assert "Welch" in answer.method
    assert answer.interval == pytest.approx((0.00933, 0.42400), abs=1e-4)
    assert answer.words == "two is better by 0.22 points (0.01 to 0.42)."


def test_groups_whose_spread_is_larger_than_their_difference_stay_equal(group):
    answer = comparison.of_groups(group("one", (9_904, 9_926)), group("two", (9_930, 9_915)))
    assert "cannot be told apart" in answer.words


def test_what_cannot_be_compared_is_refused_by_name(group, folder):
    group("one", (9_904, 9_926))
    group("few", (9_904,))
    group("held", (900, 910), holdout=1_000)
    made_run(folder, "run")
    for first, second, words in (
        ("run", "run", "the same as itself"),
        ("run", "one", "run is one run and one a group"),
        ("one", "run", "run is one run and one a group"),
        ("one", "few", "few has one finished run"),
        ("one", "held", "one was measured on the test images, held on the 1,000 held-out"),
        ("run", "nobody", "no run and no group 'nobody'"),
    ):
        with pytest.raises(RunError, match=words):
            comparison.compare(first, second)


@pytest.mark.mnist
def test_two_runs_are_compared_on_the_real_test_images(folder):
    made_run(folder, "one")
    made_run(folder, "two", seed=2)
    answer = comparison.compare("one", "two")
    assert sum(comparison.counts(answer).values()) == 10_000
    values = answer.to_dict()
    assert values["images"]["only_first"] + values["images"]["both_right"] == round(
        100 * values["accuracies"][0]
    )
    assert values["told_apart"] == (values["interval"][0] > 0 or values["interval"][1] < 0)
