"""The curves of several runs, each with its colour and label."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.charts import runs as charts_runs
from core.charts import style
from core.charts.runs import ACCURACY, HEIGHT, LOSS, MEASURES, RATE


def frame(**runs: list[float]) -> pd.DataFrame:
    rows = [
        (name, epoch, value)
        for name, values in runs.items()
        for epoch, value in enumerate(values, 1)
    ]
    return pd.DataFrame(rows, columns=["run", "epoch", "value"])


def rows(chart, kind: str) -> list[dict]:
    """The data behind the marks of a kind."""
    whole = chart.to_dict()
    return [
        row
        for layer in whole["layer"]
        if layer["mark"]["type"] == kind
        for row in whole["datasets"][layer["data"]["name"]]
    ]


def domain(chart) -> list[float]:
    (one,) = {
        tuple(layer["encoding"]["y"]["scale"]["domain"]) for layer in chart.to_dict()["layer"]
    }
    return list(one)


def test_a_run_has_its_colour_and_its_name_at_the_end():
    chart = charts_runs.curve_chart(
        frame(final=[98, 99.35], initial=[97, 99.1, 99.2]), ACCURACY, ["final", "initial"]
    )
    line = next(layer for layer in chart.to_dict()["layer"] if layer["mark"]["type"] == "line")
    scale = line["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
        name: style.run_colour(name) for name in ("final", "initial")
    }
    names = [row["label"] for row in rows(chart, "text")]
    assert names == ["goal", "final  99.35", "initial  99.20"]


def test_a_run_with_a_title_is_called_by_it_and_keeps_the_colour_of_its_name():
    shown = frame(final=[98, 99.35], zoe=[97, 99.1])
    chart = charts_runs.curve_chart(shown, ACCURACY, ["final", "zoe"], titles={"zoe": "Zoë S."})
    assert {row["label"] for row in rows(chart, "text")} == {
        "goal",
        "final  99.35",
        "Zoë S.  99.10",
    }
    assert {row["title"] for row in rows(chart, "point")} == {"final", "Zoë S."}
    line = next(layer for layer in chart.to_dict()["layer"] if layer["mark"]["type"] == "line")
    assert line["encoding"]["color"]["scale"]["domain"] == ["final", "zoe"]


def test_a_long_title_keeps_its_end_and_its_figure():
    titles = {name: f"Zoë’s first network ({name})" for name in ("tiny", "big")}
    shown = frame(tiny=[98, 99.35], big=[97, 99.1])
    labels = {
        row["label"]
        for row in rows(charts_runs.curve_chart(shown, ACCURACY, [*titles], titles=titles), "text")
    }
    assert len(labels) == 3
    assert {label[-15:] for label in labels if "…" in label} == {
        "k (tiny)  99.35",
        "rk (big)  99.10",
    }


def test_the_goal_is_on_the_chart_of_accuracies_only():
    for measure in MEASURES:
        chart = charts_runs.curve_chart(frame(a=[0.5, 0.4]), measure, ["a"])
        assert bool(rows(chart, "rule")) == (measure == ACCURACY)
    low, high = sorted(domain(charts_runs.curve_chart(frame(a=[99.9, 99.95]), ACCURACY, ["a"])))
    assert low <= 0.05
    assert high >= 0.6


def test_runs_of_one_colour_differ_in_their_dashes():
    first, second = next(
        pair
        for pair in itertools.combinations([f"run-{number}" for number in range(20)], 2)
        if style.run_colour(pair[0]) == style.run_colour(pair[1])
    )
    assert charts_runs.line_dashes([first, second])[0] == [1, 0]
    assert charts_runs.line_dashes([first, second])[1] != [1, 0]
    assert charts_runs.line_dashes(["final", "initial", "intermediate"]) == [[1, 0]] * 3


def test_a_mean_has_a_band_and_a_single_run_has_none():
    shown = frame(group=[98, 99], single=[97, 98]).assign(
        low=[97.5, 98.8, 97, 98], high=[98.5, 99.2, 97, 98]
    )
    band = rows(charts_runs.curve_chart(shown, ACCURACY, ["group", "single"]), "area")
    assert {row["run"] for row in band} == {"group"}
    assert [row["low"] for row in band] == pytest.approx([2.5, 1.2]), "mistakes in percent"


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    "values", [[0.0], [1.0], [0.0, 0.0], [9.8, 100.0], [99.4], [0.3, 0.01, 1e-9], [5e3, 0.1]]
)
def test_labels_of_any_values_stay_on_the_chart(measure, values):
    runs = {f"run-{number}": values for number in range(12)}
    chart = charts_runs.curve_chart(frame(**runs), measure, list(runs), behind=frame(**runs))
    low, high = sorted(domain(chart))
    assert low < high
    assert all(low * 0.999 - 1e-9 <= row["y"] <= high * 1.001 for row in rows(chart, "text"))


def test_the_axis_ignores_the_first_epochs_of_a_long_run():
    long = charts_runs.curve_chart(frame(a=[20, 50, *[99.0] * 198]), ACCURACY, ["a"])
    short = charts_runs.curve_chart(frame(a=[20, 50, *[99.0] * 13]), ACCURACY, ["a"])
    assert max(domain(long)) < 5 < 80 <= max(domain(short))
    high, low = domain(long)
    assert all(low <= row["y"] <= high for row in rows(long, "point"))


def test_points_of_many_epochs_are_invisible():
    for epochs, opacity in ((15, 1), (200, 0)):
        chart = charts_runs.curve_chart(frame(a=[99.0] * epochs), ACCURACY, ["a"]).to_dict()
        first = next(layer for layer in chart["layer"] if layer["mark"]["type"] == "point")
        assert first["mark"]["opacity"] == opacity
        assert first["encoding"]["tooltip"]


def test_a_better_accuracy_is_higher_and_a_better_loss_lower():
    for measure, upper in ((ACCURACY, "b"), (LOSS, "b"), (RATE, "b")):
        values = {"a": [98.0], "b": [99.0]} if measure == ACCURACY else {"a": [0.1], "b": [0.2]}
        chart = charts_runs.curve_chart(frame(**values), measure, ["a", "b"])
        bottom, top = domain(chart)
        place = {row["run"]: abs(row["y"] - top) for row in rows(chart, "point")}
        assert place[upper] < place["b" if upper == "a" else "a"], measure
        assert (bottom > top) == (measure == ACCURACY)


@given(st.lists(st.floats(0, HEIGHT), max_size=30).map(sorted))
def test_labels_keep_their_distance_and_order(places):
    moved = charts_runs.spread_labels(places, 15, HEIGHT)
    least = min(15, HEIGHT / max(1, len(places) - 1))
    assert all(-1e-6 <= place <= HEIGHT + 1e-6 for place in moved)
    assert all(after - before >= least - 1e-6 for before, after in itertools.pairwise(moved))


def test_labels_with_enough_space_do_not_move():
    assert charts_runs.spread_labels([10, 50, 100], 15, HEIGHT) == [10, 50, 100]
