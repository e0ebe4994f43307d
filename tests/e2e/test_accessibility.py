"""Every page in both themes: checked by axe-core, its headings, the keyboard's focus, a phone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from screenshots import PAGES
from serving import PHONE
from waiting import settle, visit, wait_until_idle

GRAVE = ("serious", "critical")
# Rules that only Streamlit's own elements break, which a page cannot change.
STREAMLITS_OWN = {
    "svg-img-alt": "Vega gives the groups of its marks a role but no name; each chart has one.",
}
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter((heading) => heading.checkVisibility()).map((heading) => Number(heading.tagName[1]))"""

ANCHORS = """() => [...document.querySelectorAll("[data-testid=stHeaderActionElements] a")]
  .filter((link) => link.checkVisibility()).length"""

# What the Tab key has reached: its kind and name, and whether it is visible, not below a chart.
STOP = """() => {
  let stop = document.activeElement;
  while (stop.shadowRoot?.activeElement) stop = stop.shadowRoot.activeElement;
  const { left, top, width, height } = stop.getBoundingClientRect();
  const isCovered = stop.dataset.testid === "stBaseButton-elementToolbar" &&
    !stop.contains(document.elementFromPoint(left + width / 2, top + height / 2));
  return [`${stop.tagName} ${stop.ariaLabel || stop.innerText.trim()}`.slice(0, 60),
    stop.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !isCovered];
}"""


def findings(page: Any) -> list[str]:
    """What axe-core finds that is serious or critical: rule, element and reason."""
    rules = {rule: {"enabled": False} for rule in STREAMLITS_OWN}
    response = Axe().run(page, options={"rules": rules, "resultTypes": ["violations"]}).response
    return [
        f"{violation['id']}: {node['target']} {node['html'][:160]} {node['failureSummary'][-200:]}"
        for violation in response["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("path", PAGES.values(), ids=list(PAGES))
@pytest.mark.parametrize(
    "tab", [{}, {"color_scheme": "dark"}], indirect=True, ids=["light", "dark"]
)
def test_no_page_has_a_serious_finding_and_headings_go_down_step_by_step(tab, path):
    tab.goto(f"/{path}")
    settle(tab)
    assert findings(tab) == []
    assert tab.get_by_role("button", name="Help", exact=True).count() == 0
    assert tab.get_by_role("link", name="Link to heading").count() == 0
    levels = tab.evaluate(HEADINGS)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    assert path == "glossary" or tab.evaluate(ANCHORS) == 0, "no link leads to a heading"


@pytest.mark.parametrize(
    "tab", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True
)
def test_on_a_phone_the_menu_closes_and_the_answer_is_beside_the_pad(tab):
    visit(tab, "/")
    tab.get_by_test_id("stExpandSidebarButton").tap()
    link = tab.get_by_test_id("stSidebar").get_by_role("link", name="Draw", exact=True)
    link.tap()
    pad = tab.get_by_label("Drawing pad")
    expect(pad).to_be_visible()
    expect(link).not_to_be_in_viewport()
    wait_until_idle(tab)
    box, digit = pad.bounding_box(), tab.locator(".readout .digit").first.bounding_box()
    assert digit["y"] + digit["height"] <= PHONE["height"], "the answer is on the first screen"
    assert box["width"] <= PHONE["width"] - 48, "a finger beside the pad scrolls"


@pytest.mark.parametrize(
    "tab", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True
)
def test_help_opens_by_tap(tab):
    visit(tab, "/train?run=final")
    tab.get_by_test_id("stMetric").first.get_by_test_id("stTooltipIcon").tap()
    expect(tab.get_by_test_id("stTooltipContent")).to_be_visible()


def test_help_opens_by_keyboard(tab):
    tab.goto("/train?run=final")
    settle(tab)
    help_button = (
        tab.get_by_test_id("stMetric").first.get_by_test_id("stTooltipIcon").locator("button")
    )
    help_button.focus()
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Tab")
    expect(help_button).to_be_focused()
    expect(tab.get_by_test_id("stTooltipContent")).to_be_visible()


def test_the_keyboard_goes_through_home_opens_a_run_and_returns_from_a_dialog(tab):
    tab.goto("/")
    settle(tab)
    tab.get_by_test_id("stMain").focus()
    stops = []
    while len(stops) < 80:
        tab.keyboard.press("Tab")
        tab.wait_for_timeout(30)
        name, visible = tab.evaluate(STOP)
        if name.startswith("BODY"):
            break
        stops.append((name, visible))
    assert 10 < len(stops) < 80, "the last stop leads out of the page"
    assert [name for name, visible in stops if not visible] == []
    assert [name for name, _ in stops if not name.partition(" ")[2]] == []

    table = tab.get_by_test_id("data-grid-canvas")
    table.focus()
    table.press("ArrowDown")
    tab.locator("#glide-cell-0-1").press("Enter")  # a focus alone has opened nothing
    tab.wait_for_url("**/train?run=intermediate")

    more, fork = (tab.get_by_role("button", name=name) for name in ("More", "Fork"))
    expect(more).to_be_visible()
    wait_until_idle(tab)
    more.press("Enter")
    expect(fork).to_be_visible()
    more.press("Tab")
    expect(fork).to_be_focused()
    fork.press("Shift+Tab")
    expect(more).to_be_focused()
    for _ in range(3):
        tab.keyboard.press("Tab")
    delete = tab.get_by_role("button", name="Delete")
    expect(delete).to_be_focused()
    delete.press("Enter")
    dialog = tab.get_by_role("dialog").filter(has_text="Move to the bin?")
    expect(dialog).to_be_visible()
    wait_until_idle(tab)
    tab.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(more).to_be_focused()


def test_a_digit_is_drawn_with_the_keyboard(tab):
    visit(tab, "/draw")
    pad = tab.get_by_label("Drawing pad")
    pad.focus()
    for key in (*["ArrowUp"] * 6, "Space", *["ArrowDown"] * 12, "Space"):
        pad.press(key)
    expect(tab.locator(".readout .digit").first).not_to_be_empty()
    undo = tab.get_by_role("button", name="Undo")
    expect(undo).to_be_enabled()
    undo.press("Space")
    expect(pad).to_be_focused()
    for key in ("Space", "ArrowUp", "ArrowUp", "Space"):
        pad.press(key)
    expect(undo).to_be_enabled()
    pad.press("Escape")
    expect(tab.locator(".readout .digit").first).to_be_empty()
