"""Train's set-up: recipes, links, custom rows, the preview, and the start of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.config import RunConfig
from core.library.digits import save_digit
from core.recipes import RECIPES
from core.runs import run_names, store
from tests.made import made_run
from tests.opening import open_page, shown, well

ROOT = Path(__file__).parents[2]
PAGES = [
    "streamlit_app.py",
    *sorted(f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")),
]
SETTINGS = [name for name in RunConfig().to_dict() if name not in ("layers", "transforms")]


def text(app: AppTest) -> str:
    """All words on a page."""
    kinds = (app.title, app.header, app.markdown, app.caption, app.error, app.metric)
    words = [f"{getattr(each, 'label', '')} {each.value}" for kind in kinds for each in kind]
    return shown("\n".join([*words, *(each.proto.body for each in app.get("html"))]))


def test_train_starts_with_the_final_recipe(folder):
    app = open_page("pages/train.py")
    final = RECIPES["final"].config
    assert app.selectbox(key="recipe").value == "final"
    assert {name: app.session_state[name] for name in SETTINGS if name in app.session_state} == {
        name: value for name, value in final.to_dict().items() if name in app.session_state
    }
    assert app.metric[0].value == "3,762"


@pytest.mark.parametrize("recipe", RECIPES)
def test_choosing_a_recipe_sets_every_control(recipe, folder):
    app = open_page(
        "pages/train.py",
        recipe="final" if recipe == "initial" else "initial",
        epochs="40",
        momentum="0.5",
    )
    app.selectbox(key="recipe").set_value(recipe)
    well(app.run())
    for name, value in RECIPES[recipe].config.to_dict().items():
        if name in app.session_state:
            assert app.session_state[name] == value, name


@pytest.mark.parametrize("recipe", ["final-published", "tiny"])
def test_a_recipe_is_chosen_from_the_list(recipe, folder):
    app = open_page("pages/train.py", momentum="0.5")
    assert not [each for each in app.button if each.label.startswith("**")]
    app.session_state["train_recipe_list"] = True
    listed = [each.label for each in well(app.run()).button if each.label.startswith("**")]
    assert listed == [f"**{each.title}** :gray[{each.summary}]" for each in RECIPES.values()]
    app.button(key=f"train_recipe_{recipe}").click()
    well(app.run())
    assert app.selectbox(key="recipe").value == recipe
    assert app.session_state["momentum"] == RECIPES[recipe].config.momentum
    assert not app.session_state["train_recipe_list"]


def test_a_link_sets_the_controls(folder):
    app = open_page(
        "pages/train.py",
        recipe="initial",
        lr="0.03",
        epochs="3",
        optimizer="adam",
        momentum_cycle="true",
    )
    assert app.selectbox(key="recipe").value == "initial"
    assert app.select_slider(key="lr").value == 0.03
    assert app.select_slider(key="epochs").value == 3
    assert app.selectbox(key="optimizer").value == "adam"
    assert app.toggle(key="momentum_cycle").value is True
    assert app.selectbox(key="architecture").value == "initial", (
        "what the link leaves out is the recipe's"
    )


def test_a_link_that_starts_anew_wins_over_what_was_set(folder):
    made_run(folder, "mine")
    app = open_page("pages/train.py", recipe="initial", lr="0.03")
    app.selectbox(key="run").set_value("mine")
    well(app.run())
    app.query_params["start"] = "final"
    well(app.run())
    assert (app.selectbox(key="recipe").value, app.select_slider(key="lr").value) == ("final", 0.05)
    assert "start" not in app.query_params


def test_every_field_of_the_config_has_a_control(folder):
    made_run(folder, "master")
    save_digit(np.full((28, 28), 9, np.uint8), 3, name="anna")
    link = {"teacher": "master", "digits": "anna", "optimizer": "sgd", "holdout": "100"}
    opened = [
        open_page("pages/train.py", schedule=schedule, **link).session_state
        for schedule in ("one-cycle", "exponential")
    ]
    assert not [name for name in SETTINGS if not any(name in each for each in opened)]


def test_fields_without_effect_have_no_control(folder):
    app = open_page("pages/train.py", recipe="initial", optimizer="adam", schedule="cosine")
    for name in ("nesterov", "warmup", "gamma", "teacher_share", "temperature", "holdout_seed"):
        assert name not in app.session_state, name
    assert app.select_slider(key="max_lr").disabled
    assert not app.select_slider(key="lr").disabled


def test_rows_handed_over_are_trained_until_they_are_dropped(folder, idle):
    app = AppTest.from_file(ROOT / PAGES[0], default_timeout=30).switch_page("pages/train.py")
    app.session_state["train_layers"] = [{"kind": "linear", "channels": 10, "activation": "none"}]
    app.session_state["train_transforms"] = [{"kind": "blur"}]
    well(app.run())
    assert app.metric[0].value == "7,850"
    start(app)
    config = store.open_run("my-final").config
    assert len(config.layers) == len(config.transforms) == 1
    app.selectbox(key="run").set_value("new run")
    next(
        button for button in well(app.run()).button if button.label == "Back to original-3762"
    ).click()
    assert well(app.run()).metric[0].value == "3,762"


def test_rows_of_ones_own_live_in_the_link(folder):
    rows = (
        '[{"kind":"conv","channels":4,"kernel":28},'
        '{"kind":"linear","channels":10,"activation":"none"}]'
    )
    app = open_page("pages/train.py", layers=rows, transforms='[{"kind":"blur"}]')
    assert app.metric[0].value == f"{28 * 28 * 4 + 4 + 50:,}"
    assert app.session_state["train_transforms"][0]["kind"] == "blur"
    assert "blur" in str(app.query_params["transforms"])


@pytest.mark.parametrize(
    "text", ["[", "[1]", '[{"kind":"conv","kernel":40}]', '[{"kind":"maxpool"}]', "nonsense"]
)
def test_rows_in_the_link_that_make_no_network_are_named(text, folder):
    app = open_page("pages/train.py", layers=text)
    assert "layers cannot be used" in shown(app.error[0].value)
    assert app.metric[0].value == "3,762"


def test_the_preview_follows_the_controls(folder):
    app = open_page("pages/train.py")
    app.selectbox(key="architecture").set_value("initial")
    app.select_slider(key="batch_size").set_value(64)
    well(app.run())
    assert [each.value for each in app.metric[:2]] == ["16,530", "938"]
    assert "8,530 over" in text(app)
    assert "Conv2d-10" in text(app)


def start(app: AppTest) -> AppTest:
    next(button for button in app.button if button.label == "Start").click()
    return well(app.run())


def test_start_makes_the_run_that_the_controls_describe(folder, idle):
    app = open_page("pages/train.py")
    app.select_slider(key="epochs").set_value(2)
    app.text_input(key="train_name").set_value("mine")
    start(app)
    run = store.open_run("mine")
    assert run.config == RECIPES["final"].config.changed(epochs=2)
    assert run.recipe == "final"
    assert idle == [folder / "mine"]
    assert app.selectbox(key="run").value == "mine", "the page turns to the run"
    assert "running" in text(app)


def test_start_finds_a_free_name(folder, idle):
    for _ in range(2):
        start(open_page("pages/train.py"))
    assert {run.name for run in store.list_runs()} == {"my-final", "my-final-2"}


def test_two_who_type_the_same_title_at_once_get_two_runs(folder, idle, monkeypatch):
    """The second one has looked for a free name before the first run is there."""
    monkeypatch.setattr(run_names, "name_and_title", lambda text, prefix="": ("Zoe-S", "Zoë S."))
    for _ in range(2):
        app = open_page("pages/train.py")
        app.text_input(key="train_name").set_value("Zoë S.")
        start(app)
    assert {run.name: run.title for run in store.list_runs()} == {
        "Zoe-S": "Zoë S.",
        "Zoe-S-2": "Zoë S.",
    }


@pytest.mark.parametrize("name", ["../out", "taken", "con", "a/b"])
def test_a_name_that_cannot_be_had_is_refused_in_words(name, folder, idle):
    made_run(folder, "taken")
    app = open_page("pages/train.py")
    app.text_input(key="train_name").set_value(name)
    start(app)
    assert shown(app.error[0].value)
    assert [run.name for run in store.list_runs()] == ["taken"]
    assert not idle
