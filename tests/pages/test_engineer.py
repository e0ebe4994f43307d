"""What an engineer needs of many runs: columns, conditions, sweeps in one row, rows of networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.experiments import overview
from core.recipes import RECIPES
from core.runs import files, store
from core.runs.config_file import write_config
from core.runs.run import Run
from core.training.effects import unused_fields
from tests.made import made_run
from tests.opening import HOME, open_page, shown, well
from tests.pages.reading import component, components, page_text, press, press_and_rerun

RUNS, TRAIN, DRAW, EXPERIMENTS = (
    f"pages/{name}.py" for name in ("runs", "train", "draw", "experiments")
)


@pytest.fixture
def sweep(folder) -> Path:
    """A sweep of four runs, the second of which is the best, and a run of its own."""
    made_run(folder, "alone", done=3)
    for slot, (correct, rate) in enumerate(((9_000, 0.01), (9_700, 0.1), (9_500, 0.5)), 1):
        run = made_run(folder, f"find-{slot:03d}", holdout=5_000, max_lr=rate)
        rows = files.read_json(run.folder / "epochs.json")
        files.write_json(
            run.folder / "epochs.json", [*rows[:-1], {**rows[-1], "val_correct": correct}]
        )
    made_run(folder, "find-004", done=0, state="stopped", holdout=5_000)
    for slot in range(1, 5):
        store.annotate(f"find-{slot:03d}", tags=("find",))
    return folder


def listed(app) -> list[str]:
    return list(app.dataframe[0].value["Run"])


def test_a_sweep_is_one_entry_with_its_best_run(sweep):
    runs = [run for run in store.list_runs() if isinstance(run, Run)]
    (entry,) = overview.find_sweeps(runs)
    assert [run.name for run in entry.runs] == ["find-002", "find-003", "find-001", "find-004"]
    assert overview.current_accuracy(entry) == 97.0
    assert not overview.reaches_goal(entry)
    assert overview.entry_key(entry) == "find (sweep)"
    for order in overview.listing.SORT_KEYS:
        assert len(overview.fold_groups(runs, runs, order)) == 2


def test_a_tag_alone_makes_no_sweep(folder):
    for name in ("find-a", "find-b", "other-001"):
        made_run(folder, name)
        store.annotate(name, tags=("find",))
    assert overview.find_sweeps(store.list_runs()) == []


def test_a_sweep_folds_on_home_runs_and_draw(sweep):
    assert set(open_page(HOME).dataframe[0].value["Run"]) == {"find", "alone"}
    app = open_page(RUNS)
    assert set(listed(app)) == {"find", "alone"}
    assert set(listed(open_page(RUNS, apart="true"))) == {
        "find",
        "alone",
        *(f"find-{slot:03d}" for slot in range(1, 5)),
    }
    assert set(open_page(DRAW).selectbox(key="network").options) == {"find-002", "alone"}
    assert "find-001" in open_page(DRAW, network="find-001").selectbox(key="network").options
    assert set(open_page(TRAIN).selectbox(key="run").options) == {"new run", "find-002", "alone"}
    app = open_page(TRAIN, run="find-003")
    assert app.selectbox(key="run").value == "find-003"
    assert {"find-002", "alone"} <= set(app.selectbox(key="run").options)


def test_a_sweep_is_one_row_in_the_lists_of_experiments(sweep):
    others = {f"find-{slot:03d}" for slot in (1, 3, 4)}
    for experiment, key in (
        ("Compare", "first"),
        ("Repeats", "repeated"),
        ("Rate finder", "tested"),
        ("Exports", "taken"),
    ):
        options = set(open_page(EXPERIMENTS, experiment=experiment).selectbox(key=key).options)
        assert "find-002" in options
        assert not options & others, experiment
    app = open_page(EXPERIMENTS, experiment="Exports", taken="find-003")
    assert app.selectbox(key="taken").value == "find-003", "a link may name any run"


def test_a_selected_sweep_shows_its_settings_as_lines(sweep):
    app = open_page(RUNS, select="find (sweep)")
    text = page_text(app)
    assert "Best run: find-002" in text
    assert "Settings and accuracy" in text
    press_and_rerun(app, "runs_select_sweep")
    assert app.multiselect(key="select").value[0] == "find-002"
    assert len(app.multiselect(key="select").value) == 4


def test_any_setting_and_measure_can_be_a_column_and_an_order(sweep):
    app = open_page(RUNS, apart="true", find="find- max_lr > 0.05")
    well(app.multiselect(key="columns").set_value(["State", "max_lr", "val_loss"]).run())
    table = app.dataframe[0].value
    assert list(table.columns) == ["", "Run", "State", "max_lr", "val_loss"]
    assert "max_lr, highest first" in app.selectbox(key="order").options
    well(app.selectbox(key="order").set_value("max_lr, lowest first").run())
    folded = [name for name in listed(app) if name != "find"]
    assert folded == ["find-002", "find-003"]


def test_a_link_is_a_saved_view(sweep):
    app = open_page(
        RUNS, find="max_lr >= 0.5", apart="true", columns="max_lr", order="max_lr, highest first"
    )
    assert listed(app)[-1] == "find-003"
    assert list(app.dataframe[0].value.columns) == ["", "Run", "max_lr"]
    assert components(app, "copy_link")


def test_a_condition_that_means_nothing_is_said(four_runs):
    app = open_page(RUNS, find="cake > 3")
    assert "cake" in shown(app.warning[0].value)
    assert len(listed(app)) == 4


def test_networks_differ_by_row_and_not_as_json(folder):
    small = [{"kind": "linear", "channels": 10, "activation": "none"}]
    made_run(folder, "one", layers=small)
    made_run(folder, "two", layers=[{"kind": "maxpool"}, *small])
    app = open_page(RUNS)
    well(app.multiselect(key="select").set_value(["one", "two"]).run())
    text = page_text(app)
    assert "Max pooling 2x2" in text
    assert '"kind"' not in text


def test_curves_of_a_selection_are_smoothed(four_runs):
    app = open_page(RUNS, select="final")
    before = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
    well(app.select_slider(key="smooth").set_value(5).run())
    after = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
    assert before[0].proto != after[0].proto


def test_the_loss_of_batches_is_smoothed(four_runs):
    app = open_page(TRAIN, run="final")
    assert app.select_slider(key="smoothing").value == 2.5
    well(app.select_slider(key="smoothing").set_value(20.0).run())


def test_settings_go_out_and_come_in_as_a_file(folder, idle):
    run = made_run(folder, "one", max_lr=0.0123, seed=9, optimizer="adam")
    app = open_page(TRAIN)
    file = ("one.json", write_config(run.config).encode(), "application/json")
    well(app.file_uploader(key="train_config_0").set_value(file).run())
    assert "one.json" in shown(app.toast[0].value)
    app.text_input(key="train_name").set_value("two")
    well(next(button for button in app.button if button.label.startswith("Start")).click().run())
    unused = unused_fields(run.config)
    differing = store.open_run("two").config.differences(run.config).keys() - unused.keys()
    assert not differing
    again = open_page(TRAIN)
    nearest = RECIPES["taught"].config.changed(seed=3, max_lr=0.0987)
    file = ("nearest.json", write_config(nearest).encode(), "application/json")
    well(again.file_uploader(key="train_config_0").set_value(file).run())
    assert again.selectbox(key="recipe").value == "taught"
    again = open_page(TRAIN)
    file = ("bad.json", b'{"cake": 1}', "application/json")
    well(again.file_uploader(key="train_config_0").set_value(file).run())
    assert "cake" in page_text(again)


def test_repeats_set_their_epochs_and_take_a_run_as_their_first(folder, idle):
    made_run(folder, "one", seed=5)
    app = open_page(EXPERIMENTS, experiment="Repeats", repeated="one", times="3")
    well(app.number_input(key="experiments_repeat_epochs_one").set_value(7).run())
    assert not [each for each in app.toggle if each.key == "experiments_repeat_first"]
    well(app.number_input(key="experiments_repeat_epochs_one").set_value(3).run())
    well(app.toggle(key="experiments_repeat_first").set_value(True).run())
    press(app, "experiments_start_group")
    runs = [run for run in store.list_runs() if run.group == "one-repeats"]
    assert sorted((run.config.seed, run.name) for run in runs) == [
        (5, "one"),
        (6, "one-repeats-s6"),
        (7, "one-repeats-s7"),
    ]


def test_exports_have_the_settings_and_the_events(folder):
    made_run(folder, "one")
    app = open_page(EXPERIMENTS, experiment="Exports", taken="one")
    keys = [button.proto.id for button in app.get("download_button")]
    assert any("experiments_save_report-config_json" in key for key in keys)
    assert any("experiments_save_report_tfevents" in key for key in keys)


def test_the_copied_link_of_a_fork_names_its_parent(folder):
    made_run(folder, "one", max_lr=0.02)
    app = open_page(TRAIN, fork="one", epochs="9")
    query = component(app, "copy_link")["query"]
    assert "fork=one" in query
    assert "epochs=9" in query
    assert json.dumps(query)
