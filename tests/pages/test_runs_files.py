"""The Runs page: the queue, the bin, uploads and damaged folders."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.runs import archive, processes, run_queue, status, store, trash
from core.runs.run import DamagedRun
from pages.ui.words import escape_markdown
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


def test_an_empty_page_invites_to_train_or_import(folder):
    app = open_page(PAGE)
    assert "Nothing trained yet" in page_text(app)
    assert page_links(app) == {"Train the Final recipe": "start=final"}
    assert len(app.file_uploader) == 1
    assert "The bin is empty" in page_text(app)


def test_emptying_the_bin_asks_first(four_runs):
    trash.delete("final")
    app = open_page(PAGE)
    well(app.button(key="runs_empty_bin").click().run())
    assert "removed for good" in page_text(app)
    assert len(trash.list_trash()) == 1
    press_and_rerun(app, "runs_confirm")
    assert trash.list_trash() == []
    assert "The bin is empty" in page_text(app)


def test_a_run_whose_name_is_taken_stays_in_the_bin(four_runs):
    trash.delete("final")
    made_run(four_runs, "final")
    app = press_and_rerun(open_page(PAGE), "runs_restore")
    assert len(trash.list_trash()) == 1
    assert app.selectbox(key="runs_binned")


def zipped(name: str) -> tuple[str, bytes, str]:
    return f"{name}-run.zip", archive.export_run(store.open_run(name)), "application/zip"


def test_an_imported_run_is_selected(four_runs):
    file = zipped("final")
    trash.delete("final")
    app = open_page(PAGE)
    well(app.file_uploader[0].set_value(file).run())
    assert len(store.open_run("final").epochs) == 15
    assert app.multiselect(key="select").value == ["final"]
    assert "Imported: final" in page_text(app)
    well(app.file_uploader[0].set_value(file).run())
    assert store.open_run("final-2")


def bad_zips(four_runs: Path) -> dict[str, bytes]:
    outside = io.BytesIO()
    with zipfile.ZipFile(outside, "w") as made:
        made.writestr("a/../../run.json", "{}")
    return {
        "not a zip file": b"hello",
        "does not belong": outside.getvalue(),
        "at most 1 MB": b"x" * 1_100_000,
    }


@pytest.mark.parametrize("words", ["not a zip file", "does not belong", "at most 1 MB"])
def test_a_file_that_is_not_a_run_is_refused_and_changes_nothing(four_runs, words, monkeypatch):
    app = open_page(PAGE)
    monkeypatch.setenv("INKLING_MAX_UPLOAD_MB", "1")
    before = sorted(path.name for path in four_runs.iterdir())
    well(
        app.file_uploader[0]
        .set_value(("bad.zip", bad_zips(four_runs)[words], "application/zip"))
        .run()
    )
    assert "bad.zip was not imported" in page_text(app)
    assert words in page_text(app)
    assert sorted(path.name for path in four_runs.iterdir() if path.name != ".lock") == [
        name for name in before if name != ".lock"
    ]


def test_the_valid_files_among_several_are_imported(four_runs):
    app = open_page(PAGE)
    well(
        app.file_uploader[0]
        .set_value([("bad.zip", b"x", "application/zip"), zipped("other")])
        .run()
    )
    assert store.open_run("other-2")
    assert "bad.zip was not imported" in page_text(app)


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
    assert app.button(key="runs_arrow_upward_a").disabled
    assert app.button(key="runs_arrow_downward_c").disabled
    press_and_rerun(app, "runs_arrow_upward_b")
    assert run_queue.list_waiting() == ["b", "a", "c"]
    press_and_rerun(app, "runs_arrow_downward_b")
    assert run_queue.list_waiting() == ["a", "b", "c"]
    press_and_rerun(app, "runs_drop_b")
    assert run_queue.list_waiting() == ["a", "c"]
    assert store.open_run("b").state == "stopped"
    assert "live" in page_text(app)


def test_damaged_folders_are_listed_with_the_reason_and_can_be_deleted(four_runs):
    for number in range(7):
        (four_runs / f"bro*ken* {number}").mkdir()
        (four_runs / f"bro*ken* {number}" / "run.json").write_text("{}")
    (four_runs / "newer").mkdir()
    (four_runs / "newer" / "run.json").write_text(json.dumps({"format": 99, "config": {}}))
    app = open_page(PAGE)
    assert "Damaged" in headings(app)
    assert "bro*ken* 0" in page_text(app)
    assert "format 99" in page_text(app)
    assert len(listed(app)) == 4
    well(app.button(key="runs_damaged_newer").click().run())
    press_and_rerun(app, "runs_confirm")
    assert not [
        each for each in store.list_runs() if isinstance(each, DamagedRun) and each.name == "newer"
    ]


@pytest.mark.parametrize("name", ["a_b*c*", ":material/delete: $x$", "<script>", "[a](b)", "`x`"])
def test_escaped_names_mean_nothing_to_markdown(name):
    plain = escape_markdown(name)
    assert plain.replace("\\", "").replace("\u2060", "") == name
    assert all(f"\\{sign}" in plain for sign in name if sign in "_*:$<[`")


def test_runs_that_progress_in_every_pass_do_not_keep_the_page_from_finishing(
    folder, idle, monkeypatch
):
    live = made_run(folder, "live", done=2, state="stopped", epochs=4)
    status.write(live.folder, "running", "", processes.identity())
    calls, list_runs = itertools.count(), store.list_runs

    def list_progressing():
        done = 1 + next(calls) % 2
        return [replace(run, epochs=run.epochs[:done]) for run in list_runs()]

    monkeypatch.setattr(store, "list_runs", list_progressing)
    assert "live" in page_text(open_page(PAGE))
    assert next(calls) < 10
