"""The Runs page: all runs found, ordered, ticked and compared; one looked after; the queue, the bin and uploads."""

from __future__ import annotations

import io
import json
import types
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest
from streamlit.testing.v1 import AppTest

from core.charts import training as charts
from core.config import FIELDS
from core.errors import RunError
from core.runs import archive, control, processes, run_queue, status, store, trash
from core.runs.run import DamagedRun
from pages.ui.runs import compare as runs_compare
from pages.ui.runs import queue_and_trash as runs_rest
from pages.ui.runs import table as runs_table
from tests.made import made_run
from tests.opening import open_page, well

PAGE = "pages/runs.py"


def opened(*names: str, **link: str) -> AppTest:
    """The page with these runs ticked."""
    app = open_page(PAGE, **link)
    if names:
        well(app.multiselect(key="select").set_value(list(names)).run())
    return app


def text(app: AppTest) -> str:
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.error, app.toast, app.metric)
    said = [f"{getattr(each, 'label', '')} {each.value}" for kind in kinds for each in kind]
    return "\n".join([*said, *(each.proto.body for each in app.get("html"))])


def listed(app: AppTest) -> list[str]:
    return list(app.dataframe[0].value["Run"])


def links(app: AppTest) -> dict[str, str]:
    return {each.proto.label: each.proto.query_string for each in app.main.get("page_link")}


def headings(app: AppTest) -> list[str]:
    return [each.value for each in app.subheader]


def keep_trying(app: AppTest, key: str) -> AppTest:
    """Press a button, and see what the page becomes."""
    return well(well(app.button(key=key).click().run()).run())


@pytest.fixture
def some(folder) -> Path:
    made_run(folder, "final", recipe="final", done=15, epochs=15, architecture="original-3762")
    made_run(folder, "other", done=3, max_lr=0.05)
    made_run(folder, "cut", done=1, state="stopped", epochs=4)
    made_run(folder, "fresh", done=0, state="stopped", epochs=4)
    return folder


def test_an_empty_page_invites_and_takes_runs_in(folder):
    app = open_page(PAGE)
    assert "Nothing trained yet" in text(app)
    assert links(app) == {"Train the Final recipe": "start=final"}
    assert len(app.file_uploader) == 1
    assert "Nothing was deleted." in text(app)


def test_the_table_tells_of_every_run_what_it_is_and_which_accuracy_is_which(some):
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
    assert "flatters" in columns["Best"]["help"]
    assert charts.colour("final") in unquote(row[""])
    assert "4 runs" in text(app)


def test_a_long_curve_is_thinned_and_keeps_its_end(folder):
    run = made_run(folder, "long", done=150)
    curve = runs_table._curve(run)
    assert len(curve) <= runs_table.POINTS
    assert curve[-1] == run.last.val_accuracy


def test_runs_are_found_and_ordered_by_link_and_by_hand(some):
    app = open_page(PAGE, find="seed", state="finished")
    assert listed(app) == ["final"]
    assert "1 of 4 runs" in text(app)
    assert listed(open_page(PAGE, order="name")) == ["cut", "final", "fresh", "other"]
    app = open_page(PAGE, find="nothing like it")
    assert not app.dataframe
    assert "No run fits" in text(app)
    well(app.text_input(key="find").set_value("").run())
    well(app.selectbox(key="state").set_value("stopped").run())
    assert listed(app) == ["fresh", "cut"]


def test_ticks_come_from_the_link_and_the_table_follows_them(some):
    assert ticked(open_page(PAGE, select="final")) == [3]
    app = open_page(PAGE, select="../x")
    assert ticked(app) == []
    well(app.multiselect(key="select").set_value(["cut"]).run())
    assert ticked(app) == [1]


def ticked(app: AppTest) -> list[int]:
    return list(json.loads(app.dataframe[0].proto.selection_default)["selection"]["rows"])


def tick(monkeypatch, names: list[str], rows: list[int], before: list[str]) -> dict:
    """What a click in the table makes of the ticks."""
    state = {
        "t": types.SimpleNamespace(selection=types.SimpleNamespace(rows=rows)),
        "select": before,
        "table_ticks": {"said": None, "count": 0},
    }
    monkeypatch.setattr(runs_table.st, "session_state", state)
    runs_table._tick("t", names)
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
def test_a_tick_keeps_the_order_and_what_the_filter_hides(monkeypatch, rows, before, after):
    state = tick(monkeypatch, ["a", "b", "c"], rows, before)
    assert state["select"] == after
    assert state["table_ticks"]["said"] == [name for name in after if name != "hidden"]


