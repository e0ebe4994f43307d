"""The curves of one run: fixed axes, and a colour per run."""

import pandas as pd
import pytest

from core.charts import style
from core.charts import training as charts
from core.config import SCHEDULES, RunConfig

PARTS = (charts.TRAIN, charts.VALIDATION)


def epochs(done: int, measure: str, value: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"epoch": epoch, "part": part, measure: value}
            for epoch in range(1, done + 1)
            for part in PARTS
        ],
        columns=["epoch", "part", measure],
    )


def scales(chart) -> list[tuple]:
    """The domains of all x and y scales of a chart."""
    return [
        tuple(layer["encoding"][axis]["scale"]["domain"])
        for layer in chart.to_dict()["layer"]
        for axis in ("x", "y")
        if "scale" in layer["encoding"].get(axis, {})
    ]


@pytest.mark.parametrize("done", [0, 1, 7])
@pytest.mark.parametrize(
    ("make", "measure"), [(charts.accuracy_chart, "accuracy"), (charts.loss_chart, "loss")]
)
def test_axes_do_not_change_during_a_run(make, measure, done):
    assert set(
        scales(make(epochs(done, measure, 91 if measure == "accuracy" else 0.9), 15))
    ) == set(scales(make(epochs(15, measure, 99 if measure == "accuracy" else 0.02), 15)))


@pytest.mark.parametrize(
    ("make", "measure", "value", "ends"),
    [
        (charts.accuracy_chart, "accuracy", 60, (50, 0.2)),
        (charts.accuracy_chart, "accuracy", 99.99, (10, 0.05)),
        (charts.loss_chart, "loss", 2.0, (0.01, 3.0)),
        (charts.loss_chart, "loss", 0.002, (0.001, 1.0)),
    ],
)
def test_an_axis_widens_to_the_next_limit(make, measure, value, ends):
    assert ends in scales(make(epochs(3, measure, value), 15))


@pytest.mark.parametrize(
    ("make", "measure", "value", "ends"),
    [
        (charts.accuracy_chart, "accuracy", 11, (90, 0)),
        (charts.accuracy_chart, "accuracy", 99.9, (90, 0)),
        (charts.loss_chart, "loss", 2.3, (0, 2.5)),
        (charts.loss_chart, "loss", 6.0, (0, 6.0)),
    ],
)
def test_all_of_learning_has_room_where_it_is_asked_for(make, measure, value, ends):
    chart = make(epochs(3, measure, value), 15, whole=True)
    assert ends in scales(chart)
    axes = [
        layer["encoding"]["y"]["axis"]
        for layer in chart.to_dict()["layer"]
        if "axis" in layer["encoding"].get("y", {})
    ]
    assert all(min(ends) <= tick <= max(ends) for axis in axes for tick in axis["values"])


def test_the_first_epoch_of_training_does_not_widen_the_axis():
    frame = epochs(3, "accuracy", 99)
    frame.loc[(frame["epoch"] == 1) & (frame["part"] == charts.TRAIN), "accuracy"] = 60
    assert (10, 0.2) in scales(charts.accuracy_chart(frame, 15))
    assert (50, 0.2) in scales(charts.accuracy_chart(frame.assign(part=charts.VALIDATION), 15))


def test_the_first_epochs_of_a_long_run_do_not_widen_the_axis():
    frame = epochs(30, "accuracy", 99)
    frame.loc[frame["epoch"] < 10, "accuracy"] = 40
    chart = charts.accuracy_chart(frame, 200)
    assert (10, 0.2) in scales(chart)
    data = chart.to_dict()["datasets"]
    assert all(
        row["error"] <= 10
        for point in layers(chart, "point")
        for row in data[point["data"]["name"]]
    )
    assert (90, 0.2) in scales(charts.accuracy_chart(frame, 30))


@pytest.mark.parametrize("many", [False, True])
def test_the_loss_of_batches_is_drawn_raw_and_smoothed(many):
    steps = pd.DataFrame({"epoch": [number / 100 for number in range(1, 1_501 if many else 301)]})
    batches = steps.assign(loss=[0.1 if number % 2 else 0.3 for number in range(len(steps))])
    chart = charts.loss_chart(epochs(1, "loss", 0.2), 15, "mine", batches)
    data = chart.to_dict()["datasets"]
    raw, mean = (data[layer["data"]["name"]] for layer in chart.to_dict()["layer"][:2])
    ends = [value for row in raw for name, value in row.items() if name != "epoch"]
    assert (min(ends), max(ends)) == (0.1, 0.3), "nothing of the raw is lost"
    assert len(raw) <= 400
    assert all(0.18 < row["loss"] < 0.22 for row in mean[10:-10])


def test_a_loss_of_zero_stays_on_the_chart():
    chart = charts.loss_chart(
        epochs(2, "loss", 0.0), 15, "mine", pd.DataFrame({"epoch": [0.5], "loss": [0.0]})
    )
    assert all(row["loss"] > 0 for rows in chart.to_dict()["datasets"].values() for row in rows)


def test_the_used_rate_keeps_its_jumps():
    actual = pd.DataFrame({"epoch": [number / 1_000 for number in range(15_000)]})
    actual["lr"] = [0.1 if epoch < 5 else 0.05 for epoch in actual["epoch"]]
    chart = charts.learning_rate_chart(actual.iloc[[0, -1]], 15, "mine", actual).to_dict()
    drawn = [
        (row["epoch"], row["lr"]) for row in chart["datasets"][chart["layer"][1]["data"]["name"]]
    ]
    assert drawn == [(0.0, 0.1), (4.999, 0.1), (5.0, 0.05), (14.999, 0.05)]
    slope = actual.assign(rate=actual["epoch"])
    chart = charts.learning_rate_chart(slope.iloc[[0, -1]], 15, "mine", slope).to_dict()
    drawn = chart["datasets"][chart["layer"][1]["data"]["name"]]
    assert len(drawn) < 1_000
    assert drawn[-1]["epoch"] == 14.999


