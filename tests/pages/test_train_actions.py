"""Actions on Train: one epoch, fork, delete; and damaged runs."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from core.runs import processes, status, store, trash
from core.runs.run import Run
from pages.ui.train.fork import FORK as FORK
from tests.made import damaged_run, made_run
from tests.opening import open_page, shown, well

TRAIN = "pages/train.py"
OWN = [
    {"kind": "avgpool", "kernel": 4, "stride": 4},
    {"kind": "linear", "channels": 10, "activation": "none"},
]


def button(app: AppTest, label: str):
    return next(each for each in app.button if each.label == label)


def press(app: AppTest, label: str) -> AppTest:
    button(app, label).click()
    return well(app.run())


def words(app: AppTest) -> str:
    return shown(
        "\n".join(
            each.value
            for kind in (app.markdown, app.caption, app.error, app.warning, app.info)
            for each in kind
        )
    )


def live(run: Run) -> None:
    """Let this very process stand for the run's worker."""
    status.write(run.folder, "running", "", processes.identity())


def test_one_epoch_of_a_run_that_trains_asks_for_a_pause_that_can_be_taken_back(folder, idle):
    run = made_run(folder, "mine", done=1, epochs=5, state="stopped")
    live(run)
    app = press(open_page(TRAIN, run="mine"), "One epoch")
    assert status.read_request(run.folder) == "pause-after-epoch"
    press(app, "Resume")
    assert status.read_request(run.folder) is None


def test_one_epoch_of_a_run_that_rests_starts_it(folder, idle):
    run = made_run(folder, "mine", done=1, epochs=5, state="paused")
    (run.folder / "state.pt").write_bytes(b"")
    press(open_page(TRAIN, run="mine"), "One epoch")
    assert idle == [run.folder]
    assert status.read_request(run.folder) == "pause-after-epoch"


def test_a_finished_run_has_no_epoch_left_and_one_without_weights_no_fork(folder):
    made_run(folder, "done")
    made_run(folder, "fresh", done=0, state="stopped", epochs=2)
    assert button(open_page(TRAIN, run="done"), "One epoch").disabled
    app = open_page(TRAIN, run="fresh")
    assert (button(app, "Fork").disabled, button(app, "One epoch").disabled) == (True, False)


def test_what_is_refused_is_told_in_a_sentence(folder, idle, monkeypatch):
    made_run(folder, "mine", done=0, state="stopped", epochs=2)
    monkeypatch.setenv("INKLING_MAX_EPOCHS", "1")
    app = press(open_page(TRAIN, run="mine"), "Resume")
    assert "INKLING_MAX_EPOCHS" in shown(app.toast[0].value)
    assert not idle


def test_fork_turns_to_the_set_up_with_the_runs_settings(folder, idle):
    parent = made_run(folder, "mine", done=2, epochs=7, recipe="initial", batch_size=64, layers=OWN)
    app = press(open_page(TRAIN, run="mine"), "Fork")
    assert app.selectbox(key="run").value == "new run"
    assert app.query_params[FORK] in ("mine", ["mine"])
    assert "**mine**" in words(app)
    assert app.select_slider(key="batch_size").value == 64
    assert app.selectbox(key="train_locked_network").value == "2 custom layers"
    assert app.selectbox(key="train_locked_network").disabled
    app.select_slider(key="epochs").set_value(3)
    press(well(app.run()), "Start")
    child = store.open_run("mine-fork")
    assert child.config == parent.config.changed(epochs=3)
    assert child.parent == {"name": "mine", "which": "last", "epoch": 2}
    assert (child.folder / "start.safetensors").read_bytes() == (
        parent.folder / "last.safetensors"
    ).read_bytes()
    assert app.selectbox(key="run").value == "mine-fork"
    links = [each.proto for each in app.get("page_link")]
    assert [each.query_string for each in links if "Forked from" in each.label] == ["run=mine"]
    trash.delete("mine")
    assert "Forked from **mine**, last weights, epoch 2 (no longer here)" in words(well(app.run()))
    assert FORK not in app.query_params


def test_a_link_to_a_fork_holds_what_differs_from_the_parent(folder, idle):
    made_run(folder, "mine", recipe="initial", lr=0.07, max_lr=0.07)
    app = open_page(TRAIN, fork="mine", epochs="2")
    assert app.select_slider(key="epochs").value == 2
    assert app.select_slider(key="lr").value == 0.07, "what the link leaves out is the parent's"
    press(app, "Start")
    assert store.open_run("mine-fork").parent["name"] == "mine"


def test_a_fork_can_be_dropped_and_the_settings_stay(folder, idle):
    made_run(folder, "mine", recipe="initial", lr=0.07, schedule="constant")
    app = press(press(open_page(TRAIN, run="mine"), "Fork"), "Drop")
    assert FORK not in app.query_params
    assert app.select_slider(key="lr").value == 0.07
    assert app.selectbox(key="architecture").value == "linear-7850"
    press(app, "Start")
    assert store.open_run("my-initial").parent is None