def test_more_ticks_than_can_be_told_apart_are_taken_back_with_a_word(monkeypatch):
    names = [f"r{number}" for number in range(300)]
    state = tick(monkeypatch, names, list(range(300)), [])
    assert state["select"] == names[: runs_table.MOST]
    assert state["table_ticks"]["said"] is None, "the table has to be drawn anew"
    assert "can be compared" in state["runs_said"][0][0]


def test_two_runs_are_overlaid_and_only_what_differs_is_told(some):
    app = opened("final", "other")
    (chart,) = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
    for name in ("final", "other"):
        assert charts.colour(name) in chart.proto.spec
        assert f"{name}: 9" in chart.proto.alt
    page = text(app)
    assert "What differs" in page
    for said in (
        "99.20\u00a0%",
        "96.00\u00a0%",
        "3,762",
        "7,850",
        "Highest learning rate",
        "0.05",
        "original-3762",
        "15 of 15",
        "3 of 3",
    ):
        assert said in page
    assert "Batch size" not in page
    assert f"The other {len(FIELDS) - 3} settings are the same" in page
    assert "Notes" not in [each.label for each in app.text_area]


def test_runs_without_a_difference_say_so(folder):
    for name in ("a", "b"):
        made_run(folder, name)
    assert "All settings are the same" in text(opened("a", "b"))


def test_runs_measured_on_different_images_are_flagged(folder):
    made_run(folder, "a")
    made_run(folder, "b", holdout=5_000)
    assert "Not all of them are validated on the same images" in text(opened("a", "b"))


def test_measures_and_training_curves_are_a_click_away(some):
    app = opened("final", "other")
    well(app.toggle(key="training").set_value(True).run())
    for measure in ("loss", "learning rate"):
        well(app.segmented_control(key="curves").set_value(measure).run())
        assert app.segmented_control(key="curves").value == measure
    assert app.toggle(key="training").disabled


def test_runs_that_have_not_begun_can_be_compared_too(some):
    assert "fresh: no epoch is done yet" in text(opened("fresh", "final"))
    made_run(some, "fresh-2", done=0, state="stopped")
    assert "No epoch is done yet" in text(opened("fresh", "fresh-2"))


@pytest.mark.parametrize("rows", ["layers", "transforms"])
def test_rows_of_ones_own_are_told_briefly(folder, rows):
    own = {
        "layers": [
            {"kind": "avgpool", "kernel": 4, "stride": 4},
            {"kind": "linear", "channels": 10, "activation": "none"},
        ],
        "transforms": [{"kind": "affine", "rotate": 7.0}],
    }
    said = runs_compare.setting(made_run(folder, "own", **{rows: own[rows]}), rows)
    assert own[rows][0]["kind"] in said
    assert len(said) < 120
    assert runs_compare.setting(made_run(folder, "named"), rows).startswith("those of")


def test_one_run_is_looked_after(some):
    control.fork("other", "child", {"epochs": 1})
    app = opened("child")
    assert "child" in headings(app)
    assert "Forked from other (last weights, epoch 3)" in text(app)
    assert "Draw" not in links(app), "it has no weights yet"
    app = opened("final")
    assert links(app) == {
        "Train": "run=final",
        "Fork": "fork=final",
        "Mistakes": "run=final",
        "Draw": "network=final",
    }
    assert {each.proto.label for each in app.get("download_button")} >= {
        "Whole run (zip)",
        "Epoch table (CSV)",
    }


@pytest.fixture
def repeats(folder) -> Path:
    """A group of three seeds, whose accuracies at the end are 96.00, 97.00 and 98.00 %, and a run of its own."""
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


def test_without_repeats_nothing_speaks_of_them(some):
    app = open_page(PAGE)
    assert "±" not in app.dataframe[0].value
    assert "apart" not in [each.key for each in app.toggle]


