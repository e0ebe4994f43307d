"""A class on a shared server: the teacher's link, a pupil's name, the run, and the board."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from serving import serve, watched_page
from waiting import visit

from core.runs.store import open_run

QUICK = "recipe=initial&architecture=linear-7850&epochs=1&batch_size=2048"
# Resolves to this machine, but is no name that only its own browsers use.
HOST = "class.localhost"


def delete_button(tab, run: str):
    """The button that deletes a run, in the menu of its page."""
    visit(tab, f"/train?run={run}")
    tab.get_by_role("button", name="More").click()
    return tab.get_by_role("button", name="Delete")


@pytest.mark.mnist
def test_a_class_from_the_teachers_link_to_the_board(browser, checkpoints, guests, mnist):
    options = ("--server.allowedHosts", "localhost", "--server.allowedHosts", HOST)
    with serve(checkpoints, *options, INKLING_SHARED="1") as here:
        there = here.replace("localhost", HOST)
        with watched_page(browser, here) as teacher:
            visit(teacher, f"/train?{QUICK}")
            teacher.get_by_role("button", name="Share").click()
            teacher.get_by_role("textbox", name="Name prefix").fill("class-7b")
            teacher.keyboard.press("Enter")
            teacher.get_by_text("Require a name").click()
            link = teacher.get_by_role("textbox", name="Link")
            expect(link).to_have_value(re.compile("prefix=class-7b.*ask=name"))
            query = link.input_value().partition("?")[2]
        with watched_page(browser, there) as pupil, watched_page(browser, there) as other:
            visit(pupil, f"/train?{query}&controls=epochs")
            expect(pupil.get_by_text("Shared server")).to_be_visible()
            expect(pupil.get_by_role("combobox", name="Network")).to_have_count(0)
            pupil.get_by_placeholder("Your name").fill("Zoë")
            pupil.keyboard.press("Enter")
            pupil.get_by_role("button", name="Start").click()
            expect(pupil.get_by_text("Zoë").first).to_be_visible()
            expect(pupil.get_by_text("finished").first).to_be_visible(timeout=120_000)
            run = open_run("class-7b-Zoe", checkpoints)
            assert (run.label, run.tags) == ("Zoë", ("class-7b",))
            other.goto("/board?board=class-7b")
            expect(other.get_by_text(re.compile("Best: Zoë"))).to_be_visible()
            expect(delete_button(other, run.name)).to_be_disabled()
            expect(delete_button(pupil, run.name)).to_be_enabled()
