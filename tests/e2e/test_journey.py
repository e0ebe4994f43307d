"""A new user's journey in a browser, from the first page to a drawn digit."""

from __future__ import annotations

import re

import pytest
from drawing import answer, draw, pad
from playwright.sync_api import expect
from serving import PHONE
from waiting import expect_no_sideways_scrolling, settle, visit

from core.runs.store import open_run
from tests.strokes import DIGITS

PAGES = [
    "",
    "story",
    "data",
    "data?part=Augmentation",
    "model",
    "train",
    "train?run=final",
    "runs?select=final",
    "mistakes?run=final",
    "draw",
    "glossary",
]
QUICK = "train?recipe=initial&architecture=linear-7850&epochs=1&batch_size=2048"
LONG = "train?recipe=initial&architecture=linear-7850&epochs=200&batch_size=128"


def start(tab, name: str) -> None:
    tab.get_by_placeholder("my-initial").fill(name)
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Start").click()
    expect(tab.get_by_label("Show", exact=True)).to_have_value(name)


@pytest.mark.mnist
def test_from_the_first_page_to_ones_own_run_its_mistakes_and_a_drawn_digit(
    tab, checkpoints, guests, mnist
):
    visit(tab, "/")
    expect(tab.get_by_role("heading", name="fewer than 8,000")).to_be_visible()
    expect(tab.get_by_role("heading", name="Accuracy by size")).to_be_visible()
    tab.locator("[data-testid=stMain] a[href*='start=final']").click()
    expect(tab.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    visit(tab, QUICK)  # the same page, set to what is done in a moment
    start(tab, "mine")
    expect(tab.get_by_text("finished")).to_be_visible(timeout=120_000)
    expect(tab.locator(".sheet tbody tr:not(.ahead)")).to_have_count(1)
    assert open_run("mine", checkpoints).state == "finished"
    tab.get_by_role("link", name="Home", exact=True).click()
    expect(tab.locator("[data-testid=stVegaLiteChart] text", has_text="mine")).to_be_visible()
    tab.get_by_role("link", name="Runs", exact=True).click()
    tab.get_by_role("combobox", name="Selected").fill("mine")
    tab.get_by_role("option", name="mine").click()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("heading", name="mine")).to_be_visible()
    tab.get_by_test_id("stMain").get_by_role("link", name="Mistakes").click()
    expect(tab).to_have_url(re.compile("/mistakes.*run=mine"))
    expect(
        tab.get_by_role("gridcell", name=re.compile("predicted as .: [1-9]")).first
    ).to_be_visible()
    tab.get_by_role("link", name="Draw", exact=True).first.click()
    draw(tab, DIGITS[1])
    expect(answer(tab)).to_have_text("1")
    expect(tab.locator(".card .name")).to_have_text(["initial", "intermediate", "final", "mine"])


@pytest.mark.mnist
def test_a_run_survives_reloads_and_other_pages_and_stops(tab, checkpoints, guests, mnist):
    visit(tab, LONG)
    start(tab, "long")
    expect(tab.locator(".sheet tbody tr:not(.ahead)").first).to_be_visible(timeout=120_000)
    tab.reload()
    expect(tab.get_by_label("Show", exact=True)).to_have_value("long")
    expect(tab.get_by_text("running")).to_be_visible()
    tab.get_by_role("link", name="Draw", exact=True).click()
    expect(pad(tab)).to_be_visible()
    tab.get_by_role("link", name="Train", exact=True).click()
    expect(tab.get_by_label("Show", exact=True)).to_have_value("long")
    tab.get_by_role("link", name="Home", exact=True).click()
    tab.get_by_role("link", name="long").click()
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_text("stopped")).to_be_visible()
    assert open_run("long", checkpoints).state == "stopped"
    expect(tab.get_by_role("button", name="Resume")).to_be_visible()


@pytest.mark.parametrize(
    "tab",
    [{}, {"viewport": PHONE, "has_touch": True, "color_scheme": "dark"}],
    indirect=True,
    ids=["laptop", "phone"],
)
def test_every_page_opens_by_its_link_and_fits(tab):
    for page in PAGES:
        visit(tab, f"/{page}")
        expect(tab.locator("h1"), page).to_be_visible()
        assert tab.locator("[data-testid=stException]").count() == 0, page
        expect_no_sideways_scrolling(tab, page)


def test_settings_live_in_the_link_and_come_back(tab):
    visit(tab, "/train?recipe=initial&lr=0.03")
    expect(tab.get_by_text("0.03", exact=True)).to_be_visible()
    tab.get_by_role("combobox", name="Network").click()
    tab.get_by_role("option", name="linear-7850").click()
    expect(tab.locator(".sheet")).to_contain_text("Linear-1")
    tab.wait_for_url("**architecture=linear-7850**")
    tab.get_by_role("link", name="Draw", exact=True).click()
    expect(pad(tab)).to_be_visible()
    tab.get_by_role("link", name="Train", exact=True).click()
    expect(tab.locator(".sheet")).to_contain_text("Linear-1")
    for setting in ("lr=0.03", "recipe=initial", "architecture=linear-7850"):
        expect(tab).to_have_url(re.compile(rf"[?&]{re.escape(setting)}(&|$)"))


def test_a_card_on_the_first_page_starts_anew(tab):
    visit(tab, "/train?recipe=initial&lr=0.03")
    expect(tab.get_by_role("combobox", name="Recipe")).to_have_value("initial")
    tab.get_by_role("link", name="Home", exact=True).click()
    expect(tab.get_by_role("heading", name="fewer than 8,000")).to_be_visible()
    tab.locator("[data-testid=stMain] a[href*='start=final']").click()
    expect(tab.get_by_role("combobox", name="Recipe")).to_have_value("final")
    tab.wait_for_url("**/train")


@pytest.mark.mnist
def test_a_learner_trains_a_first_network_and_follows_its_next_steps(
    tab, checkpoints, guests, mnist
):
    tab.goto("/")
    settle(tab)
    if not tab.get_by_role("button", name="Start training").is_visible():
        tab.get_by_text("Train your first network").click()
    tab.get_by_role("radio", name="One layer").click()
    slider = tab.get_by_role("slider", name="Epochs")
    slider.focus()
    slider.press("Home")
    expect(tab.get_by_text(re.compile("about .* on this machine"))).to_be_visible(timeout=120_000)
    tab.get_by_role("button", name="Start training").click()
    expect(tab.get_by_label("Show", exact=True)).to_have_value("first-network")
    ending = tab.locator(".st-key-train_ending")
    expect(ending).to_contain_text("of 10,000 test images wrong after 1 epoch", timeout=120_000)
    expect(tab.locator(".inkling-speaker")).to_contain_text("first-network has ended")
    run = open_run("first-network", checkpoints)
    wrong = run.last.val_errors
    expect(ending).to_contain_text(f"{wrong:,} of 10,000")
    ending.get_by_role("link", name="See its mistakes").click()
    expect(tab).to_have_url(re.compile("/mistakes.*run=first-network"))
    expect(tab.get_by_text(f"{wrong:,}", exact=True).first).to_be_visible()
    visit(tab, "/train?run=first-network")
    ending.get_by_role("link", name="Draw with it").click()
    draw(tab, DIGITS[1])
    expect(answer(tab)).not_to_be_empty()
    tab.goto("/glossary")
    expect(tab.get_by_role("heading", name="Convolution")).to_be_visible()
    expect(tab.get_by_role("img", name=re.compile("window of 3 by 3"))).to_be_visible()