def test_a_link_that_starts_anew_drops_the_fork(folder):
    made_run(folder, "mine", lr=0.07)
    app = open_page(TRAIN, fork="mine")
    app.query_params["start"] = "final"
    well(app.run())
    assert FORK not in app.query_params
    assert app.selectbox(key="architecture").value == "original-3762"


def test_another_network_handed_over_ends_the_fork_with_a_word(folder):
    made_run(folder, "mine")
    app = open_page(TRAIN, fork="mine")
    app.session_state["train_layers"] = OWN
    well(app.run())
    assert "do not fit" in words(app)
    assert app.metric[0].value == "500"


@pytest.mark.parametrize("asked", ["nobody", "../final", "fresh", "broken"])
def test_a_fork_that_cannot_be_is_refused_in_words(asked, folder):
    made_run(folder, "fresh", done=0, state="stopped")
    damaged_run(folder, "broken")
    app = open_page(TRAIN, fork=asked)
    assert "cannot be forked" in shown(app.error[0].value)
    assert app.selectbox(key="recipe").value == "final"
    assert FORK not in app.query_params


def test_a_parent_that_went_away_meanwhile_is_told(folder, idle):
    made_run(folder, "mine")
    app = open_page(TRAIN, fork="mine")
    trash.delete("mine")
    well(app.run())
    assert "no run 'mine'" in words(app)
    assert app.selectbox(key="recipe").value == "final"


def test_delete_asks_first_and_says_where_the_run_is(folder):
    made_run(folder, "mine")
    app = press(open_page(TRAIN, run="mine"), "Delete")
    assert (folder / "mine").is_dir(), "it only asks"
    assert "bin" in words(app)
    well(app.button(key="train_delete_now").click().run())
    assert not (folder / "mine").exists()
    assert [each.name for each in trash.list_trash()] == ["mine"]
    assert app.selectbox(key="run").value == "new run"
    assert [shown(each.value) for each in app.toast] == ["mine is in the bin."]
    assert not app.warning, "deleting says one thing once"


def test_keeping_a_run_keeps_it(folder):
    made_run(folder, "mine")
    app = press(press(open_page(TRAIN, run="mine"), "Delete"), "Cancel")
    assert (folder / "mine").is_dir()
    assert app.selectbox(key="run").value == "mine"


def test_a_run_that_trains_cannot_be_deleted(folder):
    live(made_run(folder, "mine", done=1, epochs=5, state="stopped"))
    assert button(open_page(TRAIN, run="mine"), "Delete").disabled


def newer_format(values: dict) -> None:
    values["format"] += 1


def newer_field(values: dict) -> None:
    values["config"]["telepathy"] = 0.5


def newer_network(values: dict) -> None:
    values["config"]["architecture"] = "transformer-9000"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (newer_format, "another version"),
        (newer_field, "telepathy"),
        (newer_network, "transformer-9000"),
    ],
)
def test_a_run_from_a_newer_version_is_listed_and_answered_with_a_way_on(folder, change, said):
    run = made_run(folder, "mine")
    values = json.loads((run.folder / "run.json").read_text())
    change(values)
    (run.folder / "run.json").write_text(json.dumps(values))
    app = open_page(TRAIN, run="mine")
    assert "mine" in app.selectbox(key="run").options
    assert said in shown(app.error[0].value)
    assert any("new run" in each.proto.label for each in app.get("page_link"))
    press(app, "Delete")
    well(app.button(key="train_delete_now").click().run())
    assert not run.folder.exists()


@pytest.mark.parametrize("name", ["status.json", "epochs.json", "last.safetensors"])
def test_a_damaged_run_is_answered_with_the_reason(folder, name):
    run = made_run(folder, "mine")
    (run.folder / name).write_bytes(b"{")
    app = open_page(TRAIN, run="mine")
    assert "cannot be read" in shown(app.error[0].value)
    (run.folder / name).unlink()
    assert name in shown(open_page(TRAIN, run="mine").error[0].value)


def test_a_link_to_a_run_that_is_not_here_says_so(folder):
    app = open_page(TRAIN, run="gone")
    assert "'gone'" in shown(app.warning[0].value)
    assert app.selectbox(key="run").value == "new run"
    assert not open_page(TRAIN).warning


def test_a_run_that_is_damaged_while_it_is_watched_is_answered(folder, idle):
    run = made_run(folder, "mine", done=1, epochs=5, state="queued")
    app = open_page(TRAIN, run="mine")
    (run.folder / "run.json").write_text("")
    well(app.run())
    assert "cannot be read" in shown(app.error[0].value)
