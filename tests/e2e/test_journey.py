"""The app in a real browser: a new user's way from the first page to a drawn digit, and what may happen on it."""

from __future__ import annotations

import pytest
from conftest import PHONE
from playwright.sync_api import expect
from serving import ROOT

from core.runs import control
from core.runs.store import open_run
from tests.strokes import DIGITS

PAGES = ["", "data", "data?part=Augmentation", "model", "train", "train?run=final", "draw"]
QUICK = "train?recipe=initial&architecture=linear-7850&epochs=2&batch_size=2048"
LONG = "train?recipe=initial&architecture=linear-7850&epochs=200&batch_size=128"


def pad(tab):
    canvas = tab.get_by_label("Drawing pad")
    expect(canvas).to_be_visible()
    return canvas


def draw(tab, strokes, pause: int = 0) -> None:
    box = pad(tab).bounding_box()
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        tab.mouse.move(*points[0])
        tab.mouse.down()
        for point in points[1:]:
            tab.mouse.move(*point)
            tab.wait_for_timeout(pause)
        tab.mouse.up()


def answer(tab):
    return tab.locator(".readout .digit")


def settled(tab, unlike: str = "") -> str:
    """The 28x28 pixels that the page shows, as a data URL, once they have changed and come to rest."""
    now = ""
    for _ in range(60):
        before, now = now, tab.locator(".readout canvas").evaluate("each => each.toDataURL()")
        if now == before != unlike:
            break
        tab.wait_for_timeout(500)
    return now


@pytest.fixture
def clean_up(checkpoints):
    """Names of runs to stop when the test is over."""
    names: list[str] = []
    yield names
    for name in names:
        if open_run(name, checkpoints).is_live:
            control.stop(name, checkpoints)
            control.wait(name, checkpoints, seconds=20)


def start(tab, name: str, clean_up: list[str]) -> None:
    tab.get_by_placeholder("my-initial").fill(name)
    tab.keyboard.press("Enter")
    clean_up.append(name)
    tab.get_by_role("button", name="Start").click()
    expect(tab.get_by_label("Show", exact=True)).to_have_value(name)


