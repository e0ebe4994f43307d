"""The Train page in a browser: two tabs, a stable layout, saved charts, a link, a phone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from serving import PHONE, serve
from waiting import SECONDS, expect_no_sideways_scrolling, settle, visit

from core.config import RunConfig
from core.runs import control, creation, run_queue, store

WATCHED = "watched"
# Where the headings stand, and how many curves there are, frame by frame for a while.
STANDING = """async (seconds) => {
  const seen = new Set(), end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    const headings = [...document.querySelectorAll(".stMain h2")];
    const tops = headings.map((heading) => Math.round(heading.getBoundingClientRect().y));
    seen.add(`${tops} ${document.querySelectorAll(".stVegaLiteChart svg").length}`);
    await new Promise(requestAnimationFrame);
  }
  return [...seen];
}"""


@pytest.fixture
def running(checkpoints: Path, mnist) -> Iterator[Path]:
    """A run that trains for longer than the test."""
    config = RunConfig(architecture="linear-7850", epochs=200, batch_size=128, holdout=1_000)
    creation.create_run(config, WATCHED, folder=checkpoints)
    run_queue.submit(WATCHED, checkpoints)
    yield checkpoints
    if store.open_run(WATCHED, checkpoints).is_live:
        control.stop(WATCHED, checkpoints)
        control.wait_until_idle(WATCHED, checkpoints, seconds=60)
    shutil.rmtree(checkpoints / WATCHED, ignore_errors=True)


@pytest.mark.mnist
def test_what_one_tab_changes_the_other_shows(tab, browser, app, running):
    context = browser.new_context(base_url=app)
    context.set_default_timeout(90_000)
    other = context.new_page()
    for each in (tab, other):
        visit(each, f"/train?run={WATCHED}")
        expect(each.locator(".sheet tbody tr:not(.ahead)").first).to_be_visible(timeout=120_000)
    settle(tab)
    assert len(tab.evaluate(STANDING, 6)) == 1, "something moved while the run went on"
    slider = tab.get_by_role("slider", name="Learning rate multiplier")
    slider.focus()
    slider.press("ArrowLeft")
    for each in (tab, other):
        expect(each.get_by_text(re.compile(r"Learning rate × 0\.5 from epoch \d+"))).to_be_visible()
    other.get_by_role("button", name="Stop").click()
    expect(tab.get_by_text("stopped")).to_be_visible()
    run = store.open_run(WATCHED, running)
    assert [event["factor"] for event in run.read_events() if event["kind"] == "rate"] == [0.5]
    assert run.state == "stopped"
    context.close()


@pytest.mark.mnist
def test_a_hidden_tab_is_not_updated_and_one_that_is_shown_again_is(tab, running):
    visit(tab, f"/train?run={WATCHED}")
    expect(tab.locator(".sheet tbody tr:not(.ahead)").first).to_be_visible(timeout=120_000)
    progress = tab.get_by_test_id("stProgress")
    hide = """hidden => {
      Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    tab.evaluate(hide, True)
    for _ in range(SECONDS // 4):  # an update may be under way
        shown = progress.inner_text()
        tab.wait_for_timeout(4_000)
        if progress.inner_text() == shown:
            break
    tab.wait_for_timeout(4_000)
    assert progress.inner_text() == shown
    tab.evaluate(hide, False)
    expect(progress).not_to_have_text(shown)


def test_a_chart_is_kept_under_the_runs_name(tab):
    visit(tab, "/train?run=final&baseline=initial")
    expect(tab.locator(".stVegaLiteChart svg")).to_have_count(3)
    for kind, words in (("SVG", "final against initial: Accuracy"), ("CSV", "initial")):
        tab.get_by_role("button", name="Save Accuracy as a file").click()
        with tab.expect_download() as started:
            tab.get_by_role("menuitem", name=kind).click()
        assert started.value.suggested_filename == f"final-accuracy.{kind.lower()}"
        assert words in Path(started.value.path()).read_text(encoding="utf-8")


def test_a_chart_says_in_words_what_it_shows(tab):
    visit(tab, "/train?run=final")
    for words in ("Accuracy of final:", "Loss of final:", "Learning rate of final:"):
        expect(
            tab.locator(f".stVegaLiteChart[role=graphics-document][aria-label^='{words}']")
        ).to_be_visible()


@pytest.mark.parametrize(
    "tab", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True
)
def test_a_run_is_forked_on_a_phone(tab):
    visit(tab, "/train?run=final")
    tab.get_by_role("button", name="More").tap()
    tab.get_by_role("button", name="Fork").tap()
    expect(tab.get_by_text("Starts from the weights of final")).to_be_visible()
    expect(tab).to_have_url(re.compile("fork=final"))
    expect_no_sideways_scrolling(tab)


def test_a_link_opens_the_same_view_on_a_fresh_server(browser, checkpoints):
    with serve(checkpoints) as address:
        context = browser.new_context()
        context.set_default_timeout(90_000)
        tab = context.new_page()
        visit(tab, f"{address}/train?recipe=initial&lr=0.03&teacher=final&temperature=4")
        expect(tab.get_by_role("combobox", name="Recipe")).to_have_value("initial")
        expect(tab.get_by_text("0.03", exact=True)).to_be_visible()
        tab.locator(".st-key-train_more summary").click()
        expect(tab.get_by_role("combobox", name="Teacher")).to_have_value("final")
        expect(tab.get_by_role("spinbutton", name="Temperature")).to_have_value("4")
        for setting in ("teacher=final", "temperature=4"):
            expect(tab).to_have_url(re.compile(rf"[?&]{setting}(&|$)"))
        context.close()
