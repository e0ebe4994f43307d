"""The table of layer rows in a browser: edit, move, undo, share, save, send to Train."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from serving import PHONE
from waiting import (
    expect_no_sideways_scrolling,
    visit,
    wait_for_value,
    wait_until_idle,
)

SMALL = 'model?net=[{"kind":"conv"},{"kind":"maxpool"},{"kind":"add","from":1},{"kind":"linear"}]'
RESIDUAL = (
    'model?net=[{"kind":"conv","padding":1},{"kind":"conv","padding":1},{"kind":"add","from":1},'
    '{"kind":"linear","activation":"none"}]'
)


def rows(tab):
    return tab.locator(".rows .row")


def kinds(tab) -> list[str]:
    return tab.locator(".rows .row select[data-name=kind]").evaluate_all(
        "all => all.map(each => each.value)"
    )


def gives(tab, number: int):
    return rows(tab).nth(number - 1).locator(".gives")


def figure(tab, title: str):
    return tab.get_by_test_id("stMetric").filter(has_text=title).get_by_test_id("stMetricValue")


def test_rows_are_changed_added_moved_removed_and_undone(tab):
    visit(tab, "/model?net=initial")
    expect(rows(tab)).to_have_count(10)
    tab.get_by_label("Channels of row 1", exact=True).fill("4")
    expect(gives(tab, 1)).to_have_text("4 × 26 × 26")
    expect(figure(tab, "Parameters")).to_have_text("16,202")
    tab.wait_for_url("**net=*channels*")
    tab.get_by_label("Copy below: row 3").click()
    expect(gives(tab, 4)).to_have_text("8 × 6 × 6")
    tab.get_by_label("Kind of row 4").select_option("dropout")
    expect(gives(tab, 4)).to_have_text("8 × 12 × 12")
    tab.get_by_label("Kind of row 4").press("Alt+ArrowUp")
    expect(gives(tab, 4)).to_have_text("8 × 12 × 12")
    wait_for_value(tab, lambda: kinds(tab)[2:4], ["dropout", "maxpool"])
    expect(tab.get_by_label("Kind of row 3")).to_be_focused()
    tab.get_by_label("Remove: row 3").click()
    expect(rows(tab)).to_have_count(10)
    tab.get_by_role("button", name="Undo").click()
    expect(rows(tab)).to_have_count(11)
    for _ in range(4):
        tab.get_by_role("button", name="Undo").click()
    expect(figure(tab, "Parameters")).to_have_text("16,530")
    expect(tab.get_by_role("combobox", name="Start from")).to_have_value("initial")


def test_a_row_is_dragged_to_its_place(tab):
    visit(tab, "/model?net=initial")
    expect(rows(tab)).to_have_count(10)
    expect(gives(tab, 1)).to_have_text("8 × 26 × 26")
    for _ in range(10):  # a busy browser may lose a drag
        rows(tab).nth(2).locator(".grip").hover()
        tab.mouse.down()
        for _ in range(2):  # the first move begins the drag, the second is over the row
            rows(tab).nth(0).hover(force=True)
        tab.mouse.up()
        tab.wait_for_timeout(200)
        if kinds(tab)[0] == "maxpool":
            break
    wait_for_value(tab, lambda: kinds(tab)[:3], ["maxpool", "conv", "conv"])
    expect(gives(tab, 1)).to_have_text("1 × 14 × 14")


def test_mistakes_stand_at_their_rows_until_they_are_mended(tab):
    visit(tab, f"/{SMALL}")
    expect(rows(tab).nth(2).locator(".mistake")).to_contain_text("must be equal")
    expect(tab.get_by_role("button", name="Train this")).to_be_disabled()
    tab.get_by_label("Remove: row 3").click()
    expect(rows(tab)).to_have_count(3)
    kernel = tab.get_by_label("Kernel of row 1")
    kernel.fill("99")
    expect(rows(tab).nth(0).locator(".mistake")).to_contain_text("between 1 and 28")
    expect(kernel, "the wrong value stays to be mended").to_have_value("99")
    kernel.fill("5")
    expect(rows(tab).nth(0).locator(".mistake")).to_be_empty()
    expect(tab.get_by_role("button", name="Train this")).to_be_enabled()


def test_an_added_row_is_followed_when_rows_move(tab):
    visit(tab, f"/{RESIDUAL}")
    source = tab.get_by_label(re.compile("From of row"))
    expect(source).to_have_value("1")
    tab.get_by_label("Copy below: row 1").click()
    expect(rows(tab)).to_have_count(5)
    expect(source).to_have_value("1")
    tab.get_by_label("Move down: row 1").click()
    expect(source).to_have_value("2")
    tab.get_by_label("Remove: row 2").click()
    expect(source).to_have_value("1")


def test_a_network_goes_by_its_link_is_saved_and_trained(tab, browser, app):
    visit(tab, "/model")
    tab.get_by_label("Channels of row 6").fill("12")
    expect(gives(tab, 6)).to_have_text("12 × 14 × 14")
    tab.wait_for_url("**net=*")
    wait_until_idle(tab)
    total = figure(tab, "Parameters").inner_text()
    context = browser.new_context()
    other = context.new_page()
    other.goto(tab.url)
    expect(gives(other, 6)).to_have_text("12 × 14 × 14", timeout=60_000)
    context.close()
    tab.get_by_test_id("stPopoverButton").filter(has_text="Save").click()
    tab.get_by_role("textbox", name="Name").fill("twelve")
    tab.get_by_role("button", name="Save", exact=True).last.click()
    expect(tab.get_by_text("Saved as twelve.")).to_be_visible()
    expect(tab.get_by_role("combobox", name="Start from")).to_have_value("twelve")
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="Train this").click()
    expect(tab.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    expect(figure(tab, "Parameters")).to_have_text(total)
    tab.get_by_role("link", name="Model", exact=True).click()
    expect(gives(tab, 6)).to_have_text("12 × 14 × 14")


@pytest.mark.parametrize(
    "tab", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True
)
def test_a_phone_has_room_for_the_table(tab):
    visit(tab, "/model?beside=initial")
    expect(tab.get_by_label("Channels of row 1", exact=True)).to_be_visible()
    expect(tab.locator(".drawing svg")).to_have_count(4)
    expect_no_sideways_scrolling(tab)
    tab.get_by_label("Move down: row 3").tap()
    expect(gives(tab, 3)).to_have_text("4 × 14 × 14")
