"""Every page in its empty, normal and broken states, run without a browser."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.config import RunConfig
from core.recipes import RECIPES
from core.runs import files, processes, status, store
from core.training.results import TestResult
from pages.ui import words
from pages.ui.run_files import epochs_csv
from tests.made import made_run
from tests.opening import open_page, well
from tests.strokes import DIGITS

ROOT = Path(__file__).parents[2]
PAGES = [
    "streamlit_app.py",
    *sorted(f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")),
]
SETTINGS = [name for name in RunConfig().to_dict() if name not in ("layers", "transforms")]


def text(app: AppTest) -> str:
    """All words on a page."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.error, app.metric)
    words = [f"{getattr(each, 'label', '')} {each.value}" for kind in kinds for each in kind]
    return "\n".join([*words, *(each.proto.body for each in app.get("html"))])


def link(app: AppTest, label: str):
    return next(each for each in app.get("page_link") if label in each.proto.label)


def some_runs(folder: Path) -> None:
    made_run(folder, "final", recipe="final", done=15, epochs=15)
    made_run(folder, "halfway", done=1, state="stopped", epochs=4)
    made_run(folder, "fresh", done=0, state="queued", epochs=4)
    (folder / "broken").mkdir()
    (folder / "newer").mkdir()
    (folder / "newer" / "run.json").write_text(json.dumps({"format": 99, "config": {}}))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_nothing_trained(page, folder):
    assert open_page(page).title[0].value


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_runs_damaged_ones_among_them(page, folder, idle):
    some_runs(folder)
    assert open_page(page).title[0].value


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_a_link_full_of_nonsense(page, folder):
    open_page(
        page, run="../../etc", network="nobody", start="cake", recipe="cake", lr="-3", epochs="1e99"
    )
    open_page(page, run="x" * 10_000, start="", batch_size="nan", augmentation="<script>")


def test_home_invites_when_nothing_is_trained(folder):
    app = open_page("streamlit_app.py")
    assert "Nothing trained yet" in text(app)
    assert link(app, "Train").proto.query_string == "start=final"


def test_home_lists_runs_and_says_what_is_damaged(folder, idle):
    some_runs(folder)
    app = open_page("streamlit_app.py")
    assert list(app.dataframe[0].value["Run"]) == ["fresh", "halfway", "final"]
    assert "broken cannot be read" in text(app)
    assert "newer cannot be read" in text(app)
    assert "another version" in text(app)
    assert any("fresh" in each.proto.label for each in app.get("page_link")), "what runs is linked"


def test_home_marks_the_runs_that_reach_the_goal(folder):
    made_run(folder, "good", done=2)
    rows = files.read_json(folder / "good" / "epochs.json")
    rows[-1]["val_correct"] = 9_940
    files.write_json(folder / "good" / "epochs.json", rows)
    made_run(folder, "bad", done=2)
    goals = open_page("streamlit_app.py").dataframe[0].value.set_index("Run")["Goal"]
    assert goals.to_dict() == {"good": "by one run", "bad": ""}


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


def test_a_link_sets_the_controls(folder):
    app = open_page(
        "pages/train.py", recipe="initial", lr="0.03", epochs="3", optimizer="adam", nesterov="true"
    )
    assert app.selectbox(key="recipe").value == "initial"
    assert app.select_slider(key="lr").value == 0.03
    assert app.select_slider(key="epochs").value == 3
    assert app.selectbox(key="optimizer").value == "adam"
    assert app.toggle(key="nesterov").value is True
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
    opened = [
        open_page("pages/train.py", schedule=schedule, teacher="master").session_state
        for schedule in ("one-cycle", "exponential")
    ]
    assert not [name for name in SETTINGS if not any(name in each for each in opened)]


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
    rows = '[{"kind":"conv","channels":4,"kernel":28},{"kind":"linear","channels":10,"activation":"none"}]'
    app = open_page("pages/train.py", layers=rows, transforms='[{"kind":"blur"}]')
    assert app.metric[0].value == f"{28 * 28 * 4 + 4 + 50:,}"
    assert app.session_state["train_transforms"][0]["kind"] == "blur"
    assert "blur" in str(app.query_params["transforms"])


@pytest.mark.parametrize(
    "text", ["[", "[1]", '[{"kind":"conv","kernel":40}]', '[{"kind":"maxpool"}]', "nonsense"]
)
def test_rows_in_the_link_that_make_no_network_are_named(text, folder):
    app = open_page("pages/train.py", layers=text)
    assert "layers cannot be used" in app.error[0].value
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


@pytest.mark.parametrize("name", ["../out", "taken", "con", "a/b"])
def test_a_name_that_cannot_be_had_is_refused_in_words(name, folder, idle):
    made_run(folder, "taken")
    app = open_page("pages/train.py")
    app.text_input(key="train_name").set_value(name)
    start(app)
    assert app.error[0].value
    assert [run.name for run in store.list_runs()] == ["taken"]
    assert not idle


