"""Story in a browser: presented by keys, without scrolling, and out of it to a page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from waiting import visit, wait_until, wait_until_idle

OVERFLOWS = """deck => [...deck.querySelectorAll('.slide, .body, .picture, .cell, .text, .foot')]
  .map((part) => part.getBoundingClientRect())
  .concat([{ right: deck.scrollWidth, bottom: deck.scrollHeight }])
  .some(({ right, bottom }) => right > innerWidth + 1 || bottom > innerHeight + 1)"""


@pytest.mark.parametrize("tab", [{"viewport": {"width": 1280, "height": 720}}], indirect=True)
def test_the_story_is_presented_by_keys(tab):
    visit(tab, "/story")
    tab.get_by_role("button", name="Present", exact=True).click()
    number, deck = tab.locator(".deck .number"), tab.locator(".deck")
    expect(number).to_have_text(re.compile("^1 / "))
    tab.wait_for_function("Boolean(document.fullscreenElement)")
    count = int(number.inner_text().split("/")[1])
    for place, key in enumerate(["PageDown", "ArrowRight", "Space"] * count, 1):
        expect(number).to_have_text(f"{place} / {count}")
        wait_until(tab, lambda: not deck.evaluate(OVERFLOWS), f"slide {place} does not fit")
        if place == count:
            break
        tab.keyboard.press(key)
    expect(deck.get_by_role("button", name="Next")).to_be_disabled()
    for key, place in (
        ("PageUp", count - 1),
        ("ArrowLeft", count - 2),
        ("Home", 1),
        ("End", count),
    ):
        tab.keyboard.press(key)
        expect(number).to_have_text(f"{place} / {count}")
    tab.keyboard.press("Escape")
    expect(deck).to_be_hidden()
    expect(tab).not_to_have_url(re.compile("slide="))
    # A link opens a slide, whose button opens a page with its settings.
    visit(tab, "/story?slide=muon")
    expect(deck.get_by_role("heading", name="Muon")).to_be_visible()
    with tab.context.expect_page() as opened:
        deck.get_by_role("link", name="Open Train").click()
    wait_until_idle(opened.value)
    optimizer = opened.value.get_by_role("combobox", name="Optimizer")
    opened.value.get_by_text("More", exact=True).first.click()
    expect(optimizer).to_have_value("muon")
