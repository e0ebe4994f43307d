"""The chart of recall and precision contains every digit of any network."""

import pandas as pd
import pytest

from core.charts import mistakes as charts


def frame(share: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "digit": digit,
                "measure": measure,
                "share": share,
                "low": max(0.0, share - 1),
                "high": min(100.0, share + 1),
            }
            for digit in range(10)
            for measure in (charts.RECALL, charts.PRECISION)
        ]
    )


def domain(chart: dict) -> list:
    return chart["layer"][0]["encoding"]["x"]["scale"]["domain"]


@pytest.mark.parametrize("share", [0.0, 20.0, 60.0, 93.0, 99.3, 100.0])
def test_any_share_stays_on_the_chart(share):
    chart = charts.class_accuracy_chart(frame(share)).to_dict()
    most, least = domain(chart)
    rows = next(iter(chart["datasets"].values()))
    assert len(rows) == 20
    assert all(
        least <= row[name] <= most
        for row in rows
        for name in ("share_error", "low_error", "high_error")
    )


def test_good_networks_share_one_scale():
    assert domain(charts.class_accuracy_chart(frame(99.0)).to_dict()) == domain(
        charts.class_accuracy_chart(frame(97.0)).to_dict()
    )


def test_a_digit_that_is_never_predicted_is_left_out():
    some = frame(90.0)
    some.loc[0, "share"] = float("nan")
    assert len(next(iter(charts.class_accuracy_chart(some).to_dict()["datasets"].values()))) == 19


def test_an_empty_frame_gives_a_chart():
    assert charts.class_accuracy_chart(frame(90.0).iloc[:0]).to_dict()["height"]