def test_a_run_is_shown_with_its_table_and_figures(folder):
    made_run(folder, "mine", done=2, epochs=5, state="stopped", recipe="final")
    app = open_page("pages/train.py", run="mine")
    told = text(app)
    assert all(
        column in told for column in ("TrainCorrect", "ValCorrect", "ValAcc", "94.00\u00a0%")
    )
    assert told.count("class=ahead") == 3, "the epochs to come stand below"
    assert len(app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")) == 3
    assert "**Epochs** 5 :gray[instead of 15]" in told


def test_a_run_can_be_taken_along_as_files_named_after_it(folder):
    run = made_run(folder, "mine", done=2)
    app = open_page("pages/train.py", run="mine")
    assert [button.proto.label for button in app.get("download_button")] == [
        "Epoch table (CSV)",
        "Report (Markdown)",
        "Whole run (zip)",
    ]
    table = pd.read_csv(io.StringIO(epochs_csv(run)))
    assert list(table["epoch"]) == [1, 2]
    assert list(table["val_accuracy"]) == [row.val_accuracy for row in run.epochs]
    made_run(folder, "new", done=0, state="stopped")
    assert not open_page("pages/train.py", run="new").get("download_button")


def test_the_rate_of_a_running_run_can_be_changed(folder, idle):
    run = made_run(folder, "mine", done=2, epochs=5, state="stopped")
    status.write(run.folder, "running", "", processes.identity())
    app = open_page("pages/train.py", run="mine")
    app.select_slider(key="train_multiplier_mine").set_value(0.5)
    well(app.run())
    assert status.read_lr_factor(run.folder) == 0.5


def test_an_accuracy_comes_with_its_interval(folder):
    run = made_run(folder, "mine", done=2)
    assert (
        words.describe_interval(run)
        == "Measured on 10,000 test images; 95\u00a0% confidence interval: 93.52 to 94.45\u00a0%."
    )
    assert words.describe_interval(made_run(folder, "new", done=0, state="stopped")) == ""
    assert words.describe_test(run) == ""
    held = made_run(folder, "held", holdout=10_000)
    assert "10,000 validation (hold-out) images" in words.describe_interval(held)
    told = words.describe_test(dataclasses.replace(held, test=TestResult(0.02, 9_938, 10_000)))
    assert (
        told
        == "Measured once, after training, on the 10,000 test images: 99.38\u00a0% (99.21 to 99.52)."
    )


@pytest.mark.parametrize(
    "state", [state for state in status.STATES if state not in ("running", "pausing")]
)
def test_every_state_can_be_looked_at(state, folder, idle):
    made_run(folder, "mine", done=1, epochs=3, state=state, message="so it goes")
    app = open_page("pages/train.py", run="mine")
    assert state in text(app) or (state == "queued" and idle)
    assert bool(app.error) == (state in ("failed", "diverged", "crashed"))


def test_a_run_that_went_away_gives_way_to_a_new_one(folder):
    assert open_page("pages/train.py", run="gone").selectbox(key="run").value == "new run"


def test_stop_and_go_on(folder, idle):
    made_run(folder, "mine", done=1, epochs=3, state="paused")
    (folder / "mine" / "state.pt").write_bytes(b"")
    app = open_page("pages/train.py", run="mine")
    next(button for button in app.button if button.label == "Resume").click()
    well(app.run())
    assert store.open_run("mine").state == "running"
    next(button for button in app.button if button.label == "Stop").click()
    well(app.run())
    assert status.read_request(folder / "mine") == "stop"


def test_draw_without_networks_shows_the_input_and_the_way_to_one(folder):
    app = open_page("pages/draw.py")
    assert link(app, "Train").proto.query_string == "start=final"


def drawn(app: AppTest, digit: int) -> AppTest:
    app.session_state["drawing"] = {"strokes": DIGITS[digit], "version": 1}
    return well(app.run())


def component(app: AppTest, name: str) -> dict:
    each = next(
        each for each in app.get("bidi_component") if each.proto.component_name == f"inkling_{name}"
    )
    return json.loads(each.proto.json)


def test_draw_asks_the_chosen_network_all_shipped_ones_and_ones_own_newest(folder):
    for name in ("initial", "final", "mine", "other"):
        made_run(folder, name)
    app = drawn(open_page("pages/draw.py", network="mine"), 3)
    shown = component(app, "readout")
    assert len(shown["pixels"]) == 784
    assert max(shown["pixels"]) == 255
    assert sum(shown["probabilities"]) == pytest.approx(1, abs=0.001)
    cards = component(app, "cards")
    names = [entry["name"] for entry in cards["cards"]]
    assert (names[:2], set(names[2:])) == (["initial", "final"], {"mine", "other"})
    assert cards["selected"] == "mine"


def test_draw_waits_for_the_first_stroke(folder):
    made_run(folder, "final")
    shown = component(open_page("pages/draw.py"), "readout")
    assert shown["pixels"] is shown["probabilities"] is shown["digit"] is None


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(b"no weights"), Path.unlink])
def test_weights_that_went_bad_are_named_and_the_others_still_answer(folder, harm):
    made_run(folder, "final")
    made_run(folder, "mine")
    app = open_page("pages/draw.py", network="mine")
    harm(folder / "mine" / "last.safetensors")
    assert {run.state for run in store.list_runs()} == {"finished", "damaged"}
    app = drawn(app, 5)
    assert app.selectbox(key="network").value == "final", "the damaged run is no longer offered"
    assert component(app, "readout")["digit"] is not None


@pytest.mark.parametrize("strokes", ["<script>", [["a"]], [[[0.5, None]]]])
def test_strokes_that_are_none_are_refused_in_words(folder, strokes):
    made_run(folder, "final")
    app = open_page("pages/draw.py")
    app.session_state["drawing"] = {"strokes": strokes, "version": 1}
    assert well(app.run()).error[0].value
