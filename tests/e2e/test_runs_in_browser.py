"""The Runs page in a browser: compare, export and import, delete and restore."""

from __future__ import annotations

import re
import zipfile

import pytest
from playwright.sync_api import expect
from serving import PHONE
from waiting import expect_no_sideways_scrolling, visit, wait_until_idle

from core.charts import style
from core.runs.store import open_run

TICKS, HEAD, ROW = 18, 38, 36  # pixels: where the boxes are, the height of the head and of a row


def table(tab):
    found = tab.get_by_test_id("stDataFrame").locator("canvas").first
    expect(found).to_be_visible()
    return found


def tick_row(tab, row: int) -> None:
    """Tick a row of the table, counted from 0."""
    wait_until_idle(tab)
    table(tab).click(
        position={"x": TICKS, "y": HEAD + ROW * row + ROW / 2}, force=True
    )  # its scroller lies above it


def selected(tab):
    return tab.locator(".st-key-select [data-tag]")


def curves(tab):
    return tab.locator(".st-key-chart_overlay [data-testid=stVegaLiteChart]")


def wait_for_annotations(tab, checkpoints, name: str, notes: str, tags: tuple[str, ...]) -> None:
    """Wait until a run's folder holds these notes and tags."""
    for _ in range(200):
        run = open_run(name, checkpoints)
        if (run.notes, run.tags) == (notes, tags):
            break
        tab.wait_for_timeout(300)
    assert (run.notes, run.tags) == (notes, tags)


def comparison(tab):
    return tab.get_by_role("region", name="Comparison of the runs")


def test_two_runs_are_selected_compared_and_in_the_link(tab):
    visit(tab, "/runs?order=name")
    tick_row(tab, 0)
    expect(tab.get_by_role("heading", name="final")).to_be_visible()
    tick_row(tab, 1)
    expect(selected(tab)).to_have_text(["final", "initial"])
    lines = curves(tab).locator(
        f"path[stroke='{style.run_colour('final')}'], path[stroke='{style.run_colour('initial')}']"
    )
    expect(lines.first).to_be_visible()
    for name in ("final", "initial"):
        stroke = f"path[stroke='{style.run_colour(name)}']"
        expect(curves(tab).locator(stroke).first).to_be_visible()
    expect(curves(tab)).to_contain_text(re.compile(r"final\s+99"))
    for row in ("Parameters", "Network", "Augmentation", "Schedule"):
        expect(comparison(tab).get_by_role("rowheader", name=row, exact=True)).to_be_visible()
    expect(tab.get_by_text(re.compile(r"The other \d+ settings are the same"))).to_be_visible()
    expect(tab).to_have_url(re.compile(r"order=name&select=final&select=initial$"))
    wait_until_idle(tab)
    tab.get_by_role("radio", name="loss").click()
    expect(tab).to_have_url(re.compile("curves=loss"))
    expect(curves(tab).locator("path[stroke]").first).to_be_visible()
    tab.reload()
    expect(selected(tab)).to_have_text(["final", "initial"])
    tab.get_by_placeholder("Name, tag").fill("intermed")
    expect(tab.get_by_text("1 of 3 runs")).to_be_visible()
    tick_row(tab, 0)
    expect(selected(tab)).to_have_text(["final", "initial", "intermediate"])
    tab.get_by_role("button", name="Remove final").click()
    expect(selected(tab)).to_have_text(["initial", "intermediate"])
    expect(tab).to_have_url(re.compile("find=intermed.*select=initial&select=intermediate"))


def test_a_run_is_downloaded_and_imported_again(tab, checkpoints, guests, tmp_path):
    visit(tab, "/runs?select=final")
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Whole run (zip)").click()
    assert waiting.value.suggested_filename == "final-run.zip"
    path = tmp_path / "final-run.zip"
    waiting.value.save_as(path)
    assert zipfile.is_zipfile(path)
    tab.locator("input[type=file]").set_input_files(path)
    expect(tab.get_by_role("heading", name="final-2")).to_be_visible()
    made = open_run("final-2", checkpoints)
    assert (made.folder / "last.safetensors").read_bytes() == (
        checkpoints / "final" / "last.safetensors"
    ).read_bytes()
    expect(tab.get_by_text("final-run.zip")).to_have_count(0)
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"not a run")
    tab.locator("input[type=file]").set_input_files(bad)
    expect(tab.get_by_text("bad.zip was not imported")).to_be_visible()


def test_deleting_asks_first_and_can_be_undone(tab, checkpoints, guests):
    visit(tab, "/runs?select=initial")
    tab.get_by_role("button", name="Delete").click()
    dialog = tab.get_by_role("dialog")
    expect(dialog.get_by_text("moves to the bin")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert open_run("initial", checkpoints)
    tab.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Cancel").press("Escape")
    expect(dialog).to_have_count(0)
    tab.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(tab.get_by_text("1 deleted run")).to_be_visible()
    assert not (checkpoints / "initial").exists()
    expect(selected(tab)).to_have_count(0)
    tab.get_by_role("button", name="Restore").click()
    expect(tab.get_by_text("The bin is empty.")).to_be_visible()
    expect(tab.get_by_role("heading", name="initial")).to_be_visible()
    assert open_run("initial", checkpoints).epochs


def test_notes_tags_and_a_new_name_are_saved(tab, checkpoints, guests):
    visit(tab, "/runs?select=intermediate")
    notes = tab.get_by_label("Notes")
    notes.fill("Less is enough.")
    notes.press("Control+Enter")
    expect(tab.get_by_text("Notes saved.")).to_be_visible()
    tab.get_by_label("Tags").fill("small")
    tab.keyboard.press("Enter")
    tab.keyboard.press(
        "Escape"
    )  # while the list is open, nothing else is there for those who do not see it
    wait_for_annotations(tab, checkpoints, "intermediate", "Less is enough.", ("small",))
    for name, back in (("middle", "intermediate"), ("intermediate", "middle")):
        expect(notes).to_have_count(
            1
        )  # the one under the old name stands until the script has ended
        wait_until_idle(tab)
        tab.get_by_role("button", name="Rename").first.click()
        tab.get_by_label("New name").fill(name)
        tab.get_by_label("New name").press("Enter")
        tab.locator(".st-key-runs_rename button").click()
        expect(tab.get_by_role("heading", name=name)).to_be_visible()
        assert not (checkpoints / back).exists()
    expect(notes).to_have_count(1)
    wait_until_idle(tab)
    notes.fill("")
    notes.press("Control+Enter")
    expect(tab.get_by_text("Notes saved.").last).to_be_visible()
    wait_until_idle(tab)
    tab.get_by_role("button", name="Remove small").click()
    wait_for_annotations(tab, checkpoints, "intermediate", "", ())


@pytest.mark.parametrize(
    "tab", [{"viewport": PHONE, "has_touch": True, "color_scheme": "dark"}], indirect=True
)
def test_it_works_with_a_finger_on_a_phone(tab):
    visit(tab, "/runs?order=name")
    for row in (0, 1):
        wait_until_idle(tab)
        place = table(tab).bounding_box()
        tab.touchscreen.tap(place["x"] + TICKS, place["y"] + HEAD + ROW * row + ROW / 2)
        expect(selected(tab)).to_have_count(row + 1)
    expect(comparison(tab)).to_be_visible()
    expect_no_sideways_scrolling(tab)
