"""Charts of the drawing page: fixed axes for any predictions."""

import numpy as np
import pandas as pd
import pytest

from core.charts import draw as charts_draw


def frame(chances: np.ndarray) -> pd.DataFrame:
    """Probabilities (N, 10) as the chart takes them."""
    return pd.DataFrame(
        {
            "amount": np.repeat(np.arange(len(chances)) - 2.0, 10),
            "digit": np.tile(np.arange(10), len(chances)),
            "probability": chances.ravel(),
        }
    )


def made(**peaks: list[float]) -> np.ndarray:
    chances = np.zeros((5, 10))
    for name, values in peaks.items():
        chances[:, int(name[1:])] = values
    return chances


def layers(chart) -> list[dict]:
    return chart.to_dict()["layer"]


def data(chart, layer: dict) -> list[dict]:
    return chart.to_dict()["datasets"][layer["data"]["name"]]


def test_likely_digits_are_labelled_at_their_maximum():
    chances = made(d3=[0, 0.2, 1, 1, 1], d8=[1, 0.8, 0, 0, 0], d5=[0, 0.02, 0, 0, 0])
    chart = charts_draw.probability_chart(frame(chances), "turn, °", 1.0, 0.0)
    words = next(layer for layer in layers(chart) if layer["mark"]["type"] == "text")
    assert {row["digit"]: row["amount"] for row in data(chart, words)} == {3: 1.0, 8: -2.0}
    rules = [layer for layer in layers(chart) if layer["mark"]["type"] == "rule"]
    assert [data(chart, rule)[0]["amount"] for rule in rules] == [0.0, 1.0]


def test_low_probabilities_are_left_out_and_a_neutral_value_has_one_line():
    chart = charts_draw.probability_chart(
        frame(made(d3=[0, 0, 0, 0.5, 1], d8=[1, 0, 0, 0, 0])), "turn, °", 0.0, 0.0
    )
    _, curves = (layer for layer in layers(chart) if layer["mark"]["type"] == "line")
    drawn = {
        digit: [
            row["amount"]
            for row in data(chart, curves)
            if row["digit"] == digit and row["probability"] is not None
        ]
        for digit in (3, 8)
    }
    assert drawn == {3: [0.0, 1.0, 2.0], 8: [-2.0, -1.0]}, "each begins and ends on the axis"
    assert [layer["mark"]["type"] for layer in layers(chart)].count("rule") == 1


@pytest.mark.parametrize(
    "chances", [made(d0=[1] * 5), np.full((5, 10), 0.1), made(d1=[1, 0, 1, 1, 0])]
)
def test_axes_do_not_depend_on_the_probabilities(chances):
    drawn = charts_draw.probability_chart(frame(chances), "size, ×", 0.0, 0.0).to_dict()
    line = next(layer for layer in drawn["layer"] if layer["mark"]["type"] == "line")
    assert line["encoding"]["y"]["scale"]["domain"] == [0, 1.08]
    assert line["encoding"]["x"]["scale"]["domain"] == [-2, 2]


def test_each_network_has_its_colour_and_interval():
    runs = pd.DataFrame(
        {
            "run": ["final", "mine"],
            "correct": [9, 6],
            "total": 10,
            "accuracy": [90.0, 60.0],
            "low": [59.6, 31.3],
            "high": [98.2, 83.2],
        }
    )
    drawn = charts_draw.accuracy_interval_chart(runs).to_dict()
    bars, points = drawn["layer"]
    assert (bars["encoding"]["x"]["field"], bars["encoding"]["x2"]["field"]) == ("low", "high")
    assert points["encoding"]["x"]["field"] == "accuracy"
    assert points["encoding"]["x"]["scale"]["domain"] == [30, 100]
    colours = points["encoding"]["color"]["scale"]
    assert colours["domain"] == ["final", "mine"]
    assert len(set(colours["range"])) == 2
    assert drawn["height"] > charts_draw.accuracy_interval_chart(runs[:1]).to_dict()["height"]
