"""The Runs page: the table, the selection, and the details of one run."""

from __future__ import annotations

import json
import types
from urllib.parse import unquote

import pytest
from streamlit.testing.v1 import AppTest

from core.charts import style
from core.errors import RunError
from core.runs import control, listing, processes, status, store
from pages.ui.runs import table
from pages.ui.tables import CURVE_FLOOR, CURVE_POINTS, thin_curve
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


def test_the_table_has_one_row_for_each_run(four_runs):
    app = open_page(PAGE)
    table = app.dataframe[0].value
    assert list(table["Run"]) == ["fresh", "cut", "other", "final"], "newest first"
    row = table.set_index("Run").loc["final"]
    assert (row["Parameters"], row["Epochs"]) == (3_762, "15 of 15")
    assert (row["Network"], row["Recipe"]) == ("original-3762", "final")
    assert (row["Last"], row["Best"], row["Time"]) == (99.2, 99.2, 30)
    assert len(row["Curve"]) == 15
    columns = json.loads(app.dataframe[0].proto.columns)
    assert "last epoch" in columns["Last"]["help"]
    assert "optimistic" in columns["Best"]["help"]
    assert style.run_colour("final") in unquote(row[""])
    assert "4 runs" in page_text(app)


def test_a_long_curve_is_thinned_and_keeps_its_end(folder):
    run = made_run(folder, "long", done=150)
    curve = thin_curve(run)
    assert len(curve) <= CURVE_POINTS
    assert curve[-1] == run.last.val_accuracy


def test_curves_stay_within_the_scale_that_all_rows_share(folder):
    run = made_run(folder, "weak", done=2)
    assert run.epochs[0].val_accuracy < CURVE_FLOOR < run.epochs[1].val_accuracy
    assert thin_curve(run) == [CURVE_FLOOR, run.epochs[1].val_accuracy]


def test_runs_are_filtered_and_ordered_by_link_and_by_hand(four_runs):
    app = open_page(PAGE, find="original", state="finished")
    assert listed(app) == ["final"]
    assert "1 of 4 runs" in page_text(app)
    assert listed(open_page(PAGE, order="name")) == ["cut", "final", "fresh", "other"]
    app = open_page(PAGE, find="nothing like it")
    assert not app.dataframe
    assert "No run matches" in page_text(app)
    well(app.text_input(key="find").set_value("").run())
    well(app.selectbox(key="state").set_value("stopped").run())
    assert listed(app) == ["fresh", "cut"]


def test_the_selection_comes_from_the_link_and_the_table_shows_it(four_runs):
    assert selected_rows(open_page(PAGE, select="final")) == [3]
    app = open_page(PAGE, select="../x")
    assert selected_rows(app) == []
    well(app.multiselect(key="select").set_value(["cut"]).run())
    assert selected_rows(app) == [1]


def selected_rows(app: AppTest) -> list[int]:
    return list(json.loads(app.dataframe[0].proto.selection_default)["selection"]["rows"])


def select_rows(monkeypatch, names: list[str], rows: list[int], before: list[str]) -> dict:
    """Store a selection of rows and return the session state."""
    state = {
        "t": types.SimpleNamespace(selection=types.SimpleNamespace(rows=rows)),
        "select": before,
        "runs_table": {"selected": None, "number": 0},
    }
    monkeypatch.setattr(table.st, "session_state", state)
    table._store_selection("t", names)
    return state


@pytest.mark.parametrize(
    ("rows", "before", "after"),
    [
        ([1], [], ["b"]),
        ([], ["a"], []),
        ([0, 2], ["c"], ["c", "a"]),
        ([0], ["hidden"], ["hidden", "a"]),
        ([], ["hidden", "a"], ["hidden"]),
        ([0, 7], [], ["a"]),
    ],
)
def test_a_selection_keeps_its_order_and_what_the_filter_hides(monkeypatch, rows, before, after):
    state = select_rows(monkeypatch, ["a", "b", "c"], rows, before)
    assert state["select"] == after
    assert state["runs_table"]["selected"] == [name for name in after if name != "hidden"]


def test_a_selection_of_too_many_runs_is_cut_with_a_message(monkeypatch):
    names = [f"r{number}" for number in range(300)]
    state = select_rows(monkeypatch, names, list(range(300)), [])
    assert state["select"] == names[: table.MAX_SELECTED]
    assert state["runs_table"]["selected"] is None, "the table has to be created again"
    assert str(table.MAX_SELECTED) in state["runs_messages"][0][0]


