"""Sweeps on the Experiments page: setting one up, watching it, and what it found."""

from __future__ import annotations

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.experiments import repeats
from core.sweeps import storage as sweep_storage
from core.sweeps import study
from core.sweeps import worker as sweep_worker
from core.sweeps.storage import STORAGE
from core.sweeps.sweep import HOLDOUT
from pages.ui.experiments.sweeps import NEW_SWEEP, SEEDS
from tests.core.sweeps import sweeping
from tests.opening import open_page, well
from tests.pages.reading import page_text


@pytest.fixture(autouse=True)
def quick(folder, idle, digits, monkeypatch):
    """An empty folder, no processes, made-up digits, and no waiting."""
    st.cache_data.clear()
    monkeypatch.setattr(dataset, "load", lambda folder=None, progress=None: digits)
    monkeypatch.setattr(sweep_worker, "LOOK_SECONDS", 0.0)
    yield
    sweep_storage._open.cache_clear()


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """The sweeps that a process would have been started for."""
    asked: list[str] = []
    monkeypatch.setattr(sweep_worker, "start", asked.append)
    return asked


def opened(**link: str) -> AppTest:
    return open_page("pages/experiments.py", experiment="Sweep", **link)


def finished(**more):
    study.create(sweeping.made(**more))
    return sweep_worker.run_worker("made", report=lambda words: None, train=sweeping.epochs)


def test_a_sweep_is_set_up_and_begun(started):
    app = opened(swept="intermediate", vary="max_lr", vary_max_lr="0.02..0.2:log", sweep_runs="3")
    assert "The test images play no part" in page_text(app)
    app.multiselect(key="vary").set_value(["max_lr", "widths", "augmentation"])
    well(app.run())
    app.text_input(key="vary_widths").set_value("4..8..2")
    app.multiselect(key="vary_augmentation").set_value(["none", "final-moves"])
    app.text_input(key="experiments_sweep_name").set_value("mine")
    well(app.button(key="experiments_start_sweep").click().run())
    assert started == ["mine"]
    sweep = study.read("mine").sweep
    assert (sweep.runs, sweep.recipe, sweep.config.holdout) == (3, "intermediate", HOLDOUT)
    assert sweep.space["max_lr"].text == "0.02..0.2:log"
    assert sweep.space["rows.1.channels"].text == "4..8..2"
    assert sweep.space["augmentation"].choices == ("none", "final-moves")
    assert "No run is finished yet" in page_text(app)
    assert app.selectbox(key="sweep").value == "mine"
    well(app.button(key="experiments_resume_sweep").click().run())
    assert started == ["mine", "mine"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [("fast", "must be a number"), ("0.2..0.1", "the lower one"), ("", "at least one")],
)
def test_what_is_no_range_is_answered_in_a_sentence(started, typed, words):
    app = opened()
    app.text_input(key="vary_max_lr").set_value(typed)
    app.button(key="experiments_start_sweep").click().run()
    assert words in app.error[0].value
    assert not app.exception
    assert study.list_names() == started == []


def test_a_sweep_without_a_name_gets_a_free_one(started):
    study.create(sweeping.made("initial-sweep"))
    app = opened(sweep=NEW_SWEEP, swept="initial", sweep_runs="2")
    well(app.button(key="experiments_start_sweep").click().run())
    assert started == ["initial-sweep-2"]


def test_a_finished_sweep_shows_what_it_found(started):
    found = finished(runs=6)
    app = well(opened(sweep="made"))
    assert f"{found.best.accuracy:.2f} % by {found.best.run}" in page_text(app)
    assert {button.key for button in app.button} >= {"experiments_train_winner"}
    assert not {button.key for button in app.button} & {
        "experiments_stop_sweep",
        "experiments_resume_sweep",
    }
    assert len(app.dataframe[0].value) == 6
    app.selectbox(key="slice").set_value("ema_decay")
    well(app.run())


def test_a_sweep_that_is_not_here_is_named_and_the_newest_shown(started):
    study.create(sweeping.made("older"))
    study.create(sweeping.made("newer"))
    app = well(opened(sweep="elsewhere"))
    assert "no sweep elsewhere" in app.warning[0].value
    assert app.selectbox(key="sweep").value == "newer"


def test_the_winner_is_trained_on_everything(started, idle):
    found = finished(runs=4)
    app = opened(sweep="made")
    well(app.button(key="experiments_train_winner").click().run())
    (group,) = repeats.list_groups()
    assert group.name == f"made-{found.best.slot:03d}-all"
    assert len(group.runs) == SEEDS
    assert group.name in page_text(app)
    assert idle


def test_a_stopped_sweep_goes_on(started, monkeypatch):
    study.create(sweeping.made())
    monkeypatch.setattr(sweep_worker, "is_working", lambda name: True)
    app = opened(sweep="made")
    well(app.button(key="experiments_stop_sweep").click().run())
    assert study.read("made").stopped
    monkeypatch.setattr(sweep_worker, "is_working", lambda name: False)
    app = opened(sweep="made")
    well(app.button(key="experiments_resume_sweep").click().run())
    assert started == ["made"]


def test_a_storage_that_cannot_be_reached_is_told(monkeypatch):
    monkeypatch.setenv(STORAGE, "postgresql://me:secret@127.0.0.1:1/db")
    app = opened()
    assert "cannot be used" in app.error[0].value
    assert "secret" not in page_text(app)
    assert not app.exception


def test_a_shared_sweep_tells_what_machines_run(monkeypatch, tmp_path, started):
    monkeypatch.setenv(STORAGE, f"sqlite:///{tmp_path / 'shared.db'}")
    study.create(sweeping.made())
    app = well(opened(sweep="made"))
    assert "python -m core sweep work made --storage $INKLING_STORAGE" in app.code[0].value


def test_hostile_entries_of_a_shared_storage_are_shown_as_text(monkeypatch, tmp_path, started):
    from optuna.trial import TrialState, create_trial

    monkeypatch.setenv(STORAGE, f"sqlite:///{tmp_path / 'shared.db'}")
    finished(runs=4)
    hostile, _ = study.load("made")
    image = "![x](http://127.0.0.1:1/x.png)"
    entries = {"slot": 1, "accuracy": 1e30, "parameters": "7", "seconds": -1, "run": image}
    for state in (TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL):
        for slot in (1, 2, 10**9, "2"):
            value = 1e300 if state is TrialState.COMPLETE else None
            attributes = {**entries, "slot": slot, "machine": image, "reason": [image]}
            hostile.add_trial(create_trial(state=state, value=value, user_attrs=attributes))
    app = opened()
    assert not app.exception
    assert image not in page_text(app)
