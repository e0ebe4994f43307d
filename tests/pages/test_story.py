"""Story: all steps in order, and missing runs or digits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.experiments.measurements import Measurements, config_key
from core.recipes import RECIPES
from core.reports import report as reports
from core.reports import story
from core.reports.worksheets import NAMES
from core.rungs import RUNGS, rung_configs
from pages.ui.controls import field_label
from pages.ui.story.chapters import list_chapters
from pages.ui.story.steps import AUGMENTATION
from pages.ui.words import format_setting
from tests.made import made_run, measured
from tests.opening import open_page, shown, well

pytestmark = pytest.mark.usefixtures("fresh")
CHANGES = [rung.title for rung in RUNGS.values()]


@pytest.fixture
def folder(tmp_path, monkeypatch, digits) -> Path:
    """Synthetic runs of the chapters in place of the shipped ones, and synthetic digits."""
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
    ).replace("\u00a0", " ")


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
    runs = {name: story.open_shipped_run(name) for name in story.CHAPTERS}
    chapters = list_chapters(runs, Measurements())
    assert len(seen) == sum(len(steps) for steps in chapters.values())
    assert seen[0] == "The goal"
    assert seen[-1] == "Results"
    assert [title for title in seen if title in CHANGES] == CHANGES
    count = seen.count(AUGMENTATION)
    assert count == 3, "Initial and Intermediate train without augmentation"
    for _ in seen[1:]:
        press(app, "story_back")
    assert app.header[0].value == "The goal"


def test_the_chapters_are_one_path(folder):
    runs = {name: story.open_shipped_run(name) for name in story.CHAPTERS}
    chapters = list_chapters(runs, Measurements())
    assert list(chapters) == list(NAMES), "each has a worksheet"
    titles = [RECIPES[name].title for name in story.CHAPTERS]
    assert list(chapters) == [
        "The goal",
        *titles[:3],
        "One change at a time",
        *titles[3:],
        "The end",
    ]
    keys = [config_key(config) for config in rung_configs().values()]
    to_final = keys.index(config_key(RECIPES["final"].config)) + 1
    assert list(chapters["One change at a time"]) == CHANGES[:to_final]
    beyond = CHANGES[to_final:]
    assert beyond
    assert list(chapters["Taught"])[1 : 1 + len(beyond)] == beyond


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
    rows = told(opened(chapter="Final, as published"))
    config = RECIPES["final-published"].config
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


def test_each_chapter_has_a_worksheet_to_print_and_to_keep(folder):
    app = opened(chapter="Initial")
    app.session_state["story_worksheet"] = True
    well(app.run())
    [sheet] = [
        json.loads(each.proto.json)["html"]
        for each in app.get("bidi_component")
        if each.proto.component_name == "inkling_print_button"
    ]
    run = story.open_shipped_run("initial", folder)
    assert f"{run.parameters:,} parameters" in sheet
    shutil.rmtree(folder / "initial")
    assert any("'initial'" in shown(each.value) for each in app.run().error)


def test_the_end_shows_what_all_of_them_misread(folder):
    app = opened(chapter="The end")
    assert "| Initial | 16,530 |" in told(app)
    assert "Misclassified by all 5" in told(app)
    assert "start=final" in [each.proto.query_string for each in app.get("page_link")]


def test_an_own_run_of_that_name_is_not_told(folder, tmp_path):
    made_run(tmp_path / "own", "intermediate", done=2, architecture="linear-7850")
    assert "3,762" in opened(chapter="Intermediate", step="Network").header[0].value


def test_a_run_that_is_missing_or_damaged_is_named_and_the_others_are_told(folder):
    shutil.rmtree(folder / "initial")
    (folder / "taught" / "run.json").write_text("no json")
    app = opened(chapter="The end")
    assert "'initial'" in shown(app.warning[0].value)
    assert "taught" in shown(app.warning[0].value)
    while not app.button(key="story_next").disabled:
        press(app, "story_next")
    assert app.header[0].value == "Results"


def test_without_any_run_the_measured_figures_are_left(folder):
    for name in story.CHAPTERS:
        shutil.rmtree(folder / name)
    app = opened()
    seen = [app.header[0].value]
    while not app.button(key="story_next").disabled:
        seen.append(press(app, "story_next").header[0].value)
    assert seen[0] == "The goal"
    assert [title for title in seen if title in CHANGES] == CHANGES
    assert len([title for title in seen if title.startswith("The original")]) == 3
    assert len(seen) == 1 + 3 + len(CHANGES)


FIRST = next(iter(RUNGS))


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        (
            (99.40, 99.42, 99.44),
            "The accuracy is significantly higher. The mean over 3 seeds is 99.420 % instead of "
            "99.300 %",
        ),
        ((99.20, 99.19, 99.21), "The accuracy is significantly lower."),
        ((99.31, 99.29, 99.32), "No significant difference; it could be chance."),
    ],
)
def test_a_change_is_measured_against_the_step_before(folder, figures, accuracies, words):
    figures(measured("final-published", 99.28, 99.30, 99.32), measured(FIRST, *accuracies))
    app = opened(chapter="One change at a time")
    assert app.header[0].value == RUNGS[FIRST].title
    assert words in told(app)
    assert len(app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")) == 1
    for name, (was, now) in story.changed_settings(
        rung_configs()[FIRST], RECIPES["final-published"].config
    ).items():
        assert f"| {field_label(name)} | {format_setting(was)} | {format_setting(now)} |" in told(
            app
        )


def test_a_change_that_is_not_measured_says_how_to_measure_it(folder, figures):
    figures(measured("final-published", 99.28, 99.30, 99.32), measured(FIRST, 99.4))
    app = opened(chapter="One change at a time")
    assert f"python tests/benchmarks/recipes.py {FIRST} --write" in told(app)


def test_the_originals_table_stands_beside_ours(folder, figures):
    figures(measured("final-published", 99.28, 99.30, 99.33, best=99.36))
    app = opened(chapter="Final, as published", step="The original")
    assert "99.43 % is the best of 15 epochs on the test images" in told(app)
    assert "whose last epoch has 99.35 %" in told(app)
    assert "99.303 % is the mean of 3 seeds" in told(app)
    assert "| 11 | **99.43 %** | 98.90 % | 98.88–98.93 |" in told(app)


def test_without_figures_the_originals_table_stands_alone(folder, figures):
    app = opened(chapter="Initial", step="The original")
    assert "| 15 | 99.15 % |" in told(app)
    assert "recipes.py initial-published --write" in told(app)


@pytest.mark.parametrize("text", [None, "{"])
def test_figures_that_cannot_be_read_are_named(folder, figures, tmp_path, text):
    if text:
        (tmp_path / "figures.json").write_text(text)
    app = opened(chapter="One change at a time")
    assert "cannot be read" in told(app)
    assert "recipes.py" in told(app)


def test_the_end_has_the_means_over_seeds(folder, figures):
    figures(measured("initial", 99.1, 99.2, 99.3))
    row = next(line for line in told(opened(chapter="The end")).splitlines() if "| Initial" in line)
    assert row.endswith("| 99.200 | 98.95–99.45 |")


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
