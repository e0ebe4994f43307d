"""The chart of all runs contains every run and the Pareto front."""

import random

import pandas as pd
import pytest

from core.charts import home as charts
from core.charts.style import QUIET

BUDGET = 8_000


def frame(*rows: tuple) -> pd.DataFrame:
    """Rows of name, parameters, accuracy, and whether it is shipped."""
    return pd.DataFrame(
        [
            (
                name,
                parameters,
                *[accuracy] * 3,
                charts.SHIPPED if shipped else charts.OWN,
                "one run",
            )
            for name, parameters, accuracy, shipped in rows
        ],
        columns=["run", "parameters", "accuracy", "low", "high", "kind", "sample"],
    )


PUBLIC = pd.DataFrame(
    [
        ("a/chosen", 697, 99.03, "best epoch", True),
        ("b/not", 5_000, 99.4, "last epoch", False),
        ("c/not", 6_000, 97.0, "last epoch", False),
    ],
    columns=["source", "parameters", "accuracy", "epoch", "is_best"],
)


SHIPPED = [
    ("initial", 16_530, 99.23, True),
    ("intermediate", 3_762, 99.36, True),
    ("final", 3_762, 99.32, True),
]


def layers(chart: dict, mark: str) -> list[dict]:
    return [layer for layer in chart["layer"] if layer["mark"]["type"] == mark]


def rows(chart: dict, layer: dict) -> list[dict]:
    return chart["datasets"][layer["data"]["name"]]


def named(chart: dict) -> list[str]:
    return [row["run"] for layer in layers(chart, "text")[1:] for row in rows(chart, layer)]


def test_without_runs_the_goal_is_left():
    chart = charts.frontier_chart(frame(), BUDGET).to_dict()
    assert len(layers(chart, "rule")) == 2
    assert not layers(chart, "point")


@pytest.mark.parametrize(
    "extreme",
    [("bad", 10, 0.0, False), ("huge", 9_000_000, 100.0, False), ("chance", 7_850, 9.8, False)],
)
def test_any_run_stays_on_the_chart(extreme):
    chart = charts.frontier_chart(frame(*SHIPPED, extreme), BUDGET).to_dict()
    (points,) = layers(chart, "point")
    low, high = points["encoding"]["x"]["scale"]["domain"]
    most, least = points["encoding"]["y"]["scale"]["domain"]
    assert len(rows(chart, points)) == 4
    for row in rows(chart, points):
        assert low <= row["parameters"] <= high
        assert least <= row["error"] <= most


def test_shipped_and_own_runs_have_different_shapes():
    points = layers(
        charts.frontier_chart(frame(*SHIPPED, ("mine", 7_850, 95.0, False)), BUDGET).to_dict(),
        "point",
    )[0]
    shape = points["encoding"]["shape"]["scale"]
    marks = dict(zip(shape["domain"], shape["range"], strict=True))
    assert len({marks[kind] for kind in (charts.RECIPE, charts.OWN, charts.GROUP)}) == 3


def test_a_recipes_interval_is_drawn_where_there_is_one():
    figures = frame(*SHIPPED).assign(kind=charts.RECIPE)
    figures.loc[figures["run"] == "final", ["low", "high"]] = [99.2, 99.5]
    chart = charts.frontier_chart(figures, BUDGET).to_dict()
    (rule,) = [layer for layer in layers(chart, "rule") if "y2" in layer["encoding"]]
    (row,) = rows(chart, rule)
    assert (row["run"], row["error_low"], row["error_high"]) == (
        "final",
        *map(pytest.approx, (0.8, 0.5)),
    )


def test_public_networks_are_grey_and_hollow_where_their_epoch_was_chosen_on_the_test_images():
    chart = charts.frontier_chart(frame(*SHIPPED), BUDGET, public=PUBLIC).to_dict()
    hollow, filled, points = layers(chart, "point")
    assert not hollow["mark"]["filled"]
    assert filled["mark"]["filled"]
    assert [row["source"] for row in rows(chart, hollow)] == ["a/chosen"]
    assert [row["source"] for row in rows(chart, filled)] == ["b/not", "c/not"]
    assert {hollow["mark"]["color"], filled["mark"]["color"]} == {QUIET}
    low, high = points["encoding"]["x"]["scale"]["domain"]
    most, least = points["encoding"]["y"]["scale"]["domain"]
    assert low < 697 < high
    assert least < 3.0 < most
    assert "a/chosen" not in named(chart)


