"""Parallel coordinates: where values stand, and what is drawn."""

from __future__ import annotations

import pandas as pd
import pytest

from core.charts.parallel import MAX_AXES, _make_axis, parallel_chart


@pytest.mark.parametrize(
    ("values", "value", "position"),
    [
        ([1, 2, 3], 1, 0.0),
        ([1, 2, 3], 2, 0.5),
        ([0.001, 0.1], 0.01, 0.5),  # a logarithmic axis
        ([5, 5], 5, 0.5),
        (["a", "b"], "a", 0.25),
        (["a", "b", None], "b", 0.75),
        ([1, None], None, None),
    ],
)
def test_values_have_a_position(values, value, position):
    found = _make_axis("x", values).position(value)
    assert found == position if position is None else found == pytest.approx(position)


def test_a_run_is_a_line_over_all_axes_and_the_best_is_drawn_again():
    frame = pd.DataFrame(
        {
            "run": ["a", "b", "c"],
            "rate": [0.1, 0.2, 0.3],
            "kind": ["x", "y", "x"],
            "accuracy": [90.0, 95.0, None],
        }
    )
    spec = parallel_chart(frame, ["rate", "kind"], "accuracy", "Accuracy").to_dict()
    data = spec["datasets"]
    lines = next(rows for rows in data.values() if rows and "settings" in rows[0])
    by_run = {name: [row["axis"] for row in lines if row["run"] == name] for name in "abc"}
    assert by_run == {"a": [0, 1, 2], "b": [0, 1, 2], "c": []}
    assert any({row.get("run") for row in rows} == {"b"} for rows in data.values())


def test_many_settings_are_limited():
    names = [f"s{number}" for number in range(30)]
    frame = pd.DataFrame(
        {"run": ["a", "b"], **{name: [1, 2] for name in names}, "accuracy": [1.0, 2]}
    )
    data = parallel_chart(frame, names, "accuracy", "Accuracy").to_dict()["datasets"]
    lines = next(rows for rows in data.values() if rows and "settings" in rows[0])
    assert max(row["axis"] for row in lines) == MAX_AXES
