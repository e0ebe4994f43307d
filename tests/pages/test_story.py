"""Story: all steps in order, and missing runs or digits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.recipes import RECIPES
from core.reports import report as reports
from core.reports import story
from tests.made import made_run
from tests.opening import open_page, shown, well

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def folder(tmp_path, monkeypatch, digits) -> Path:
    """Synthetic runs of the three recipes in place of the shipped ones, and synthetic digits."""
    place = tmp_path / "checkpoints"
    place.mkdir()
    for name in story.CHAPTERS:
        run = made_run(place, name, done=15, recipe=name, **RECIPES[name].config.to_dict())
        (run.folder / "report.md").write_text(
            f"# {name}\n\n## Analysis\n1. This is what {name} came to.\n"
        )
    monkeypatch.setattr(story, "SHIPPED", place)
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(tmp_path / "own"))
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    monkeypatch.setattr(reports, "html", lambda run: f"<h1>{run.name}</h1>")
    return place


def opened(**link: str) -> AppTest:
    return open_page("pages/story.py", **link)


def told(app: AppTest) -> str:
    return shown(
        "\n".join(
            each.value
            for kind in (app.header, app.markdown, app.warning, app.error)
            for each in kind
        )
    )


def place(app: AppTest) -> tuple[str, str]:
    return app.session_state["chapter"], app.session_state["step"]


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return well(app.run())


def galleries(app: AppTest) -> list[dict]:
    return [
        json.loads(each.proto.json)
        for each in app.get("bidi_component")
        if each.proto.component_name == "inkling_gallery"
    ]


def test_it_is_walked_to_its_end_and_back(folder):
    app = opened()
    assert app.button(key="story_back").disabled
    seen = [app.header[0].value]
    while not app.button(key="story_next").disabled:
        seen.append(press(app, "story_next").header[0].value)
        assert not app.error
    assert len(seen) == 1 + 7 + 7 + 8 + 1
    assert seen[0] == "The goal"
    assert seen[-1] == "Results"
    assert seen.count("Never the same image twice") == 1, "only the taught run was augmented"
    for _ in seen[1:]:
        press(app, "story_back")
    assert app.header[0].value == "The goal"


def test_a_chapter_begins_at_its_first_step(folder):
    app = opened(chapter="Taught", step="Mistakes")
    assert place(app) == ("Taught", "Mistakes")
    app.segmented_control(key="chapter").set_value("Initial")
    assert place(well(app.run())) == ("Initial", "Targets")
    assert app.header[0].value == "Initial"


@pytest.mark.parametrize(
    "link",
    [
        {"chapter": "Initial", "step": "Augmentation"},
        {"chapter": "x", "step": "y"},
        {"chapter": "The end", "step": "Curves"},
        {"step": "Curves"},
    ],
)
def test_it_opens_with_any_link(folder, link):
    assert opened(**link).header[0].value


def test_what_changed_stands_beside_what_was_before(folder):
    rows = told(opened(chapter="Taught"))
    config = RECIPES["taught"].config
    assert f"| Augmentation | none | {config.augmentation} |" in rows
    assert f"| Augmented epochs | 0 of 15 | {round(15 * config.augment_fraction)} of 15 |" in rows


def test_the_words_are_those_of_the_runs(folder):
    app = opened(chapter="Intermediate", step="Analysis")
    before, run = (story.open_shipped_run(name, folder) for name in ("initial", "intermediate"))
    for line in (
        story.describe_size(run, before),
        story.describe_gap_change(run, before),
        story.describe_goal(run),
    ):
        assert line in told(app)
    assert "No clear difference" in told(app) or "is better by" in told(app)


def test_mistakes_are_shown_as_pixels_paired_between_two_runs(folder):
    app = opened(chapter="Taught", step="Mistakes")
    assert "mistakes fixed" in app.header[0].value
    gone, came = (int(word) for word in app.header[0].value.split() if word.isdigit())
    shown = {each["cells"][0]["alt"].split(":")[0]: each for each in galleries(app)}
    assert len(shown) == bool(gone) + bool(came)
    assert all(len(each["cells"]) <= 15 for each in shown.values())


@pytest.mark.parametrize("name", story.CHAPTERS)
def test_the_shipped_report_is_shown_and_can_be_taken_along(folder, name):
    app = opened(chapter=story.chapter_title(name), step="Report")
    assert f"This is what {name} came to." in told(app)
    assert "\n# " not in told(app), "a page has one title"
    assert {each.proto.label for each in app.get("download_button")} == {
        "HTML, with charts",
        "Markdown",
    }


def test_the_end_shows_what_all_of_them_misread(folder):
    app = opened(chapter="The end")
    assert "| Initial | 16,530 |" in told(app)
    assert "Misclassified by all three" in told(app)
    assert "start=final" in [each.proto.query_string for each in app.get("page_link")]


def test_an_own_run_of_that_name_is_not_told(folder, tmp_path):
    made_run(tmp_path / "own", "taught", done=2, architecture="linear-7850")
    assert "3,762" in opened(chapter="Taught", step="Network").header[0].value


def test_a_run_that_is_missing_or_damaged_is_named_and_the_others_are_told(folder):
    shutil.rmtree(folder / "initial")
    (folder / "taught" / "run.json").write_text("no json")
    app = opened(chapter="The end")
    assert "'initial'" in shown(app.warning[0].value)
    assert "taught" in shown(app.warning[0].value)
    while not app.button(key="story_next").disabled:
        press(app, "story_next")
    assert place(app) == ("Intermediate", "Report")


def test_without_any_run_the_goal_is_left(folder):
    for name in story.CHAPTERS:
        shutil.rmtree(folder / name)
    app = opened()
    assert app.header[0].value == "The goal"
    assert app.button(key="story_next").disabled


@pytest.mark.parametrize(
    ("chapter", "step"),
    [
        ("Taught", "Mistakes"),
        ("Taught", "Augmentation"),
        ("Intermediate", "Analysis"),
        ("The end", "Targets"),
    ],
)
def test_digits_that_are_not_here_are_offered(folder, monkeypatch, chapter, step):
    monkeypatch.setattr(dataset, "load", lambda progress: progress("Fetching", 0.0))
    app = opened(chapter=chapter, step=step)
    assert any("MNIST" in each.value for each in app.info)
