"""The charts of calibration contain every bin and digit of any network."""

import pandas as pd

from core.charts import calibration as charts

SERIES = (charts.AS_TRAINED, charts.WITH_TEMPERATURE)


def rows_of(chart: dict) -> list[dict]:
    return max(chart["datasets"].values(), key=len)


def test_the_reliability_diagram_has_every_bin_and_writes_the_counts():
    frame = pd.DataFrame(
        [
            {
                "series": series,
                "bin": f"{place}",
                "count": count,
                "confidence": place / 15 + 0.03,
                "accuracy": 0.5,
                "low": 0.4,
                "high": 0.6,
                "centre": (place + 0.5) / 15,
            }
            for series in SERIES
            for place, count in ((3, 7), (14, 9_712))
        ]
    )
    chart = charts.reliability_chart(frame).to_dict()
    assert chart["layer"][1]["encoding"]["y"]["scale"]["domain"] == [0, 1]
    texts = [row["text"] for rows in chart["datasets"].values() for row in rows if "text" in row]
    assert texts == ["7", "9.7k"]
    assert len(charts.reliability_chart(frame).to_dict()["layer"]) == 4


def test_the_errors_of_all_digits_stay_on_the_chart():
    frame = pd.DataFrame(
        [
            {
                "digit": digit,
                "series": series,
                "error": error,
                "count": 10,
                "confidence": 0.5,
                "accuracy": 0.4,
            }
            for series in SERIES
            for digit, error in ((0, 0.0), (3, 62.0))
        ]
    )
    for part, highest in ((frame, 62.0), (frame[frame["digit"] == 0], 0.0), (frame[:0], 0.0)):
        chart = charts.digit_error_chart(part).to_dict()
        low, high = chart["layer"][0]["encoding"]["x"]["scale"]["domain"]
        assert low == 0
        assert high > highest
