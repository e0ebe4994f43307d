"""Intervals and spreads against figures that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.experiments.statistics import (
    gain_interval,
    paired_interval,
    spread,
    t_interval,
    welch_interval,
    wilson,
)
from core.insight.mistakes import Comparison


def test_wilson_gives_the_known_interval():
    assert wilson(9_940, 10_000) == pytest.approx((99.2288, 99.5335), abs=1e-3)
    assert wilson(8, 10) == pytest.approx((49.0162, 94.3318), abs=1e-3)


def test_wilson_stays_within_bounds_at_the_ends():
    assert wilson(0, 10)[0] == pytest.approx(0)
    assert wilson(10, 10)[1] == pytest.approx(100)
    assert wilson(10, 10)[0] == pytest.approx(72.2467, abs=1e-3)


@given(
    st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
)
def test_wilson_holds_the_share_it_is_about(pair):
    correct, total = pair
    low, high = wilson(correct, total)
    assert -1e-9 <= low <= 100 * correct / total + 1e-9
    assert 100 * correct / total - 1e-9 <= high <= 100 + 1e-9


def test_spread_is_of_the_sample():
    three = spread([99.1, 99.2, 99.4])
    assert (three.count, three.smallest, three.largest) == (3, 99.1, 99.4)
    assert three.mean == pytest.approx(99.2333, abs=1e-4)
    assert three.deviation == pytest.approx(0.152753, abs=1e-6)
    assert spread([5.0]).deviation == 0


def test_intervals_of_means_are_students_and_welchs():
    # Checked against scipy.stats.ttest_1samp, ttest_rel and ttest_ind(equal_var=False).
    first, second = [99.1, 99.2, 99.3], [99.4, 99.35, 99.5]
    assert t_interval(first) == pytest.approx((98.95159, 99.44841), abs=1e-5)
    assert paired_interval(first, second) == pytest.approx((0.02694, 0.40640), abs=1e-5)
    assert welch_interval(first, second) == pytest.approx((0.00933, 0.42400), abs=1e-5)
    assert welch_interval([99.0, 99.0], [99.5, 99.5]) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("total", [1_000, 10_000])
def test_an_interval_of_a_gain_leaves_0_out_exactly_when_mcnemars_test_finds_a_difference(total):
    for only_first in range(0, 40):
        for only_second in range(0, 40):
            low, high = gain_interval(only_first, only_second, total)
            some, others = np.zeros(only_first, int), np.zeros(only_second, int)
            found = Comparison(0, some, others, np.zeros(0, int)).p_value <= 0.05
            assert (low > 0 or high < 0) == found, (only_first, only_second)
            assert low <= 100 * (only_second - only_first) / total <= high


def test_an_interval_of_a_large_gain_allows_for_chance_in_how_many_differ():
    low, high = gain_interval(750, 20, 10_000)
    assert high - low > 1.0  # the exact one among those that differ alone would be a third of that
    assert low < -7.3 < high
