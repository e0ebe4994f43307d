"""Links to Train: every setting, and the lessons of a class, up to the board."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from core.config import RunConfig
from core.recipes import RECIPES
from core.runs import processes, status, store
from tests.made import made_run
from tests.opening import open_page, shown, well
from tests.pages.reading import component, page_links, page_text, press, press_label

TRAIN, BOARD = "pages/train.py", "pages/board.py"
LESSON = {
    "prefix": "class-7b",
    "ask": "name",
    "seeds": "each",
    "controls": "epochs,batch_size",
    "recipe": "initial",
    "max_lr": "0.03",
    "architecture": "linear-7850",
}


def copied(app: AppTest) -> dict[str, str]:
    """The values of the link that the button copies."""
    return dict(parse_qsl(component(app, "copy_link")["query"]))


def start(app: AppTest, name: str = "") -> AppTest:
    app.text_input(key="train_name").set_value(name)
    return press_label(app, "Start")


def test_the_copied_link_has_every_setting(folder, idle):
    app = open_page(TRAIN, recipe="initial", max_lr="0.03", epochs="3", momentum_cycle="true")
    well(app.number_input(key="seed").set_value(7).run())
    link = copied(app)
    assert link == {
        "recipe": "initial",
        "max_lr": "0.03",
        "epochs": "3",
        "momentum_cycle": "true",
        "seed": "7",
    }
    again = open_page(TRAIN, **link)
    start(app, "one")
    start(again, "two")
    assert store.open_run("one").config == store.open_run("two").config


def test_a_copied_link_keeps_the_rows_of_a_network(folder, idle):
    app = open_page(TRAIN, layers='[{"kind":"linear","activation":"none"}]')
    again = open_page(TRAIN, **copied(app))
    start(again, "one")
    assert len(store.open_run("one").config.layers) == 1


def test_the_menu_makes_a_link_for_a_class(folder):
    app = open_page(TRAIN, recipe="initial")
    app.text_input(key="train_link_prefix").set_value("class-7b")
    app.toggle(key="train_link_ask").set_value(True)
    app.toggle(key="train_link_seeds").set_value(True)
    app.multiselect(key="train_link_controls").set_value(["epochs"])
    link = copied(well(app.run()))
    assert link == {
        "recipe": "initial",
        "prefix": "class-7b",
        "ask": "name",
        "seeds": "each",
        "controls": "epochs",
    }


def test_a_lesson_shows_only_its_controls_and_fixes_the_rest(folder, idle):
    app = open_page(TRAIN, **LESSON)
    assert [each.key for each in app.select_slider] == ["batch_size", "epochs"]
    assert not [each for each in app.selectbox if each.key != "run"]
    assert app.metric[0].value == "7,850"
    assert f"Your random seed: {app.session_state['train_own_seed']}" in page_text(app)
    well(app.select_slider(key="epochs").set_value(2).run())
    start(app, "Ada")
    run = store.open_run("class-7b-Ada")
    expected = RECIPES["initial"].config.changed(
        max_lr=0.03, architecture="linear-7850", epochs=2, seed=run.config.seed
    )
    assert run.config == expected
    assert (run.tags, run.title, run.recipe) == (("class-7b",), "Ada", "initial")


def test_a_lesson_that_asks_for_a_name_starts_nothing_without_one(folder, idle):
    app = start(open_page(TRAIN, **LESSON))
    assert "name" in app.error[0].value
    assert store.list_runs() == []


def test_everybody_gets_another_seed_and_keeps_it(folder, idle):
    apps = [open_page(TRAIN, **LESSON) for _ in range(3)]
    for number, app in enumerate(apps):
        start(app, f"pupil {number}")
    seeds = {run.config.seed for run in store.list_runs()}
    assert len(seeds) == 3
    app = well(apps[0].selectbox(key="run").set_value("new run").run())
    assert app.text_input(key="train_name").value == "pupil 0"
    press_label(app, "Start")
    assert {run.config.seed for run in store.list_runs()} == seeds


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Zoë Müller", "class-7b-Zoe-Muller"),
        ("Анна", "class-7b"),
        ("小明", "class-7b"),
        ("Ada", "class-7b-Ada"),
    ],
)
def test_names_of_any_script_are_shown_and_folders_stay_safe(text, name, folder, idle):
    start(open_page(TRAIN, **LESSON), text)
    run = store.open_run(name)
    assert run.label == text
    assert text in shown("".join(page_links(open_page("streamlit_app.py"))))
    assert text in page_text(open_page(TRAIN, run=name))


def test_without_a_lesson_a_name_with_spaces_is_a_title(folder, idle):
    start(open_page(TRAIN), "My first run")
    assert store.open_run("My-first-run").title == "My first run"
    start(open_page(TRAIN), "plain")
    assert store.open_run("plain").title is None


@pytest.mark.parametrize("text", ["../x", "a/b", "<b>", "a\u202eb", "![p](x)"])
def test_other_characters_are_refused(text, folder, idle):
    app = start(open_page(TRAIN), text)
    assert app.error
    assert store.list_runs() == []


def test_a_lesson_outlives_a_visit_elsewhere_and_can_be_left(folder):
    app = open_page(TRAIN, **LESSON)
    well(app.switch_page("pages/data.py").run())
    app = well(app.switch_page(TRAIN).run())
    assert [each.key for each in app.select_slider] == ["batch_size", "epochs"]
    app = press(app, "train_leave_lesson")
    assert len(app.select_slider) == 4
    assert "prefix" not in app.query_params


@pytest.mark.parametrize(
    "link",
    [
        {"controls": "nothing,else"},
        {"controls": "epochs", "recipe": "cake"},
        {"controls": "epochs", "lr": "no number"},
        {"prefix": "../../x", "ask": "everything", "seeds": "none"},
        {"prefix": "\u202e<script>", "controls": "layers"},
    ],
)
def test_a_lesson_that_is_wrong_opens_the_page(link, folder):
    assert open_page(TRAIN, **link).title[0].value == "Train"


def test_the_board_has_who_trains_what_and_compares_in_one_click(folder, idle):
    made_run(folder, "class-7b-ada", done=3)
    made_run(folder, "class-7b-bob", done=1, max_lr=0.05, state="stopped", epochs=4)
    made_run(folder, "class-7b-eve", done=0, max_lr=0.05, epochs=4, state="queued")
    busy = made_run(folder, "other", done=3, epochs=5)
    status.write(busy.folder, "running", "", processes.identity())
    app = open_page(BOARD, board="class-7b")
    table = app.dataframe[0].value
    assert list(table["Name"]) == ["class-7b-ada", "class-7b-bob", "class-7b-eve"]
    assert list(table["Peak learning rate"]) == [RunConfig().max_lr, 0.05, 0.05]
    assert table["State"][2].startswith("Queued, 1 of 1, starts in about")
    assert "class-7b-ada" in page_text(app)
    press(app, "board_compare")
    assert app.title[0].value == "Runs"
    assert app.multiselect(key="select").value == ["class-7b-ada", "class-7b-bob"]


def test_one_run_that_is_selected_on_the_board_can_be_opened(folder):
    runs = [made_run(folder, f"class-7b-{name}") for name in ("ada", "bob")]

    def page() -> None:
        from core.runs.store import open_run
        from pages.ui.board.table import _draw_compare

        members = [open_run("class-7b-ada"), open_run("class-7b-bob")]
        _draw_compare(members, members[1:])

    app = well(AppTest.from_function(page).run())
    assert [shown(button.label) for button in app.button] == [f"Open {runs[1].label}"]


def test_the_board_without_runs_says_how_to_make_one(folder):
    assert "Train" in page_links(open_page(BOARD))
    app = open_page(BOARD, board="class-9")
    assert "class-9" in page_text(app)
