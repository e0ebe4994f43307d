"""A class on one server: guests and what is theirs, digits with names, a story with a remote."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.library import digits as own_digits
from core.runs import store
from pages.ui import access, guests
from pages.ui.access import ANYBODY, Person
from tests.made import made_run
from tests.opening import open_page, shown, well
from tests.pages.reading import component, components, page_text, press, press_label
from tests.strokes import DIGITS

ADA, BOB = "a" * 32, "b" * 32


@pytest.fixture
def guest(monkeypatch):
    """Make the sessions that are opened next those of a browser on another machine."""
    monkeypatch.setenv(guests.SHARED, "1")
    monkeypatch.setattr(guests, "_is_local", lambda: False)

    def become(secret: str) -> str | None:
        monkeypatch.setattr(guests, "read_browser", lambda: secret)
        return guests.guest_name()

    return become


def test_without_the_setting_everybody_may_do_everything(monkeypatch):
    monkeypatch.setattr(guests, "_is_local", lambda: False)
    for value in ("", "0", "no"):
        monkeypatch.setenv(guests.SHARED, value)
        assert access.current_person() == ANYBODY


@pytest.mark.parametrize(
    ("address", "headers", "local"),
    [
        (None, {}, True),
        (None, {"Host": "localhost:8501"}, True),
        (None, {"Host": "127.0.0.1:8501"}, True),
        (None, {"Host": "[::1]:8501"}, True),
        ("192.168.0.7", {"Host": "192.168.0.2:8501"}, False),
        (None, {"Host": "school.example"}, False),
        (None, {"Host": "localhost:8501", "X-Forwarded-For": "192.168.0.7"}, False),
        (None, {"Host": "localhost:8501", "Via": "1.1 proxy"}, False),
    ],
)
def test_whoever_sits_at_the_server_may_do_everything(address, headers, local, monkeypatch):
    context = types.SimpleNamespace(ip_address=address, headers=headers, cookies={})
    monkeypatch.setattr(guests.st, "context", context)
    monkeypatch.setenv(guests.SHARED, "1")
    assert (access.current_person() == ANYBODY) == local


def test_a_guest_is_a_hash_of_the_browsers_secret(guest):
    names = {guest(ADA), guest(BOB)}
    assert len(names) == 2
    assert all(name.startswith(guests.PREFIX) and ADA not in name for name in names)
    assert guest("") is None
    assert Person(guest(ADA), access.MEMBER).is_guest


@pytest.fixture
def of_two(folder, guest) -> Path:
    """A run of each of two guests, and one of nobody."""
    for name, secret in (("adas", ADA), ("bobs", BOB)):
        run = made_run(folder, name, done=1)
        store.update_run_json(run.folder, owner=guest(secret))
    made_run(folder, "final", done=1)
    return folder


def test_guests_delete_what_they_started_and_nothing_else(of_two, guest):
    guest(ADA)
    app = open_page("pages/runs.py", select="adas")
    assert not app.button(key="runs_delete_run").disabled
    assert list(app.dataframe[0].value.set_index("Run")["Owner"][["adas", "bobs", "final"]]) == [
        "you",
        "a guest",
        "",
    ]
    for other in ("bobs", "final"):
        app = open_page("pages/runs.py", select=other)
        assert app.button(key="runs_delete_run").disabled
        with pytest.raises(access.AccessError):
            access.check_change_runs([other])
    access.check_change_runs(["adas"])


def test_a_run_belongs_to_the_browser_that_started_it(folder, guest, idle):
    mine = guest(ADA)
    app = open_page("pages/train.py")
    press_label(app, "Start")
    assert store.list_runs()[0].owner == mine
    assert not well(app.run()).button(key="train_stop").disabled
    guest(BOB)
    app = open_page("pages/train.py", run=store.list_runs()[0].name)
    assert app.button(key="train_stop").disabled


def test_guests_are_told_and_their_browser_is_asked(folder, guest):
    guest(ADA)
    app = open_page("streamlit_app.py")
    assert any("Shared server" in each.value for each in app.sidebar.caption)
    mounted = [each.proto.component_name for each in app.get("bidi_component")]
    assert "inkling_browser" in mounted


def drawn(app: AppTest, digit: int) -> AppTest:
    app.session_state["drawing"] = {"strokes": DIGITS[digit], "version": 1}
    return well(app.run())


def test_own_digits_carry_a_name_and_are_shown_by_it(folder):
    made_run(folder, "final")
    app = drawn(open_page("pages/draw.py", view="Own digits"), 3)
    app.text_input(key="draw_own_writer").set_value("Zoë")
    press(app, "draw_own_label_3")
    app = drawn(app, 1)
    app.text_input(key="draw_own_writer").set_value("")
    press(app, "draw_own_label_1")
    writers = {digit.label: digit.writer for digit in own_digits.list_digits()}
    assert writers == {3: "Zoë", 1: None}
    app = well(app.run())
    assert "2 digits" in page_text(app)
    well(app.selectbox(key="draw_own_writer_shown").set_value("Zoë").run())
    assert "1 of 1 correct" in page_text(app) or "0 of 1 correct" in page_text(app)


def test_the_story_listens_to_a_remote_and_copies_its_link(folder):
    app = open_page("pages/story.py")
    assert component(app, "remote") == {"back": "story_back", "next": "story_next"}
    assert components(app, "copy_link") == [{"query": None, "shown": False}]
    assert shown(app.title[0].value)
