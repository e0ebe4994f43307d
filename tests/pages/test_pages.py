"""Every page without runs, with runs and with damaged ones; Home and Draw in particular."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from core.config import RunConfig
from core.runs import files, store
from tests.made import damaged_run, made_run
from tests.opening import open_page, shown, well
from tests.strokes import DIGITS

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


def link(app: AppTest, label: str):
    return next(each for each in app.get("page_link") if label in each.proto.label)


def some_runs(folder: Path) -> None:
    made_run(folder, "final", recipe="final", done=15, epochs=15)
    made_run(folder, "halfway", done=1, state="stopped", epochs=4)
    made_run(folder, "fresh", done=0, state="queued", epochs=4)
    damaged_run(folder, "broken")
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
    assert shown(well(app.run()).error[0].value)


def test_no_rerun_goes_through_all_objects_of_python():
    assert config.get_option("runner.postScriptGC") is False
