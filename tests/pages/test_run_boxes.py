"""Boxes that select runs: they show titles, and keep names in the session and in the link."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from core.data import dataset
from pages.ui.run_boxes import VIEWED, run_titles
from tests.made import made_run
from tests.opening import open_page, well
from tests.pages.reading import page_text

TITLE = "Zoë’s first network"
BOXES = (
    ("pages/train.py", "run", {}),
    ("pages/draw.py", "network", {}),
    ("pages/draw.py", "beside", {"view": "Side by side"}),
    ("pages/mistakes.py", VIEWED, {}),
    ("pages/mistakes.py", "other", {"show": "two runs"}),
    ("pages/weights.py", VIEWED, {}),
    ("pages/experiments.py", "first", {}),
    ("pages/experiments.py", "second", {"first": "final"}),
    ("pages/experiments.py", "taken", {"experiment": "Exports"}),
    ("pages/experiments.py", "tested", {"experiment": "Rate finder"}),
    ("pages/experiments.py", "repeated", {"experiment": "Repeats"}),
    ("pages/experiments.py", "swept", {"experiment": "Sweep"}),
    ("pages/runs.py", "select", {}),
)


@pytest.fixture(autouse=True)
def folder(folder, monkeypatch, digits, fresh, idle) -> Path:
    """Three runs, of which one has a title; made-up digits in place of MNIST."""
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    for name in ("final", "other", "zoe"):
        made_run(folder, name)
    entitle(folder, "zoe", TITLE)
    return folder


def entitle(folder: Path, name: str, title: str) -> None:
    file = folder / name / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"title": title}))


def box(app: AppTest, key: str):
    """The select box or the multiple one with a key."""
    return next(each for each in (*app.selectbox, *app.multiselect) if each.key == key)


def names_in_link(app: AppTest, key: str) -> list[str]:
    linked = app.query_params[key]
    return [linked] if isinstance(linked, str) else linked


def run(name: str, title: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(name=name, title=title, label=title or name)


def test_no_two_runs_are_called_the_same():
    titles = run_titles(
        [run("a", "Anna"), run("b", "Anna"), run("c", "d"), run("d"), run("e", "E")]
    )
    assert titles == {"a": "Anna (a)", "b": "Anna (b)", "c": "d (c)", "d": "d", "e": "E"}


@pytest.mark.parametrize(("page", "key", "link"), BOXES)
def test_a_box_shows_the_title_and_the_link_holds_the_name(page, key, link):
    app = open_page(page, **link)
    selects = box(app, key)
    assert TITLE in selects.options
    assert "zoe" not in selects.options
    selects.set_value(["zoe"] if key in ("beside", "select") else "zoe")
    well(app.run())
    held = app.session_state[key]
    assert "zoe" in held
    parameter = "run" if key == VIEWED else key
    assert names_in_link(app, parameter) == ([held] if isinstance(held, str) else held)
    again = open_page(page, **link, **{parameter: "zoe"})
    assert "zoe" in again.session_state[key]
    assert not again.warning


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("pages/experiments.py", {"first": "other", "second": "zoe"}),
        ("pages/mistakes.py", {"show": "two runs", "run": "other", "other": "zoe"}),
        ("pages/runs.py", {"select": ["other", "zoe"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_two_runs_of_one_title_are_told_apart_beside_each_other(folder, page, link):
    entitle(folder, "other", TITLE)
    app = open_page(page, **link)
    text = page_text(app)
    assert f"{TITLE} (other)" in text
    assert f"{TITLE} (zoe)" in text


def test_the_question_before_deleting_names_the_title():
    app = open_page("pages/runs.py", select="zoe")
    well(app.button(key="runs_delete_run").click().run())
    assert f"**{TITLE}** moves to the bin" in page_text(app)


def test_a_link_overrides_the_selection_and_the_default_leaves_it(folder):
    app = open_page("pages/weights.py", run="zoe")
    assert box(app, VIEWED).value == "zoe"
    app.query_params["run"] = "other"  # as the browser's Back button does
    assert box(well(app.run()), VIEWED).value == "other"
    box(app, VIEWED).set_value("final")
    well(app.run())
    assert "run" not in app.query_params
    assert box(well(app.run()), VIEWED).value == "final"


def test_a_selected_run_that_is_deleted_leaves_the_box(folder):
    app = open_page("pages/draw.py", view="Side by side", beside="zoe", network="zoe")
    (folder / "zoe" / "run.json").unlink()
    well(app.run())
    assert box(app, "network").value == "final"
    assert "zoe" not in box(app, "beside").value


def test_old_names_in_a_link_are_replaced():
    app = open_page("pages/mistakes.py", view="two runs", run="zoe", other="other")
    assert (app.session_state["show"], app.session_state[VIEWED]) == ("two runs", "zoe")
    app = open_page("pages/draw.py", read="a number", network="zoe")
    assert (app.session_state["reading"], app.session_state["network"]) == ("a number", "zoe")