def test_a_long_slope_keeps_its_first_highest_and_last_rate():
    used = pd.DataFrame({"epoch": [number / 1_000 for number in range(2_000)]})
    used["lr"] = [1 - abs(number - 617) / 2_000 for number in range(2_000)]
    chart = charts.learning_rate_chart(used.iloc[[0, -1]], 2, "mine", used).to_dict()
    drawn = [row["epoch"] for row in chart["datasets"][chart["layer"][1]["data"]["name"]]]
    assert drawn == sorted(drawn)
    assert len(drawn) < 1_000
    assert {0.0, 0.617, 1.999} <= set(drawn)


@pytest.mark.parametrize("accuracy", [0.0, 9.8, 100.0])
def test_any_accuracy_stays_on_the_chart(accuracy):
    chart = charts.accuracy_chart(epochs(3, "accuracy", accuracy), 3)
    values = [row["error"] for data in chart.to_dict()["datasets"].values() for row in data]
    high, low = scales(chart)[0]
    assert all(low <= value <= high for value in values)


def test_the_goal_is_a_dotted_line():
    rule = charts.accuracy_chart(epochs(1, "accuracy", 99), 15).to_dict()["layer"][0]
    assert rule["mark"]["type"] == "rule"
    assert rule["mark"]["strokeDash"]


def layers(chart, kind: str) -> list[dict]:
    return [layer for layer in chart.to_dict()["layer"] if layer["mark"]["type"] == kind]


@pytest.mark.parametrize(
    ("make", "measure"), [(charts.accuracy_chart, "accuracy"), (charts.loss_chart, "loss")]
)
def test_a_baseline_is_grey_and_ends_with_the_axis(make, measure):
    behind = epochs(30, measure, 99 if measure == "accuracy" else 0.1)
    chart = make(
        epochs(2, measure, 98 if measure == "accuracy" else 0.2), 15, "mine", behind=behind
    )
    lines = layers(chart, "line")
    assert [line["mark"]["color"] == style.QUIET for line in lines] == [True, True, False, False]
    data = chart.to_dict()["datasets"]
    assert max(row["epoch"] for line in lines for row in data[line["data"]["name"]]) == 15


def test_the_interval_of_the_validation_accuracy_is_a_band():
    frame = epochs(2, "accuracy", 99).assign(low=98.5, high=99.5)
    chart = charts.accuracy_chart(frame, 15, "mine")
    (band,) = layers(chart, "area")
    rows = chart.to_dict()["datasets"][band["data"]["name"]]
    assert {row["part"] for row in rows} == {charts.VALIDATION}
    assert [rows[0]["high_error"], rows[0]["low_error"]] == [1.5, 0.5]
    assert not layers(charts.accuracy_chart(epochs(2, "accuracy", 99), 15), "area")


def test_points_are_visible_in_short_runs_only():
    def opacities(length):
        return {
            layer["mark"]["opacity"]
            for layer in layers(charts.loss_chart(epochs(length, "loss", 0.1), length), "point")
        }

    assert 0 not in opacities(15)
    assert opacities(200) == {0}


@pytest.mark.parametrize("length", [1, 15, 16, 17, 40, 200, 1_000])
def test_the_epoch_ticks_do_not_crowd(length):
    axis = charts.loss_chart(epochs(1, "loss", 0.1), length).to_dict()["layer"][0]["encoding"]["x"][
        "axis"
    ]
    assert 1 <= len(axis["values"]) - 1 <= 16
    assert axis["values"][-1] <= length


def test_all_charts_have_one_height():
    made = [
        charts.accuracy_chart(epochs(2, "accuracy", 99), 3),
        charts.loss_chart(epochs(2, "loss", 0.1), 3),
        charts.learning_rate_chart(charts.planned_rates(RunConfig(epochs=3), 10), 3),
    ]
    assert {chart.to_dict()["height"] for chart in made} == {style.HEIGHT}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("length", "steps"), [(1, 1), (3, 7), (15, 1_875), (200, 469)])
def test_planned_rates_are_those_of_the_schedule(schedule, length, steps):
    config = RunConfig(schedule=schedule, epochs=length)
    plan = charts.planned_rates(config, steps)
    assert plan["epoch"].is_monotonic_increasing
    assert plan["epoch"].iloc[0] == 0
    assert plan["epoch"].iloc[-1] == pytest.approx((length * steps - 1) / steps)
    assert len(plan) <= 401 + 2 * (length + 1)
    for epoch, rate in plan.sample(min(len(plan), 20), random_state=0).itertuples(index=False):
        assert rate == charts.schedules.rate(config, round(epoch * steps), steps)


def test_long_series_are_downsampled_and_keep_their_mean():
    frame = pd.DataFrame({"epoch": range(1_200), "loss": range(1_200)})
    thin = charts.downsample(frame, 600)
    assert len(thin) == 600
    assert thin["loss"].mean() == frame["loss"].mean()
    assert charts.downsample(frame, 2_000) is frame


def test_a_run_keeps_its_colour():
    assert style.run_colour("mine") == style.run_colour("mine")
    assert len({style.run_colour(name) for name in ("initial", "intermediate", "final")}) == 3
    assert {style.run_colour(f"run-{number}") for number in range(200)} == set(style.PALETTE)
