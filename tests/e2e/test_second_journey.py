"""From the first page to one's own run, what it gets wrong, and a digit of one's own, by clicks as a new user makes."""

from __future__ import annotations

import re

import pytest
from drawing import answer, draw
from playwright.sync_api import expect

from core.runs import bin as wastebin
from core.runs import control
from core.runs.store import open_run
from tests.strokes import DIGITS

NAME = "mine"
SETTINGS = "train?recipe=initial&architecture=linear-7850&epochs=1&batch_size=2048"


@pytest.fixture
def gone_afterwards(checkpoints):
    yield
    if (checkpoints / NAME).is_dir():
        if open_run(NAME, checkpoints).is_live:
            control.stop(NAME, checkpoints)
            control.wait(NAME, checkpoints, seconds=20)
        wastebin.delete(NAME, checkpoints)
        wastebin.empty(folder=checkpoints)


@pytest.mark.mnist
def test_from_the_first_page_to_the_mistakes_of_ones_own_run(tab, checkpoints, gone_afterwards, mnist):
    tab.goto("/")
    expect(tab.get_by_role("heading", name="fewer than 8,000")).to_be_visible()
    expect(tab.get_by_role("heading", name="Accuracy for its size")).to_be_visible()
    tab.get_by_role("link", name="Train arrow").click()
    expect(tab.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    tab.goto(SETTINGS)  # the same page, set to what is done in a moment
    tab.get_by_placeholder("my-initial").fill(NAME)
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Start").click()
    expect(tab.get_by_text("finished")).to_be_visible(timeout=120_000)
    tab.get_by_role("link", name="Home", exact=True).click()
    expect(tab.locator("[data-testid=stVegaLiteChart] text", has_text=NAME)).to_be_visible()
    tab.get_by_role("link", name="Runs", exact=True).click()
    tab.get_by_role("combobox", name="Selected").fill(NAME)
    tab.get_by_role("option", name=NAME).click()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("heading", name=NAME)).to_be_visible()
    tab.get_by_test_id("stMain").get_by_role("link", name="Mistakes").click()
    expect(tab).to_have_url(re.compile(f"/mistakes.*run={NAME}"))
    wrong = tab.get_by_role("gridcell", name=re.compile("read as .: [1-9]"))
    expect(wrong.first).to_be_visible()
    tab.get_by_role("link", name="Draw", exact=True).first.click()
    draw(tab, DIGITS[1])
    expect(answer(tab)).to_have_text("1")