@pytest.mark.mnist
def test_from_the_first_page_to_a_drawn_digit(tab, checkpoints, clean_up, mnist):
    tab.goto("/")
    expect(tab.get_by_role("heading", name="fewer than 8,000")).to_be_visible()
    tab.get_by_role("link", name="Train", exact=True).first.click()
    expect(tab.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    tab.goto(QUICK)
    start(tab, "first", clean_up)
    expect(tab.get_by_text("finished")).to_be_visible(timeout=120_000)
    expect(tab.locator(".sheet tbody tr:not(.ahead)")).to_have_count(2)
    assert open_run("first", checkpoints).state == "finished"
    tab.get_by_role("link", name="Draw with it").click()
    draw(tab, DIGITS[1])
    expect(answer(tab)).to_have_text("1")
    assert tab.locator(".card .name").all_inner_texts() == ["initial", "intermediate", "final", "first"]


@pytest.mark.mnist
def test_a_run_survives_reloads_and_other_pages_and_stops(tab, checkpoints, clean_up, mnist):
    tab.goto(LONG)
    start(tab, "long", clean_up)
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
    expect(tab.get_by_role("button", name="Go on")).to_be_visible()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("tab", [{}, {"viewport": PHONE, "has_touch": True, "color_scheme": "dark"}],
                         indirect=True, ids=["laptop", "phone"])
def test_every_page_opens_by_its_link_and_fits(tab, page):
    tab.goto(f"/{page}")
    expect(tab.locator("h1")).to_be_visible()
    expect(tab.get_by_test_id("stSkeleton")).to_have_count(0)
    assert tab.locator("[data-testid=stException]").count() == 0
    main = tab.locator("[data-testid=stMain]")
    assert main.evaluate("each => each.scrollWidth <= each.clientWidth"), "it scrolls sideways"


def test_settings_live_in_the_link_and_come_back(tab):
    tab.goto("/train?recipe=initial&lr=0.03")
    expect(tab.get_by_text("0.03", exact=True)).to_be_visible()
    tab.get_by_role("combobox", name="Network").click()
    tab.get_by_role("option", name="linear-7850").click()
    expect(tab.locator(".sheet")).to_contain_text("Linear-1")
    tab.wait_for_url("**architecture=linear-7850**")
    tab.get_by_role("link", name="Draw", exact=True).click()
    expect(pad(tab)).to_be_visible()
    tab.get_by_role("link", name="Train", exact=True).click()
    expect(tab.locator(".sheet")).to_contain_text("Linear-1")
    assert {"lr=0.03", "recipe=initial", "architecture=linear-7850"} <= set(tab.url.split("?")[1].split("&"))


def test_a_card_on_the_first_page_starts_anew(tab):
    tab.goto("/train?recipe=initial&lr=0.03")
    expect(tab.get_by_role("combobox", name="Recipe")).to_have_value("initial")
    tab.get_by_role("link", name="Home", exact=True).click()
    expect(tab.get_by_role("heading", name="fewer than 8,000")).to_be_visible()
    tab.locator("[data-testid=stMain] a[href*='start=final']").click()
    expect(tab.get_by_role("combobox", name="Recipe")).to_have_value("final")
    tab.wait_for_url("**/train")


def test_the_answer_moves_while_a_stroke_is_drawn(tab):
    tab.goto("/draw")
    draw(tab, DIGITS[7])
    expect(answer(tab)).not_to_be_empty()  # torch is loaded now
    tab.get_by_role("button", name="Clear").click()
    expect(answer(tab)).to_be_empty()
    box = pad(tab).bounding_box()
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    expect(answer(tab)).not_to_be_empty()
    tab.mouse.up()


def test_undo_clear_and_keys(tab):
    tab.goto("/draw")
    expect(tab.get_by_role("button", name="Undo")).to_be_disabled()
    draw(tab, DIGITS[4])
    expect(answer(tab)).not_to_be_empty()
    both = settled(tab)
    tab.get_by_role("button", name="Undo").click()
    assert settled(tab, unlike=both) != both, "the second stroke is gone"
    tab.keyboard.press("Control+z")
    expect(tab.get_by_role("button", name="Undo")).to_be_disabled()
    draw(tab, DIGITS[1])
    expect(answer(tab)).not_to_be_empty()
    pad(tab).press("Escape")
    expect(answer(tab)).to_be_empty()
    expect(tab.get_by_text("Draw a digit")).to_be_visible()


def test_a_drawing_survives_a_change_of_page(tab):
    tab.goto("/draw")
    draw(tab, DIGITS[2])
    expect(answer(tab)).not_to_be_empty()
    first = settled(tab)
    tab.get_by_role("link", name="Train", exact=True).click()
    expect(tab.get_by_role("button", name="Start")).to_be_visible()
    tab.get_by_role("link", name="Draw", exact=True).click()
    expect(answer(tab)).not_to_be_empty()
    assert settled(tab) == first
    draw(tab, [[[0.1, 0.1], [0.2, 0.1]]])
    tab.get_by_role("button", name="Undo").click()
    expect(answer(tab)).not_to_be_empty()


@pytest.mark.parametrize("tab", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_a_finger_draws_and_does_not_scroll(tab):
    tab.goto("/draw")
    canvas = pad(tab)
    box = canvas.bounding_box()
    touch = tab.context.new_cdp_session(tab)
    before = tab.locator("[data-testid=stMain]").evaluate("each => each.scrollTop")
    points = [{"x": box["x"] + 0.5 * box["width"], "y": box["y"] + y * box["height"]} for y in (0.8, 0.6, 0.4, 0.2)]
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
    for point in points[1:]:
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(answer(tab)).not_to_be_empty()
    assert tab.locator("[data-testid=stMain]").evaluate("each => each.scrollTop") == before


def test_a_card_asks_its_network(tab):
    tab.goto("/draw")
    tab.locator(".card", has_text="initial").click()
    expect(tab.get_by_role("combobox", name="Network")).to_have_value("initial")
    expect(tab.locator(".card[aria-pressed=true] .name")).to_have_text("initial")
    tab.wait_for_url("**network=initial**")


def test_every_digit_drawn_is_named_by_the_final_network(tab):
    if not (ROOT / "checkpoints" / "final" / "last.pt").is_file():
        pytest.skip("the final checkpoint is not shipped here")
    tab.goto("/draw?network=final")
    for digit, strokes in DIGITS.items():
        draw(tab, strokes)
        expect(answer(tab)).to_have_text(str(digit))
        tab.get_by_role("button", name="Clear").click()
        expect(answer(tab)).to_be_empty()


def test_two_tabs_do_not_disturb_each_other(tab, browser, app):
    context = browser.new_context(base_url=app)
    context.set_default_timeout(90_000)
    other = context.new_page()
    for each in (tab, other):
        each.goto("/draw")
    draw(tab, DIGITS[0])
    expect(answer(tab)).not_to_be_empty()
    expect(pad(other)).to_be_visible()
    assert answer(other).inner_text() == ""
    context.close()
