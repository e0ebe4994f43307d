"""The Runs page: several runs and groups compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.charts import style
from core.config import FIELDS
from pages.ui.controls import field_label
from pages.ui.runs.differences import format_setting
from tests.made import made_run
from tests.opening import open_page, well
from tests.pages.reading import page_links, page_text, press_and_rerun

PAGE = "pages/runs.py"


def opened(*names: str, **link: str) -> AppTest:
    """Open the page with these runs selected."""
    app = open_page(PAGE, **link)
    if names:
        well(app.multiselect(key="select").set_value(list(names)).run())
    return app


def listed(app: AppTest) -> list[str]:
    return list(app.dataframe[0].value["Run"])


def headings(app: AppTest) -> list[str]:
    return [each.value for each in app.header]


def test_two_runs_share_a_chart_and_a_table_of_what_differs(four_runs):
    app = opened("final", "other")
    (chart,) = app.get("vega_lite_chart") or app.get("runs_arrow_vega_lite_chart")
    for name in ("final", "other"):
        assert style.run_colour(name) in chart.proto.spec
        assert f"{name}: 9" in chart.proto.alt
    page = page_text(app)
    assert "Comparison" in page
    for expected in (
        "99.20\u00a0%",
        "96.00\u00a0%",
        "3,762",
        "7,850",
        field_label("max_lr"),
        "0.05",
        "original-3762",
        "15 of 15",
        "3 of 3",
    ):
        assert expected in page
    assert "Batch size" not in page
    assert f"The other {len(FIELDS) - 3} settings are the same" in page
    assert "Notes" not in [each.label for each in app.text_area]


def test_runs_without_a_difference_say_so(folder):
    for name in ("a", "b"):
        made_run(folder, name)
    assert "All settings are the same" in page_text(opened("a", "b"))


def test_runs_validated_on_different_images_are_flagged(folder):
    made_run(folder, "a")
    made_run(folder, "b", holdout=5_000)
    assert "different validation images" in page_text(opened("a", "b"))


def test_other_measures_and_training_curves_can_be_chosen(four_runs):
    app = opened("final", "other")
    well(app.toggle(key="training").set_value(True).run())
    for measure in ("loss", "learning rate"):
        well(app.segmented_control(key="curves").set_value(measure).run())
        assert app.segmented_control(key="curves").value == measure
    assert app.toggle(key="training").disabled


def test_runs_without_an_epoch_can_be_compared(four_runs):
    assert "fresh: no epoch" in page_text(opened("fresh", "final"))
    made_run(four_runs, "fresh-2", done=0, state="stopped")
    assert "No epoch" in page_text(opened("fresh", "fresh-2"))


def test_custom_transforms_are_formatted_briefly(folder):
    own = [{"kind": "affine", "rotate": 7.0}]
    text = format_setting(made_run(folder, "own", transforms=own), "transforms")
    assert "affine" in text
    assert len(text) < 120
    assert format_setting(made_run(folder, "named"), "transforms").startswith("as in the")
    assert format_setting(made_run(folder, "alone"), "teacher_share") == "–"
    taught = made_run(folder, "taught", teacher="teacher", teacher_share=0.5)
    assert format_setting(taught, "teacher_share") == "0.5"


@pytest.fixture
def repeats(folder) -> Path:
    """A group of three seeds with 96.00, 97.00 and 98.00 % at the end, and another run."""
    for seed, correct in ((1, 9_600), (2, 9_700), (3, 9_800)):
        run = made_run(folder, f"trio-s{seed}", group="trio", seed=seed)
        table = json.loads((run.folder / "epochs.json").read_text())
        table[-1]["val_correct"] = correct
        (run.folder / "epochs.json").write_text(json.dumps(table))
    made_run(folder, "other", max_lr=0.05)
    return folder


def test_repeats_are_one_row_with_mean_deviation_and_interval(repeats):
    app = open_page(PAGE, order="name")
    row = app.dataframe[0].value.set_index("Run").loc["trio"]
    assert listed(app) == ["other", "trio"]
    assert (row["Last"], row["±"], row["State"]) == (97.0, 1.0, "3 of 3 seeds")
    assert row["95 % interval"] == "94.52 to 99.48"
    well(app.toggle(key="apart").set_value(True).run())
    assert listed(app) == ["other", "trio", "trio-s1", "trio-s2", "trio-s3"]


def test_without_groups_nothing_mentions_them(four_runs):
    app = open_page(PAGE)
    assert "±" not in app.dataframe[0].value
    assert "apart" not in [each.key for each in app.toggle]


def test_a_group_shows_its_details_and_selects_its_runs(repeats):
    app = open_page(PAGE, select="trio (group)")
    assert headings(app) == ["trio"]
    assert "± 2.48" in page_text(app)
    assert [label for label in page_links(app) if label.startswith("Seed")] == [
        "Seed 1: 96.00\u00a0%",
        "Seed 2: 97.00\u00a0%",
        "Seed 3: 98.00\u00a0%",
    ]
    (chart,) = app.get("vega_lite_chart") or app.get("runs_arrow_vega_lite_chart")
    assert "trio: 97.00" in chart.proto.alt
    press_and_rerun(app, "runs_select_group")
    assert app.multiselect(key="select").value == ["trio-s1", "trio-s2", "trio-s3"]


def test_a_group_is_compared_with_a_run_and_deleted_as_a_whole(repeats):
    app = open_page(PAGE)
    well(app.multiselect(key="select").set_value(["trio (group)", "other"]).run())
    page = page_text(app)
    assert not any("experiment=Compare" in query for query in page_links(app).values())
    assert "97.00\u00a0% ± 1.00" in page
    assert "1, 2, 3" not in page, "the first seed is that of the other run"
    assert field_label("max_lr") in page
    well(app.button(key="runs_delete_selected").click().run())
    assert "4 runs move" in page_text(app)


def test_two_runs_lead_to_the_test_of_their_difference(repeats):
    links = page_links(open_page(PAGE, select=["other", "trio-s1"]))
    assert "experiment=Compare&first=other&second=trio-s1" in links.values()
