"""Intervals and spreads against figures that are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.experiments.statistics import spread, wilson


def test_wilson_gives_the_known_interval():
    assert wilson(9_940, 10_000) == pytest.approx((99.2288, 99.5335), abs=1e-3)
    assert wilson(8, 10) == pytest.approx((49.0162, 94.3318), abs=1e-3)


def test_wilson_stays_within_bounds_at_the_ends():
    assert wilson(0, 10)[0] == pytest.approx(0)
    assert wilson(10, 10)[1] == pytest.approx(100)
    assert wilson(10, 10)[0] == pytest.approx(72.2467, abs=1e-3)


@given(st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
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