def test_a_group_is_looked_at_and_taken_apart(repeats):
    app = open_page(PAGE, select="trio (group)")
    assert headings(app) == ["trio"]
    assert "± 2.48" in text(app)
    assert [label for label in links(app) if label.startswith("Seed")] == [
        "Seed 1: 96.00\u00a0%",
        "Seed 2: 97.00\u00a0%",
        "Seed 3: 98.00\u00a0%",
    ]
    (chart,) = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
    assert "trio: 97.00" in chart.proto.alt
    keep_trying(app, "one_by_one")
    assert app.multiselect(key="select").value == ["trio-s1", "trio-s2", "trio-s3"]


def test_a_group_is_compared_with_a_run_and_deleted_as_a_whole(repeats):
    app = open_page(PAGE)
    well(app.multiselect(key="select").set_value(["trio (group)", "other"]).run())
    page = text(app)
    assert "97.00\u00a0% ± 1.00" in page
    assert "1, 2, 3" not in page, "the first seed is that of the other run"
    assert "Highest learning rate" in page
    well(app.button(key="delete_several").click().run())
    assert "4 runs go" in text(app)


def test_notes_and_tags_are_kept(some):
    app = opened("final")
    well(app.text_area(key="notes_final").set_value("Learns *fast*.").run())
    well(app.multiselect(key="tags_final").set_value(["fast", "small"]).run())
    run = store.open_run("final")
    assert (run.notes, run.tags) == ("Learns *fast*.", ("fast", "small"))
    assert "Notes kept" in text(well(app.text_area(key="notes_final").set_value("").run()))
    assert store.open_run("final").notes == ""
    store.annotate("final", notes="from a shell")
    assert well(app.run()).text_area(key="notes_final").value == "from a shell"


def test_notes_that_cannot_be_kept_are_not_lost(some, monkeypatch):
    app = opened("final")

    def full(*args, **values):
        raise RunError("the disk is full.")

    monkeypatch.setattr(store, "annotate", full)
    well(app.text_area(key="notes_final").set_value("Long thoughts.").run())
    assert "The notes are not kept: the disk is full." in text(app)
    assert well(app.run()).text_area(key="notes_final").value == "Long thoughts."


def test_a_run_is_renamed_and_stays_ticked(some):
    app = opened("final")
    well(app.text_input(key="name_final").set_value("first").run())
    keep_trying(app, "do_rename")
    assert store.open_run("first")
    assert app.multiselect(key="select").value == ["first"]
    assert "first" in headings(app)
    well(app.text_input(key="name_first").set_value("../other").run())
    assert "cannot be a run's name" in text(well(app.button(key="do_rename").click().run()))
    well(app.text_input(key="name_first").set_value("other").run())
    assert "already a run 'other'" in text(well(app.button(key="do_rename").click().run()))


def test_deleting_asks_first_and_the_bin_brings_back(some):
    app = opened("final", "other")
    well(app.button(key="delete_several").click().run())
    assert [run.name for run in store.list_runs()] == ["fresh", "cut", "other", "final"]
    well(app.run())
    assert "2 runs go" in text(app), "the question outlives a page that is drawn anew"
    keep_trying(app, "keep")
    assert "2 runs go" not in text(app)
    assert len(store.list_runs()) == 4

    well(app.multiselect(key="select").set_value(["final"]).run())
    well(app.button(key="delete_one").click().run())
    keep_trying(app, "agree")
    assert [run.name for run in store.list_runs()] == ["fresh", "cut", "other"]
    assert app.multiselect(key="select").value == []
    assert app.selectbox(key="binned").label.startswith("1 deleted run")

    keep_trying(app, "restore")
    assert store.open_run("final").epochs
    assert app.multiselect(key="select").value == ["final"]


def test_emptying_the_bin_asks_first(some):
    trash.delete("final")
    app = open_page(PAGE)
    well(app.button(key="empty").click().run())
    assert "removed for good" in text(app)
    assert len(trash.list_trash()) == 1
    keep_trying(app, "agree")
    assert trash.list_trash() == []
    assert "Nothing was deleted." in text(app)


def test_a_run_whose_name_is_taken_stays_in_the_bin_with_a_word(some):
    trash.delete("final")
    made_run(some, "final")
    app = keep_trying(open_page(PAGE), "restore")
    assert len(trash.list_trash()) == 1
    assert app.selectbox(key="binned")


def test_what_trains_can_neither_be_renamed_nor_deleted(some):
    run = store.open_run("cut")
    status.write(run.folder, "running", "", processes.identity())
    app = opened("cut")
    assert app.button(key="delete_one").disabled
    assert "Queue" in headings(app)


