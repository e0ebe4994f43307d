"""The Data page in a browser: select a digit, read its pixels, hover the map, use transforms."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from serving import PHONE
from waiting import visit, wait_until

pytestmark = pytest.mark.mnist

SHEET = "each => each.style.getPropertyValue('--sheet')"


@pytest.fixture(autouse=True)
def digits_are_here(mnist):
    """The page would only offer to fetch them."""


def test_a_digit_is_picked_read_and_augmented(tab):
    visit(tab, "/data?class=7")
    grid = tab.get_by_role("listbox", name="Digits of the dataset")
    expect(grid.get_by_role("option")).to_have_count(72)
    fifth = grid.get_by_role("option").nth(4)
    fifth.click()
    expect(fifth).to_have_attribute("aria-selected", "true")
    expect(tab).to_have_url(re.compile("index=52"))
    fifth.press("ArrowRight")
    expect(grid.get_by_role("option").nth(5)).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile("index=71"))
    sixth = grid.get_by_role("option").nth(5)
    expect(sixth).to_have_attribute("aria-selected", "true")
    expect(sixth.locator(".tile")).to_have_css("outline-style", "solid")
    paper = tab.get_by_role("img", name="training image 71, a 7")
    paper.focus()
    paper.press("ArrowDown")
    expect(tab.locator(".closeup .value")).to_contain_text("Row 16, column 15:")
    tab.get_by_role("link", name="Augment this digit").click()
    expect(
        tab.get_by_role("group", name="Digits and augmented samples").locator(".cell")
    ).to_have_count(80)
    expect(tab).to_have_url(re.compile("subject=this"))
    expect(tab.get_by_role("spinbutton", name="Index")).to_have_value("71")


def test_the_map_shows_the_picture_under_the_mouse(tab):
    visit(tab, "/data?part=Map&sample=3000")
    chart = tab.locator(".stVegaLiteChart")
    expect(chart.locator(".marks").first).to_be_visible()
    picture = tab.locator("#vg-tooltip-element img")
    box = chart.bounding_box()
    for pause in (50, 300, 1_000):  # milliseconds; a busy browser shows the picture later
        for step in range(60):  # through the thick of the points
            tab.mouse.move(
                box["x"] + box["width"] * (0.1 + step / 150), box["y"] + box["height"] * 0.45
            )
            tab.wait_for_timeout(pause)
            if picture.is_visible():
                break
        if picture.is_visible():
            break
    expect(picture).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    assert picture.evaluate("each => each.naturalWidth") == 28


@pytest.mark.parametrize(
    "tab", [{}, {"viewport": PHONE, "has_touch": True}], indirect=True, ids=["laptop", "phone"]
)
def test_transforms_are_changed_linked_and_sent_to_train(tab):
    visit(tab, "/data?part=Augmentation")
    draws = tab.get_by_role("group", name="Digits and augmented samples")
    expect(draws.locator(".cell")).to_have_count(90)
    before = draws.evaluate(SHEET)
    rotate = tab.get_by_role("slider", name="Rotate")
    rotate.focus()
    rotate.press("ArrowRight")
    expect(tab).to_have_url(re.compile("transforms=.*rotate.*8"))
    expect(tab.get_by_role("combobox", name="Start from")).to_have_value("Custom transforms")
    wait_until(tab, lambda: draws.evaluate(SHEET) != before, "the samples are the same")
    tab.reload()
    expect(tab.get_by_role("slider", name="Rotate")).to_have_value("8")
    tab.get_by_role("button", name="Train with this").click()
    expect(tab.get_by_role("heading", name="Train")).to_be_visible()
    expect(tab.get_by_text("Replaced by")).to_be_visible()
