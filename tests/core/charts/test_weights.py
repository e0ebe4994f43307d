"""The chart of gradients and updates: lines for rows, on an axis that holds every value."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest

from core.charts.weights import step_size_chart


def frame(*rows):
    return pd.DataFrame(rows, columns=["epoch", "row", "gradient", "update"])


@pytest.mark.parametrize(
    ("updates", "domain"),
    [
        ((0.001, 0.02), [1e-4, 1e-1]),
        ((2e-6, 30.0), [1e-6, 100]),
        ((0.0, 0.02), [1e-6, 1e-1]),
        ((0.0, 0.0), [1e-6, 1e-1]),
        ((1e-9, 0.02), [1e-6, 1e-1]),
    ],
)
def test_the_axis_is_fixed_and_widens_for_values_beyond(updates, domain):
    chart = step_size_chart(
        frame((1, 1, 0.1, updates[0]), (1, 4, 0.1, updates[1])), 3, "update", 0.001
    )
    layers = chart.to_dict()["layer"]
    scales = [layer["encoding"]["y"]["scale"] for layer in layers]
    assert all(scale["type"] == "log" for scale in scales)
    assert scales[0]["domain"] == pytest.approx(domain)


def test_labels_of_close_lines_do_not_overlap():
    rows = [(epoch, row, 0.1, 0.09) for epoch in (1, 2) for row in (1, 2, 3)]
    chart = step_size_chart(frame(*rows), 2, "update").to_dict()
    (labels,) = [layer for layer in chart["layer"] if layer["mark"]["type"] == "text"]
    data = chart["datasets"][labels["data"]["name"]]
    assert [entry["epoch"] for entry in data] == [2, 2, 2]
    places = sorted(entry["place"] for entry in data)
    assert places[-1] <= 0.1, "within the axis"
    assert all(after / before > 1.2 for before, after in pairwise(places))
