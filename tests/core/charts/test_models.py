"""The chart of a network's parameters."""

import pandas as pd
import pytest

from core.charts import models as charts_models


def drawn(counts: list[int], **settings) -> dict:
    frame = pd.DataFrame(
        [(f"{at} conv", count) for at, count in enumerate(counts, 1)], columns=["row", "parameters"]
    )
    return charts_models.parameter_chart(frame, 8_000, **settings).to_dict()


def values(chart: dict) -> list[dict]:
    return next(rows for rows in chart["datasets"].values() if "parameters" in rows[0])


def test_each_bar_starts_where_the_one_above_ends():
    rows = values(drawn([100, 2_000, 7_000]))
    assert [(row["start"], row["end"]) for row in rows] == [(0, 100), (100, 2_100), (2_100, 9_100)]
    assert [row["over"] for row in rows] == [False, False, True]
    assert [row["label"] for row in rows] == ["100", "2,000", "7,000"]


def domain(chart: dict) -> list[float]:
    return chart["layer"][0]["encoding"]["x"]["scale"]["domain"]


def test_the_axis_covers_the_limit_and_all_parameters():
    assert domain(drawn([10]))[1] > 8_000
    assert domain(drawn([90_000]))[1] > 90_000
    assert domain(drawn([10], most=20_000)) == domain(drawn([20_000]))


@pytest.mark.parametrize("count", [0, 1, 13, 200])
def test_few_and_many_rows_keep_a_sensible_height(count):
    chart = drawn([5] * count)
    step = chart["height"]["step"] if count else chart["height"]
    assert 0 < step <= 36
    assert step * count <= 601
    assert len(chart["layer"]) == (3 if step > 14 else 2)
