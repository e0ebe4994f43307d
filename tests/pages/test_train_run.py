"""A run on Train: its table, metrics, downloads, states and buttons."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.charts import training as charts
from core.config import RunConfig
from core.runs import files, processes, run_queue, status, store
from pages.ui.run_files import epochs_csv
from pages.ui.train.run import WAITING_POLL
from tests.made import made_run
from tests.opening import open_page, shown, well

ROOT = Path(__file__).parents[2]
CHART = "vega_lite_chart"
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


def test_curves_are_made_again_only_when_the_run_has_changed(folder, monkeypatch):
    made = []
    for name in ("accuracy_chart", "loss_chart", "learning_rate_chart"):
        real = getattr(charts, name)
        monkeypatch.setattr(
            charts, name, lambda *a, real=real, name=name, **k: made.append(name) or real(*a, **k)
        )
    run = made_run(folder, "mine", done=2, epochs=5, state="stopped")
    specs = [curve.proto.spec for curve in open_page("pages/train.py", run="mine").get(CHART)]
    assert len(made) == len(specs) == 3
    app = open_page("pages/train.py", run="mine")
    assert [curve.proto.spec for curve in app.get(CHART)] == specs
    assert len(made) == 3, "the same charts were made again"
    rows = files.read_json(run.folder / "epochs.json")
    files.write_json(run.folder / "epochs.json", [*rows, {**rows[-1], "epoch": 3}])
    app.run()
    assert len(made) == 6
    assert [curve.proto.spec for curve in app.get(CHART)] != specs


def test_a_page_polls_more_slowly_while_the_run_waits_and_not_in_a_hidden_tab(folder, monkeypatch):
    polls = []
    real = st.fragment

    def fragment(function=None, *, run_every=None, key=None):
        if key == "train_run":
            polls.append(run_every)
        return real(function, run_every=run_every, key=key)

    monkeypatch.setattr(st, "fragment", fragment)
    made_run(folder, "waits", done=0, state="queued")
    made_run(folder, "stands", done=1, state="stopped")
    monkeypatch.setattr(run_queue, "start_waiting", lambda *_: [])
    open_page("pages/train.py", run="waits")
    open_page("pages/train.py", run="stands")
    assert polls == [WAITING_POLL, None]
    monkeypatch.setattr("pages.ui.polling.is_tab_hidden", lambda: True)
    open_page("pages/train.py", run="waits")
    assert polls[-1] is None


def test_a_run_can_be_taken_along_as_files_named_after_it(folder):
    run = made_run(folder, "mine", done=2)
    app = open_page("pages/train.py", run="mine")
    assert [button.proto.label for button in app.get("download_button")] == [
        "Web page (HTML)",
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