def zipped(name: str) -> tuple[str, bytes, str]:
    return f"{name}-run.zip", archive.export_run(store.open_run(name)), "application/zip"


def test_a_run_is_taken_in_and_shown(some):
    file = zipped("final")
    trash.delete("final")
    app = open_page(PAGE)
    well(app.file_uploader[0].set_value(file).run())
    assert len(store.open_run("final").epochs) == 15
    assert app.multiselect(key="select").value == ["final"]
    assert "Taken in: final." in text(app)
    well(app.file_uploader[0].set_value(file).run())
    assert store.open_run("final-2")


def bad_zips(some: Path) -> dict[str, bytes]:
    outside = io.BytesIO()
    with zipfile.ZipFile(outside, "w") as made:
        made.writestr("a/../../run.json", "{}")
    return {
        "not a zip file": b"hello",
        "does not belong": outside.getvalue(),
        "at most 1 MB": b"x" * 1_100_000,
    }


@pytest.mark.parametrize("words", ["not a zip file", "does not belong", "at most 1 MB"])
def test_what_is_no_run_is_refused_in_a_sentence_and_changes_nothing(some, words, monkeypatch):
    app = open_page(PAGE)
    monkeypatch.setenv("INKLING_MAX_UPLOAD_MB", "1")
    before = sorted(path.name for path in some.iterdir())
    well(
        app.file_uploader[0].set_value(("bad.zip", bad_zips(some)[words], "application/zip")).run()
    )
    assert "bad.zip is not taken in: " in text(app)
    assert words in text(app)
    assert sorted(path.name for path in some.iterdir() if path.name != ".lock") == [
        name for name in before if name != ".lock"
    ]


def test_the_good_ones_among_several_files_are_taken_in(some):
    app = open_page(PAGE)
    well(
        app.file_uploader[0]
        .set_value([("bad.zip", b"x", "application/zip"), zipped("other")])
        .run()
    )
    assert store.open_run("other-2")
    assert "bad.zip is not taken in" in text(app)


def test_the_order_of_the_queue_is_changed_on_the_page(folder, idle):
    for name in ("a", "b", "c"):
        made_run(folder, name, done=1, state="stopped", epochs=4)
        (folder / name / "state.pt").write_bytes(b"x")
    live = made_run(folder, "live", done=1, state="stopped", epochs=4)
    status.write(live.folder, "running", "", processes.identity())
    for name in ("a", "b", "c"):
        run_queue.submit(name)
    app = open_page(PAGE)
    assert run_queue.list_waiting() == ["a", "b", "c"]
    assert app.button(key="arrow_upward_a").disabled
    assert app.button(key="arrow_downward_c").disabled
    keep_trying(app, "arrow_upward_b")
    assert run_queue.list_waiting() == ["b", "a", "c"]
    keep_trying(app, "arrow_downward_b")
    assert run_queue.list_waiting() == ["a", "b", "c"]
    keep_trying(app, "drop_b")
    assert run_queue.list_waiting() == ["a", "c"]
    assert store.open_run("b").state == "stopped"
    assert "live" in text(app)


def test_damaged_folders_are_named_with_the_reason_and_can_be_deleted(some):
    for number in range(7):
        (some / f"bro*ken* {number}").mkdir()
    (some / "newer").mkdir()
    (some / "newer" / "run.json").write_text(json.dumps({"format": 99, "config": {}}))
    app = open_page(PAGE)
    assert "Cannot be read" in headings(app)
    assert r"bro\*ken\* 0" in text(app)
    assert "format 99" in text(app).replace("\\", "")
    assert len(listed(app)) == 4
    well(app.button(key="delete_newer").click().run())
    keep_trying(app, "agree")
    assert not [
        each for each in store.list_runs() if isinstance(each, DamagedRun) and each.name == "newer"
    ]


@pytest.mark.parametrize("name", ["a_b*c*", ":material/delete: $x$", "<script>", "[a](b)", "`x`"])
def test_names_of_damaged_folders_say_nothing_to_markdown(name):
    plain = runs_rest._plain(name)
    assert plain.replace("\\", "") == name
    assert all(f"\\{sign}" in plain for sign in name if sign in "_*:$<[`")


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
