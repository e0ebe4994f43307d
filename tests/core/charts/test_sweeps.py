"""Charts of sweeps for any results."""

from __future__ import annotations

import pandas as pd
import pytest

from core.charts import sweeps as charts_sweeps
from core.charts.sweeps import BEST, DONE, PRUNED


def frame(*accuracies: float, states: tuple[str, ...] = ()) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "order": range(1, len(accuracies) + 1),
            "accuracy": accuracies,
            "drawn": "max_lr 0.1",
            "state": states or DONE,
            "run": [f"made-{order:03d}" for order in range(len(accuracies))],
        }
    )


def layer(chart, kind: str) -> tuple[dict, list[dict]]:
    """The first layer of a kind, and its rows."""
    whole = chart.to_dict()
    found = next(each for each in whole["layer"] if each["mark"]["type"] == kind)
    return found, whole["datasets"][found.get("data", whole.get("data"))["name"]]


def test_the_line_of_the_history_is_the_best_completed_run():
    chart = charts_sweeps.history_chart(frame(98, 99.9, 97, 99, states=(DONE, PRUNED, DONE, DONE)))
    _, line = layer(chart, "line")
    assert [round(100 - row["error"], 2) for row in line] == [98, 98, 98, 99]
    marks, points = layer(chart, "circle")
    assert len(points) == 4
    assert marks["encoding"]["color"]["scale"]["domain"] == [DONE, PRUNED]


def test_the_pareto_front_is_a_line():
    shown = frame(98, 99, 97, states=(BEST, BEST, DONE)).assign(price=[3_000, 7_000, 9_000])
    _, line = layer(charts_sweeps.tradeoff_chart(shown, "parameters"), "line")
    assert [row["price"] for row in line] == [3_000, 7_000]


def test_the_axis_covers_the_better_runs():
    chart = charts_sweeps.history_chart(frame(*[99.0] * 19, 11.0))
    marks, _ = layer(chart, "circle")
    assert marks["encoding"]["y"]["scale"]["domain"] == [1, 0.9]


@pytest.mark.parametrize("values", [[0.1, 0.2], ["none", "moves"], [1, 2], ["True", "False"]])
@pytest.mark.parametrize("log", [False, True])
def test_a_setting_is_numeric_or_categorical(values, log):
    marks, _ = layer(
        charts_sweeps.slice_chart(frame(98, 99).assign(value=values), "max_lr", log), "circle"
    )
    kind = "nominal" if isinstance(values[0], str) else "quantitative"
    assert marks["encoding"]["x"]["type"] == kind
    if kind == "quantitative":
        assert marks["encoding"]["x"]["scale"]["type"] == ("log" if log else "linear")


def test_settings_are_in_order_of_importance():
    chart = charts_sweeps.importance_chart(
        pd.DataFrame({"name": ["max_lr", "ema_decay"], "share": [0.8, 0.2]})
    )
    bars, rows = layer(chart, "bar")
    assert [row["name"] for row in rows] == bars["encoding"]["y"]["sort"] == ["max_lr", "ema_decay"]


@pytest.mark.parametrize(
    "accuracies", [(50.0,), (100.0, 100.0), (0.0, 100.0), (9.8,), (99.97, 99.99)]
)
def test_any_accuracies_make_charts(accuracies):
    shown = frame(*accuracies)
    charts_sweeps.history_chart(shown).to_json()
    charts_sweeps.tradeoff_chart(shown.assign(price=1.0), "seconds").to_json()
    charts_sweeps.slice_chart(shown.assign(value=1.0), "ema_decay").to_json()
