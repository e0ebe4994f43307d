"""A run beside its baseline: figures, curves and the figures behind the curves."""

from __future__ import annotations

import pandas as pd
import pytest

from core.charts import training as charts
from core.runs import files, store
from core.runs.measures import MEASURES
from pages.ui.train import curves
from pages.ui.train.figures import format_points_difference, run_figures
from tests.made import damaged_run, made_run
from tests.opening import open_page

TRAIN = "pages/train.py"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(tmp_path))
    return tmp_path


def right(folder, name: str, *correct: int) -> None:
    """Let a run have so many validation images right, epoch by epoch."""
    rows = files.read_json(folder / name / "epochs.json")
    for row, value in zip(rows, correct, strict=True):
        row["val_correct"] = value
    files.write_json(folder / name / "epochs.json", rows)


@pytest.mark.parametrize(
    ("mine", "theirs", "said"),
    [
        (99.40, 99.35, "+0.05"),
        (99.30, 99.35, "\u22120.05"),
        (99.35, 99.35, "±0.00"),
        (None, 99.35, "–"),
        (99.351, 99.349, "±0.00"),
    ],
)
def test_points(mine, theirs, said):
    assert format_points_difference(mine, theirs) == said


def test_a_run_under_way_is_compared_at_its_own_epoch(folder):
    made_run(folder, "mine", done=2, epochs=3, state="stopped")
    made_run(folder, "other", done=3)
    right(folder, "mine", 9_800, 9_900)
    right(folder, "other", 9_850, 9_890, 9_990)
    mine, other = store.open_run("mine"), store.open_run("other")
    accuracy, best, parameters, seconds = run_figures(mine, other)
    assert (accuracy.value, accuracy.difference) == ("99.00\u00a0%", "+0.10")
    assert best.difference == "+0.10"
    assert (parameters.difference, seconds.difference) == ("±0", "±0.0")
    assert {each.difference for each in run_figures(mine, None)} == {""}
    assert run_figures(other, mine)[0].difference == "+0.90", "the last epoch that it has"


def test_a_run_without_epochs_has_nothing_to_compare(folder):
    made_run(folder, "new", done=0, state="stopped", architecture="initial")
    made_run(folder, "other")
    found = run_figures(store.open_run("new"), store.open_run("other"))
    assert [each.difference for each in found] == ["–", "–", "+8,680", "–"]


def test_the_figures_of_a_chart_hold_both_runs(folder, monkeypatch):
    tables: dict[str, pd.DataFrame] = {}
    monkeypatch.setattr(
        curves,
        "draw_chart",
        lambda chart, key, *, make_table, filename, **more: tables.update({filename: make_table()}),
    )
    run, other = made_run(folder, "mine", done=2, epochs=3), made_run(folder, "other", done=3)
    curves.draw_accuracy(run, other, whole=True)
    curves.draw_loss(run, None, whole=False)
    curves.draw_learning_rate(run)
    assert set(tables) == {"mine-accuracy", "mine-loss", "mine-learning-rate"}
    assert tables["mine-accuracy"].groupby("run").size().to_dict() == {"mine": 4, "other": 6}
    assert set(tables["mine-loss"]["part"]) == {charts.TRAIN, charts.VALIDATION, "batches"}
    rates = tables["mine-learning-rate"].set_index("part")["epoch"]
    assert set(rates.index) == {"planned", "used"}
    assert rates["used"].min() == pytest.approx(4 / run.steps_per_epoch), "the fifth step begins"


def test_the_baseline_lives_in_the_link(folder):
    made_run(folder, "mine")
    made_run(folder, "other")
    app = open_page(TRAIN, run="mine", baseline="other")
    assert app.selectbox(key="baseline").value == "other"
    assert app.selectbox(key="baseline").options == ["no baseline", "other"]
    assert app.metric[0].delta == "±0.00"
    assert any("grey: baseline" in each.value for each in app.markdown)
    assert open_page(TRAIN, run="mine").metric[0].delta == ""


@pytest.mark.parametrize("baseline", ["mine", "gone", "broken", "fresh"])
def test_a_baseline_that_cannot_be_is_none(folder, baseline):
    made_run(folder, "mine")
    made_run(folder, "fresh", done=0, state="stopped")
    damaged_run(folder, "broken")
    assert (
        open_page(TRAIN, run="mine", baseline=baseline).selectbox(key="baseline").value
        == "no baseline"
    )


def test_the_seconds_of_an_epoch_are_those_that_the_table_of_runs_shows(folder):
    run = made_run(folder, "mine", done=2)
    rows = [dict(row) for row in files.read_json(run.folder / "epochs.json")]
    rows[0]["seconds"], rows[1]["seconds"] = 13.0, 9.0
    files.write_json(run.folder / "epochs.json", rows)
    run = store.open_run("mine")
    figure = next(each for each in run_figures(run, None) if each.title == "Seconds per epoch")
    assert figure.value == f"{MEASURES['seconds_per_epoch'].read(run):.1f}" == "11.0"
