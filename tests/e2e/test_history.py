"""The browser's Back and Forward buttons: a step for each page, which shows what it showed."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from waiting import visit, wait_until_idle


def open_from_menu(tab, name: str) -> None:
    tab.get_by_test_id("stSidebar").get_by_role("link", name=name).click()
    expect(tab.get_by_role("heading", name=name, level=1)).to_be_visible()
    wait_until_idle(tab)


def select(tab, key: str, name: str) -> None:
    tab.locator(f".st-key-{key} input").click()
    tab.get_by_role("option", name=name, exact=True).click()
    expect(tab).to_have_url(re.compile(f"{name}"))
    wait_until_idle(tab)


def test_back_and_forward_show_each_page_as_it_was_left(tab):
    visit(tab, "/")
    open_from_menu(tab, "Train")
    select(tab, "run", "initial")
    open_from_menu(tab, "Draw")
    select(tab, "network", "intermediate")
    tab.get_by_role("radio", name="Layers").click()
    expect(tab).to_have_url(re.compile("view=Layers"))
    wait_until_idle(tab)
    open_from_menu(tab, "Mistakes")
    select(tab, "viewed_run", "intermediate")
    expect(tab).not_to_have_url(re.compile("view="))
    tab.go_back()
    expect(tab).to_have_url(re.compile(r"/draw\?(?=.*network=intermediate)(?=.*view=Layers)"))
    expect(tab.locator(".st-key-network input")).to_have_value("intermediate")
    expect(tab.get_by_role("radio", name="Layers")).to_be_checked()
    tab.go_back()
    expect(tab).to_have_url(re.compile(r"/train\?run=initial"))
    expect(tab.locator(".st-key-run input")).to_have_value("initial")
    tab.go_forward()
    tab.go_forward()
    expect(tab).to_have_url(re.compile(r"/mistakes\?run=intermediate"))
    expect(tab.locator(".st-key-viewed_run input")).to_have_value("intermediate")
    for _ in range(3):  # at once, while the server still answers for the pages in between
        tab.go_back()
    expect(tab.locator("h1")).to_contain_text("99.4")
