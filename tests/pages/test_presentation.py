"""The story presented: its slides, what each of them opens, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.recipes import RECIPES
from core.reports import story
from core.rungs import RUNGS, rung_configs
from pages.ui.story import pictures
from tests.made import made_run, measured
from tests.opening import ROOT, open_page, shown
from tests.pages.test_any_link import NAMES

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def folder(tmp_path, monkeypatch, digits) -> Path:
    """Synthetic runs of two chapters in place of the shipped ones, and synthetic digits."""
    place = tmp_path / "checkpoints"
    place.mkdir()
    for name in ("initial", "final-published"):
        made_run(place, name, done=15, recipe=name, **RECIPES[name].config.to_dict())
    monkeypatch.setattr(story, "SHIPPED", place)
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(tmp_path / "own"))
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    # Drawing the charts takes seconds; the reports' tests do it.
    monkeypatch.setattr(pictures, "render_svg", lambda chart, width: "<svg/>")
    return place


def presented(app: AppTest) -> dict:
    """What the page gives the browser."""
    [found] = [
        each
        for each in app.get("bidi_component")
        if each.proto.component_name == "inkling_presentation"
    ]
    return json.loads(found.proto.json)


def test_the_slides_say_what_the_steps_say_and_open_pages(folder, figures):
    first = next(iter(RUNGS))
    figures(
        measured("final-published", 99.28, 99.30, 99.32),
        measured(first, 99.40, 99.42, 99.44),
    )
    given = presented(open_page("pages/story.py", slide="initial-gap"))
    slides = {slide["name"]: slide for slide in given["slides"]}
    assert given["linked"] == "initial-gap"
    assert len(slides) == len(given["slides"]), "a link opens one slide"
    assert set(RUNGS) < set(slides)
    assert list(slides)[:2] == ["goal", "initial-network"]
    # The figures and sentences of the steps.
    run, later = (story.open_shipped_run(name) for name in ("initial", "final-published"))
    for name, text in {
        "initial-network": story.describe_size(run),
        "initial-accuracy": story.describe_goal(run),
        "initial-gap": story.describe_fit(run)[1],
        "final-published-gap": story.describe_gap_change(later, run),
        "final-published-augmentation": story.describe_augmented_epochs(later.config),
    }.items():
        assert slides[name]["text"] == text.replace(" %", "\u00a0%")
    assert slides[first]["text"].endswith("The accuracy is significantly higher.")
    assert slides[first]["figures"]["Now"] == "99.420\u00a0%"
    assert slides[first]["picture"]["svg"]
    assert all("%" not in slide["text"].replace("\u00a0%", "") for slide in slides.values())
    # Each opens a page, with settings that the page knows.
    known = {*NAMES.split(), *RECIPES["final"].config.to_dict()}
    for slide in slides.values():
        page, _, query = slide["link"].partition("?")
        assert (ROOT / "pages" / f"{page}.py").is_file()
        assert set(parse_qs(query)) <= known, slide["link"]
        assert slide["task"].endswith((".", "?"))
    query = parse_qs(slides[first]["link"].partition("?")[2])
    assert query["recipe"] == ["final-published"]
    assert float(query["ema_decay"][0]) == rung_configs()[first].ema_decay


def test_slides_are_made_when_they_are_asked_for_from_what_is_there(folder, monkeypatch):
    assert presented(open_page("pages/story.py")) == {"slides": None, "linked": ""}
    whole = presented(open_page("pages/story.py", slide="goal"))["slides"]
    monkeypatch.setattr(dataset, "load", lambda progress: progress("Fetching", 0.0))
    st.cache_resource.clear()
    app = open_page("pages/story.py", slide="no-such-slide")
    assert "no-such-slide" in shown(app.warning[-1].value)
    left = presented(app)["slides"]
    assert {slide["name"] for slide in whole} - {slide["name"] for slide in left} == {
        "initial-mistakes",
        "final-published-mistakes",
        "shared-mistakes",
    }
