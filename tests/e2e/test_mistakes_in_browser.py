"""The Mistakes page in a browser: a matrix cell, two runs compared, an image sent to Draw."""

from __future__ import annotations

import re

import pytest
from drawing import answer
from playwright.sync_api import expect
from serving import PHONE
from waiting import expect_no_sideways_scrolling, visit, wait_until_idle

pytestmark = pytest.mark.mnist


@pytest.fixture(autouse=True)
def digits_are_here(mnist):
    """The page would only offer to fetch them."""


def confused(tab):
    """A cell of mistakes, the one with the most images."""
    tab.get_by_role("gridcell", name=re.compile("predicted as .: [1-9]")).first.wait_for()
    cells = tab.get_by_role("gridcell", name=re.compile("predicted as .: [1-9]")).all()
    return max(cells, key=lambda each: int(each.inner_text()))


def gallery(tab, name: str):
    return tab.get_by_role("listbox", name=name).get_by_role("option")


@pytest.mark.parametrize(
    "tab",
    [{}, {"viewport": PHONE, "has_touch": True, "color_scheme": "dark"}],
    indirect=True,
    ids=["laptop", "phone"],
)
def test_a_cell_shows_its_images_and_one_goes_to_draw(tab):
    visit(tab, "/mistakes?run=final")
    cell = confused(tab)
    label, read, count = re.match(
        r"(\d) predicted as (\d): (\d+) image", cell.get_attribute("aria-label")
    ).groups()
    cell.click()
    expect(tab.get_by_role("heading", name=f"{label} predicted as {read}")).to_be_visible()
    images = gallery(tab, "Images, highest loss first")
    expect(images).to_have_count(min(int(count), 56))
    for image in images.all():
        expect(image).to_have_attribute(
            "aria-label", re.compile(f"label {label}, predicted {read} ")
        )
    for setting in (f"labelled={label}", f"read={read}"):
        expect(tab).to_have_url(re.compile(setting))
    expect_no_sideways_scrolling(tab)
    images.last.click()
    index = re.match(r"Test image (\d+)", images.last.get_attribute("aria-label"))[1]
    expect(tab.get_by_role("heading", name=f"test image {int(index):,}")).to_be_visible()
    tab.locator(f"a[href*='digit=test-{index}&']", has_text="Open in Draw").click()
    expect(tab).to_have_url(re.compile(f"/draw.*digit=test-{index}"))
    expect(tab.locator(".closeup")).to_contain_text(f"label {label}")
    expect(answer(tab)).to_have_text(read)


def test_two_runs_are_compared(tab):
    visit(tab, "/mistakes?run=final")
    tab.get_by_role("radio", name="two runs").click()
    expect(tab).to_have_url(re.compile("show=two.runs"))
    wait_until_idle(tab)
    second = tab.get_by_role("combobox", name="Second run").input_value()
    title = f"final correct, {second} wrong"
    images = gallery(tab, title)
    expect(images.first).to_be_visible()
    expect(tab.get_by_role("heading", name=title)).to_contain_text(
        re.compile(r"[1-9]\d*, highest loss first")
    )
    found = re.match(
        rf"Test image (\d+), label (\d): final predicts (\d), {second} (\d)",
        images.nth(1).get_attribute("aria-label"),
    )
    index, label, first, other = found.groups()
    assert first == label != other
    images.nth(1).click()
    expect(tab.get_by_role("heading", name=f"test image {int(index):,}")).to_be_visible()
    tab.get_by_role("radio", name="both wrong").click()
    expect(gallery(tab, "Both wrong").first).to_be_visible()
    for setting in ("show=two.runs", "split=both"):
        expect(tab).to_have_url(re.compile(setting))
