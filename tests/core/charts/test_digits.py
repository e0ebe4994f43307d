"""Charts of the dataset."""

import itertools
import math

import pandas as pd
import pytest

from core.charts import digits as charts_digits
from core.charts import style

POINTS = pd.DataFrame(
    {
        "x": [0.0, 1.0, 2.0],
        "y": [0.0, 1.0, 0.5],
        "digit": [3, 7, 3],
        "index": [5, 9, 70],
        "image": ["data:image/png;base64,AA"] * 3,
    }
)
CLASSES = pd.DataFrame(
    {
        "digit": range(10),
        "images": 60,
        "share": 0.1,
        "low": 0.05,
        "lower": 0.1,
        "median": 0.12,
        "upper": 0.15,
        "high": 0.2,
    }
)
GREYS = pd.DataFrame({"low": [0, 128], "high": [128, 256], "share": [0.999, 0.0]})


@pytest.mark.parametrize(
    "chart",
    [
        charts_digits.class_balance_chart(CLASSES),
        charts_digits.ink_chart(CLASSES),
        charts_digits.grey_value_chart(GREYS),
    ],
    ids=["balance", "ink", "greys"],
)
def test_charts_of_figures_have_the_height_of_all_charts(chart):
    assert chart.to_dict()["height"] == style.HEIGHT


def test_every_class_has_a_colour_of_its_own():
    colours = [
        [int(each[at : at + 2], 16) for at in (1, 3, 5)] for each in charts_digits.CLASS_COLOURS
    ]
    assert len(colours) == 10
    for one, other in itertools.combinations(colours, 2):
        assert math.dist(one, other) > 45, (one, other)


def test_the_map_shows_images_and_all_classes():
    chart = charts_digits.digit_map(POINTS, "across", "up").to_dict()
    colour = chart["layer"][-1]["encoding"]["color"]["scale"]
    assert colour["domain"] == list(range(10)), "colours stay when a class is not in the sample"
    assert [tip["field"] for tip in chart["layer"][-1]["encoding"]["tooltip"]] == [
        "image",
        "digit",
        "index",
    ]


@pytest.mark.parametrize(("digit", "bright"), [(None, 3), (3, 2), (8, 0)])
def test_a_class_can_be_emphasised(digit, bright):
    chart = charts_digits.digit_map(POINTS, "across", "up", digit).to_dict()
    rows = {
        layer["mark"]["opacity"]: len(chart["datasets"].get(layer["data"]["name"], []))
        for layer in chart["layer"]
    }
    assert rows[max(rows)] == bright
    assert sum(rows.values()) == 3
