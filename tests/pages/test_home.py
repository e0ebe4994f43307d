"""Home: with no run, with a few, with hundreds, and with one that reaches the goal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core.experiments import c_headers
from core.experiments.public_networks import PUBLIC_NETWORKS
from core.recipes import RECIPES
from core.runs import files, run_queue, store
from pages.ui.home import first_network
from tests.made import damaged_run, made_run, measured
from tests.opening import HOME, open_page, shown, well

pytestmark = pytest.mark.usefixtures("figures")


def scored(folder: Path, name: str, correct: int, **config) -> None:
    """A finished run with so many of 10,000 images right at its end."""
    run = made_run(folder, name, done=3, **config)
    rows = [dict(row) for row in files.read_json(run.folder / "epochs.json")]
    rows[-1]["val_correct"] = correct
    files.write_json(run.folder / "epochs.json", rows)


def links(app: AppTest) -> dict[str, str]:
    return {
        shown(each.proto.label): f"{each.proto.page}?{each.proto.query_string}"
        for each in app.main.get("page_link")
    }


def told(app: AppTest) -> str:
    return shown("\n".join(each.value for kind in (app.markdown, app.caption) for each in kind))


def charts(app: AppTest) -> list:
    return app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")


def test_there_are_three_ways_to_start(folder):
    ways = list(links(open_page(HOME)).values())
    assert [target.split("?")[0] for target in ways] == ["story", "train", "draw"]
    assert any(target.endswith("start=final") for target in ways)


def points(app: AppTest) -> list[dict]:
    """What the chart shows: the rows of recipes, runs and public networks."""
    chart = json.loads(charts(app)[0].proto.spec)
    frames = {each.name: each.data.data for each in charts(app)[0].proto.datasets}
    tables = {name: pa.ipc.open_stream(data).read_pandas() for name, data in frames.items()}
    found = []
    for layer in chart["layer"]:
        if layer["mark"]["type"] == "point":
            found += tables[layer["data"]["name"]].to_dict("records")
    return found


def test_without_runs_and_figures_the_public_networks_are_left(folder):
    app = open_page(HOME)
    assert "reaches it" not in told(app)
    assert {row["source"] for row in points(app)} == {each.source for each in PUBLIC_NETWORKS}


def test_all_runs_with_an_accuracy_are_in_the_picture(folder):
    made_run(folder, "tiny")
    made_run(folder, "mine")
    made_run(folder, "new", done=0, state="stopped")
    app = open_page(HOME)
    assert len(charts(app)) == 1
    assert "2 points" in charts(app)[0].proto.alt
    assert {row.get("run") for row in points(app)} == {"tiny", "mine", None}


def test_a_recipe_stands_at_the_mean_of_its_seeds_instead_of_at_its_shipped_run(folder, figures):
    made_run(folder, "teacher")
    figures(measured("tiny", 99.3, 99.4, 99.5), measured("best", 99.6))
    made_run(folder, "tiny")
    rows = [row["sample"] for row in points(open_page(HOME)) if row.get("run") == "tiny"]
    assert len(rows) == 2, "its config is not the recipe's"

    shutil.rmtree(folder / "tiny")
    made_run(folder, "tiny", done=15, **RECIPES["tiny"].config.to_dict())
    rows = [row for row in points(open_page(HOME)) if row.get("run") == "tiny"]
    assert len(rows) == 1
    assert rows[0]["accuracy"] == pytest.approx(99.4)
    assert rows[0]["low"] == pytest.approx(99.152, abs=1e-3)
    assert rows[0]["sample"].startswith("mean of 3 seeds, last epoch")


def test_a_recipe_that_is_not_here_is_offered_for_training(folder, figures):
    figures(measured("tiny", 99.3, 99.4, 99.5))
    app = AppTest.from_file(Path(__file__).parents[2] / HOME, default_timeout=60)
    app.session_state["home_opened"] = "tiny"
    assert app.run().title[0].value == "Train"
    assert app.selectbox(key="recipe").value == "tiny"


def test_the_table_says_where_each_run_stands(folder):
    made_run(folder, "whole", done=3, epochs=3)
    made_run(folder, "half", done=2, epochs=5, state="stopped")
    states = open_page(HOME).dataframe[0].value.set_index("Run")["State"]
    assert dict(states) == {"whole": "3 epochs", "half": "stopped, 2 of 5 epochs"}


def test_runs_that_reach_the_goal_get_a_badge(folder):
    scored(folder, "good", 9_941)
    scored(folder, "large", 9_990, architecture="initial")
    badges = {
        label: target for label, target in links(open_page(HOME)).items() if "-badge" in label
    }
    assert badges == {
        ":gray-badge[:material/flag: good reaches it: 99.41\u00a0%, one run]": "train?run=good"
    }


def test_a_group_earns_its_badge_by_its_mean_and_stands_before_a_lucky_run(folder):
    scored(folder, "once", 9_990)
    for name, all_correct in (("safe", (9_942, 9_944)), ("lucky", (9_955, 9_920))):
        for seed, correct in enumerate(all_correct, 1):
            scored(folder, f"{name}-s{seed}", correct, seed=seed, group=name)
    app = open_page(HOME)
    badges = [
        (label.partition("]")[0].split(": ", 1)[1], target)
        for label, target in links(app).items()
        if "-badge" in label
    ]
    assert badges == [
        ("safe reaches it: 99.43\u00a0%, mean of 2 seeds", "runs?select=safe+%28group%29"),
        ("once reaches it: 99.90\u00a0%, one run", "train?run=once"),
    ]
    goals = app.dataframe[0].value.set_index("Run")["Goal"]
    assert dict(goals) == {"lucky": "", "safe": "reached", "once": "by one run"}
    assert "3 points" in charts(app)[0].proto.alt


def test_many_that_reach_it_are_counted(folder):
    for number in range(5):
        scored(folder, f"good-{number}", 9_941 + number)
    app = open_page(HOME)
    badges = [label for label in links(app) if "-badge" in label]
    assert len(badges) == 3
    assert "good-4" in badges[0]
    assert "and 2 more" in told(app)


def test_the_nearest_is_named_where_none_reaches_it(folder):
    scored(folder, "near", 9_936)
    scored(folder, "far", 9_000)
    scored(folder, "large", 9_990, architecture="initial")
    assert "near comes closest, with 99.36\u00a0%" in told(open_page(HOME))


def test_a_run_that_is_picked_is_opened(folder):
    made_run(folder, "mine")
    app = AppTest.from_file(Path(__file__).parents[2] / HOME, default_timeout=60)
    app.session_state["home_opened"] = "mine"
    assert app.run().title[0].value == "Train"
    assert app.selectbox(key="run").value == "mine"


def test_many_damaged_folders_do_not_fill_the_page(folder):
    for number in range(9):
        damaged_run(folder, f"broken-{number}")
    app = open_page(HOME)
    assert told(app).count("cannot be read") == 6
    assert "4 more cannot be read" in told(app)


def test_300_runs_are_no_trouble(folder):
    made_run(folder, "try-0")
    for number in range(1, 300):
        shutil.copytree(folder / "try-0", folder / f"try-{number}")
    app = open_page(HOME)
    assert len(app.dataframe[0].value) == 8
    assert any("300 runs" in label for label in links(app))


def test_a_first_network_is_three_choices_and_a_start_away(folder, idle, monkeypatch):
    monkeypatch.setattr(first_network.dataset, "load_digits", lambda: {"test": None})
    app = open_page(HOME)
    assert "on this machine" not in told(app), "nothing was measured or trained here"
    monkeypatch.setattr(first_network.time_estimate, "estimate_seconds", lambda *known: 42.4)
    assert "about 42 s on this machine" in told(well(app.run()))
    app.select_slider(key="home_epochs").set_value(1)
    app.button_group(key="home_network").set_value("One layer")
    app.run().button(key="home_start").click()
    well(app.run())
    run = store.open_run("first-network")
    assert [path.name for path in idle] == ["first-network"]
    assert (run.config.architecture, run.config.epochs) == ("linear-7850", 1)
    assert app.title[0].value == "Train"


def test_the_first_network_steps_back_once_something_was_trained(folder, idle):
    made_run(folder, "mine")
    app = open_page(HOME)
    assert not app.main.get("select_slider")
    assert "Train your first network" in [each.label for each in app.expander]


def test_waiting_runs_are_in_the_order_of_the_queue(folder, idle):
    for name in ("first", "second", "third"):
        made_run(folder, name, done=0, state="queued", epochs=4)
    run_queue.move("third", 0)
    names = [label for label, target in links(open_page(HOME)).items() if "train?run=" in target]
    assert names == ["**third**", "**first**", "**second**"]


def test_the_chart_can_count_bytes(folder, tmp_path, monkeypatch):
    made_run(folder, "mine")
    header = c_headers.MeasuredHeader(
        "final", "int8", 0, 3_782, 6_384, 1_500, "Arm Cortex-M4", 617_184, 9_941, 10_000, True
    )
    monkeypatch.setattr(c_headers, "FILE", tmp_path / "headers.json")
    app = open_page(HOME)
    assert not [each for each in app.get("button_group") if each.key == "home_size"]
    c_headers.write_headers([header], tmp_path / "headers.json")
    app = open_page(HOME)
    (switch,) = (each for each in app.get("button_group") if each.key == "home_size")
    switch.set_value("bytes")
    app = well(app.run())
    public = {each.weights for each in c_headers.PUBLIC_HEADERS}
    assert {row["parameters"] for row in points(app)} == {3_782, *public}
    assert "3,782 bytes" in charts(app)[0].proto.alt
    assert "Fine-tuned in integers: final." in " ".join(each.value for each in app.caption)