def test_one_selected_run_shows_its_details(four_runs):
    control.fork("other", "child", {"epochs": 1})
    app = opened("child")
    assert "child" in headings(app)
    assert "Forked from other (last weights, epoch 3)" in page_text(app)
    assert "Draw" not in page_links(app), "it has no weights yet"
    app = opened("final")
    assert page_links(app) == {
        "Train": "run=final",
        "Fork": "fork=final",
        "Mistakes": "run=final",
        "Draw": "network=final",
    }
    assert {each.proto.label for each in app.get("download_button")} >= {
        "Whole run (zip)",
        "Epoch table (CSV)",
    }


def test_notes_and_tags_are_saved(four_runs):
    app = opened("final")
    well(app.text_area(key="runs_notes_final").set_value("Learns *fast*.").run())
    well(app.multiselect(key="runs_tags_final").set_value(["fast", "small"]).run())
    run = store.open_run("final")
    assert (run.notes, run.tags) == ("Learns *fast*.", ("fast", "small"))
    assert "Notes saved" in page_text(
        well(app.text_area(key="runs_notes_final").set_value("").run())
    )
    assert store.open_run("final").notes == ""
    store.annotate("final", notes="from a shell")
    assert well(app.run()).text_area(key="runs_notes_final").value == "from a shell"


def test_notes_that_cannot_be_saved_stay_in_the_box(four_runs, monkeypatch):
    app = opened("final")

    def full(*args, **values):
        raise RunError("the disk is full.")

    monkeypatch.setattr(store, "annotate", full)
    well(app.text_area(key="runs_notes_final").set_value("Long thoughts.").run())
    assert "the disk is full." in page_text(app)
    assert well(app.run()).text_area(key="runs_notes_final").value == "Long thoughts."


def test_a_renamed_run_stays_selected(four_runs):
    app = opened("final")
    well(app.text_input(key="runs_name_final").set_value("first").run())
    press_and_rerun(app, "runs_rename")
    assert store.open_run("first")
    assert app.multiselect(key="select").value == ["first"]
    assert "first" in headings(app)
    well(app.text_input(key="runs_name_first").set_value("../other").run())
    assert "cannot be a run's name" in page_text(well(app.button(key="runs_rename").click().run()))
    well(app.text_input(key="runs_name_first").set_value("other").run())
    assert "already a run 'other'" in page_text(well(app.button(key="runs_rename").click().run()))


def test_deleting_asks_first_and_the_bin_restores(four_runs):
    app = opened("final", "other")
    well(app.button(key="runs_delete_selected").click().run())
    assert [run.name for run in store.list_runs()] == ["fresh", "cut", "other", "final"]
    well(app.run())
    assert "2 runs move" in page_text(app), "the dialog survives a rerun"
    press_and_rerun(app, "runs_cancel")
    assert "2 runs move" not in page_text(app)
    assert len(store.list_runs()) == 4

    well(app.multiselect(key="select").set_value(["final"]).run())
    well(app.button(key="runs_delete_run").click().run())
    press_and_rerun(app, "runs_confirm")
    assert [run.name for run in store.list_runs()] == ["fresh", "cut", "other"]
    assert app.multiselect(key="select").value == []
    assert app.selectbox(key="runs_binned").label.startswith("1 deleted run")

    press_and_rerun(app, "runs_restore")
    assert store.open_run("final").epochs
    assert app.multiselect(key="select").value == ["final"]


def test_a_live_run_can_neither_be_renamed_nor_deleted(four_runs):
    run = store.open_run("cut")
    status.write(run.folder, "running", "", processes.identity())
    app = opened("cut")
    assert app.button(key="runs_delete_run").disabled
    assert "Queue" in headings(app)


def test_three_hundred_runs_are_one_table(folder):
    run = made_run(folder, "r0")
    for number in range(1, 300):
        place = folder / f"r{number}"
        place.mkdir()
        for path in run.folder.iterdir():
            (place / path.name).hardlink_to(path)
    app = open_page(PAGE, find="r29")
    assert len(listed(app)) == 11
    well(app.text_input(key="find").set_value("").run())
    assert len(listed(app)) == 300


def test_a_run_that_cannot_be_shown_is_damaged_and_can_be_deleted(four_runs, monkeypatch):
    real = listing.total_seconds

    def break_for_other(run):
        if run.name == "other":
            raise ValueError("a value that no check has seen")
        return real(run)

    monkeypatch.setattr(listing, "total_seconds", break_for_other)
    app = opened("other")
    table = app.dataframe[0].value.set_index("Run")
    assert table.loc["other", "State"] == "damaged"
    assert table.loc["final", "State"] == "finished"
    assert "a value that no check has seen" in page_text(app)
    press_and_rerun(app, "runs_damaged_other")
    press_and_rerun(app, "runs_confirm")
    assert listed(app) == ["fresh", "cut", "final"]
