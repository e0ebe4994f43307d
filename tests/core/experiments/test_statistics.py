"""Confidence intervals against known values and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from core.experiments.statistics import (
    accuracy_difference_interval,
    compute_statistics,
    paired_interval,
    t_interval,
    welch_interval,
    wilson_interval,
)
from core.insight.mistakes import Comparison


def test_wilson_interval_has_the_known_values():
    assert wilson_interval(9_940, 10_000) == pytest.approx((99.2288, 99.5335), abs=1e-3)
    assert wilson_interval(8, 10) == pytest.approx((49.0162, 94.3318), abs=1e-3)


@given(
    st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
)
def test_wilson_interval_is_that_of_scipy(pair):
    correct, total = pair
    expected = binomtest(correct, total).proportion_ci(method="wilson")
    low, high = wilson_interval(correct, total)
    assert (low, high) == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-9)
    assert 0 <= low <= 100 * correct / total + 1e-9
    assert 100 * correct / total - 1e-9 <= high <= 100


def test_the_deviation_is_that_of_a_sample():
    three = compute_statistics([99.1, 99.2, 99.4])
    assert (three.count, three.smallest, three.largest) == (3, 99.1, 99.4)
    assert three.mean == pytest.approx(99.2333, abs=1e-4)
    assert three.deviation == pytest.approx(0.152753, abs=1e-6)
    assert compute_statistics([5.0]).deviation == 0


def test_intervals_of_means_are_students_and_welchs():
    # By hand: t(0.975, 2) = 4.30265, standard error 0.1 / sqrt(3).
    first, second = [99.1, 99.2, 99.3], [99.4, 99.35, 99.5]
    assert t_interval(first) == pytest.approx((98.95159, 99.44841), abs=1e-5)
    assert paired_interval(first, second) == pytest.approx((0.02694, 0.40640), abs=1e-5)
    assert welch_interval(first, second) == pytest.approx((0.00933, 0.42400), abs=1e-5)


def test_samples_without_variance_have_an_interval_of_length_0():
    assert t_interval([99.0, 99.0]) == (99.0, 99.0)
    assert welch_interval([99.0, 99.0], [99.5, 99.5]) == pytest.approx((0.5, 0.5))
    assert paired_interval([99.1, 99.2], [99.4, 99.5]) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (12, 30, 0.0079159), (0, 6, 1 / 32)],
)
def test_mcnemars_exact_test_has_the_known_p_values(only_first, only_second, p):
    some, others = np.zeros(only_first, int), np.zeros(only_second, int)
    assert Comparison(0, some, others, np.zeros(0, int)).p_value == pytest.approx(p, rel=1e-3)


@pytest.mark.parametrize("total", [1_000, 10_000])
def test_the_interval_excludes_0_exactly_when_mcnemars_test_finds_a_difference(total):
    for only_first in range(0, 40):
        for only_second in range(0, 40):
            low, high = accuracy_difference_interval(only_first, only_second, total)
            some, others = np.zeros(only_first, int), np.zeros(only_second, int)
            is_significant = Comparison(0, some, others, np.zeros(0, int)).p_value <= 0.05
            assert (low > 0 or high < 0) == is_significant, (only_first, only_second)
            assert low <= 100 * (only_second - only_first) / total <= high


def test_the_interval_of_a_large_difference_allows_for_chance_in_how_many_images_differ():
    low, high = accuracy_difference_interval(750, 20, 10_000)
    assert high - low > 1.0  # the exact interval alone would be a third as long
    assert low < -7.3 < high