def test_public_networks_are_there_without_any_run():
    chart = charts.frontier_chart(frame(), BUDGET, public=PUBLIC).to_dict()
    assert len(layers(chart, "point")) == 2


def test_labels_do_not_touch():
    chart = charts.frontier_chart(frame(*SHIPPED), BUDGET).to_dict()
    assert sorted(named(chart)) == ["final", "initial", "intermediate"]
    sides = {
        row["run"]: (layer["mark"]["align"], layer["mark"]["dy"])
        for layer in layers(chart, "text")[1:]
        for row in rows(chart, layer)
    }
    assert sides["final"] != sides["intermediate"]


def test_a_label_covers_no_other_point():
    near = [
        ("small", 4_000, 99.3, True),
        ("larger", 6_000, 99.2622, True),
    ]  # just where the first name would stand
    chart = charts.frontier_chart(frame(*near), BUDGET).to_dict()
    sides = {
        row["run"]: (layer["mark"]["align"], layer["mark"]["dy"])
        for layer in layers(chart, "text")[1:]
        for row in rows(chart, layer)
    }
    assert sides["small"] != ("left", 11)
    assert sides["larger"] == ("left", 11)


def test_labels_of_networks_of_one_size_do_not_overlap():
    own = [(f"try-{number}", 3_762, 99.3 + number / 100, False) for number in range(4)]
    chart = charts.frontier_chart(frame(*SHIPPED, *own), BUDGET).to_dict()
    places = [
        (layer["mark"]["align"], layer["mark"]["dy"], row["run"])
        for layer in layers(chart, "text")[1:]
        for row in rows(chart, layer)
        if row["parameters"] == 3_762
    ]
    assert len(places) == 6
    assert len({place[:2] for place in places}) > 3


def test_the_best_of_their_size_and_own_runs_have_labels_that_a_phone_shows():
    whole = frame(*SHIPPED, ("mine", 7_850, 95.0, False))
    chart = charts.frontier_chart(whole, BUDGET).to_dict()
    by_weight: dict[int, set[str]] = {charts.IMPORTANT: set(), charts.FURTHER: set()}
    for layer in layers(chart, "text")[1:]:
        by_weight[layer["mark"]["fontWeight"]] |= {row["run"] for row in rows(chart, layer)}
    shown = by_weight[charts.IMPORTANT]
    assert shown == {"mine", *charts.pareto_front(whole)["run"]}
    assert by_weight[charts.FURTHER] == set(whole["run"]) - shown


def test_hundreds_of_runs_are_not_all_labelled():
    random.seed(0)
    own = [
        (f"try-{number}", random.choice([2_634, 3_762, 7_850]), random.uniform(97, 99.3), False)
        for number in range(300)
    ]
    chart = charts.frontier_chart(frame(*SHIPPED, *own), BUDGET).to_dict()
    assert {"final", "initial", "intermediate"} <= set(named(chart))
    assert len(named(chart)) <= 4
    assert len(rows(chart, layers(chart, "point")[0])) == 303


def test_the_pareto_front_has_the_runs_that_no_smaller_one_beats():
    best = charts.pareto_front(
        frame(
            ("a", 100, 90.0, False),
            ("b", 100, 95.0, False),
            ("c", 200, 94.0, False),
            ("d", 300, 95.0, False),
            ("e", 400, 99.0, False),
        )
    )
    assert list(best["run"]) == ["b", "e"]


def test_a_click_picks_a_run_by_its_name():
    (param,) = charts.frontier_chart(frame(*SHIPPED), BUDGET).to_dict()["params"]
    assert param["name"] == charts.PICKED
    assert param["select"]["fields"] == ["run"]
