"""What pages and reports say about a run is about this run, and links are taken at their word."""

from __future__ import annotations

import pytest

from core.data import dataset
from core.experiments.settings import list_changes
from core.recipes import RECIPES
from core.reports.report import write_html, write_markdown
from core.runs import files, store
from core.training import environment
from pages.ui import words
from tests.made import made_run
from tests.opening import HOME, open_page, shown, well
from tests.pages.reading import page_links, page_text

pytestmark = pytest.mark.usefixtures("fresh", "idle")

LINEAR = (
    {"kind": "avgpool", "kernel": 4, "stride": 4},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
OTHER = (
    {"kind": "avgpool", "kernel": 7, "stride": 7},
    {"kind": "linear", "channels": 10, "activation": "none"},
)


@pytest.fixture
def no_dataset(monkeypatch):
    monkeypatch.setattr(dataset, "is_present", lambda *rest: False)


@pytest.fixture
def here(digits, monkeypatch):
    monkeypatch.setattr(dataset, "load", lambda *rest, **options: digits)
    return digits


@pytest.mark.parametrize("recipe", ["sprint", "final"])
def test_a_report_describes_the_run_and_not_the_recipe_it_started_from(folder, no_dataset, recipe):
    text = write_markdown(made_run(folder, "small", recipe=recipe, layers=LINEAR))
    assert RECIPES[recipe].summary not in text
    for target in RECIPES[recipe].targets:
        assert target not in text
    opening = text.split("## ")[0]
    assert "500 parameters" in opening
    assert f"It started from the recipe {recipe}" in opening.replace("\\", "")


def test_a_report_of_the_recipe_itself_has_its_words(folder, no_dataset):
    config = RECIPES["initial"].config.to_dict()
    run = made_run(folder, "initial", recipe="initial", done=15, **{**config, "seed": 7})
    assert RECIPES["initial"].summary in write_markdown(run)


@pytest.mark.parametrize("write", [write_markdown, write_html])
def test_a_report_states_everything_about_how_the_run_was_trained(folder, no_dataset, write):
    run = made_run(
        folder,
        "mine",
        seed=42,
        optimizer="sgd",
        momentum=0.8,
        weight_decay=0.001,
        schedule="triangle",
        augmentation="stretch",
        augment_fraction=0.5,
        epochs=4,
        done=4,
    )
    runtime = run.runtime.changed(
        inkling="1.2.3",
        commit="abc123def456+",
        python="3.13.1",
        torch="2.14.1",
        packages={"numpy": "2.4.0"},
        machine="Some CPU, 2 cores, Linux",
    )
    store.update_run_json(run.folder, runtime=runtime.to_dict())
    text = write(store.open_run("mine"))
    for part in (
        "Seed: 42",
        "Optimizer: sgd, momentum 0.8, weight decay 0.001",
        "Schedule: triangle",
        "Augmentation: stretch in the first 2 of 4 epochs",
        "Precision: fp32, layout contiguous, 1 thread",
        f"Date: {run.created:%d %B %Y}",
        "Inkling 1.2.3, commit abc123def456+, Python 3.13.1, torch 2.14.1, numpy 2.4.0",
        "Machine: Some CPU, 2 cores, Linux",
    ):
        assert part in text, part


def test_what_a_run_was_trained_with_is_recorded():
    assert environment.list_packages()["torch"]
    assert "core" in environment.describe_machine()
    commit = environment.find_commit()
    assert commit == "" or len(commit.rstrip("+")) == 12


def test_a_folder_that_is_no_repository_of_its_own_has_no_commit(tmp_path):
    (tmp_path / "core").mkdir()
    assert environment.find_commit(tmp_path) == ""


def test_rows_of_the_user_stand_for_the_name_that_they_replace():
    final = RECIPES["final"].config
    own, other = final.changed(layers=LINEAR), final.changed(layers=OTHER)
    (change,) = list_changes(own, final)
    assert (change.field, change.now, change.before) == (
        "architecture",
        "2 custom layers",
        final.architecture,
    )
    (change,) = list_changes(own, other)
    assert change.now != change.before
    assert not list_changes(own, own.changed(architecture="initial"))


def test_settings_name_the_network_that_was_trained(folder):
    made_run(folder, "mine", recipe="final", layers=LINEAR)
    text = page_text(open_page("pages/train.py", run="mine"))
    assert "2 custom layers" in text
    assert "instead of original-3762" in text
    assert "custom :gray[instead of custom" not in text
    assert "Network] original-3762" not in text


def test_a_badge_for_one_run_never_reads_like_that_of_a_group(folder):
    def reach(name: str, **more):
        run = made_run(folder, name, **more)
        rows = files.read_json(run.folder / "epochs.json")
        files.write_json(
            run.folder / "epochs.json", [*rows[:-1], {**rows[-1], "val_correct": 9950}]
        )

    reach("one")
    for seed in (1, 2):
        reach(f"pair-s{seed}", group="pair", seed=seed)
    pages = {
        "train": open_page("pages/train.py", run="one"),
        "runs": open_page("pages/runs.py", select="one"),
    }
    groups = {
        "runs": open_page("pages/runs.py", select="pair (group)"),
        "experiments": open_page("pages/experiments.py", experiment="Repeats", group="pair"),
    }
    for name, app in pages.items():
        assert "goal reached, one run" in shown(page_text(app)), name
        assert "green-badge[:material/flag:" not in page_text(app), name
    for name, app in groups.items():
        assert "goal reached, mean of 2 seeds" in shown(page_text(app)), name


def test_figures_name_the_images_that_they_were_measured_on(folder):
    tested, held = made_run(folder, "tested"), made_run(folder, "held", holdout=5_000)
    assert words.describe_accuracy(tested).endswith("of the test images")
    assert words.describe_accuracy(held).endswith("of the 5,000 validation images")
    for name, title in (("tested", "Test accuracy"), ("held", "Validation accuracy")):
        app = open_page("pages/train.py", run=name)
        assert app.metric[0].label == title
        assert ("test images" if name == "tested" else "5,000 validation images") in page_text(
            open_page("pages/draw.py", network=name)
        )
    home = open_page(HOME).dataframe[0].value.set_index("Run")["Measured on"]
    assert dict(home) == {"tested": "test", "held": "5,000 held out"}
    runs = open_page("pages/runs.py").dataframe[0].value.set_index("Run")["Measured on"]
    assert dict(runs) == {"tested": "test", "held": "5,000 held out"}


def test_mistakes_lead_to_the_network_whose_mistake_it_is(folder, here):
    for seed, name in enumerate(("one", "two"), 1):
        made_run(folder, name, seed=seed)
    app = open_page("pages/mistakes.py", run="one", other="two", show="two runs")
    (query,) = [query for query in page_links(app).values() if "network=" in query]
    assert "network=two" in query, "the first is correct, the second wrong"
    app = open_page("pages/mistakes.py", run="two")
    (query,) = [query for query in page_links(app).values() if "network=" in query]
    assert "network=two" in query


def test_a_link_to_draw_counts_more_than_the_network_chosen_before(folder, here):
    for name in ("one", "two"):
        made_run(folder, name)
    app = open_page("pages/draw.py", network="one", digit="test-3")
    well(app.selectbox(key="network").set_value("one").run())
    app.switch_page("pages/mistakes.py")
    well(app.run())
    app.query_params.clear()
    app.switch_page("pages/draw.py")
    app.query_params.update({"network": "two", "digit": "test-3"})
    assert well(app.run()).selectbox(key="network").value == "two"


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("train", {"recipe": "cake"}),
        ("train", {"start": "cake"}),
        ("train", {"run": "cake"}),
        ("train", {"architecture": "cake"}),
        ("train", {"schedule": "cake"}),
        ("train", {"max_lr": "cake"}),
        ("train", {"epochs": "-1"}),
        ("train", {"momentum": "7"}),
        ("mistakes", {"run": "cake"}),
        ("mistakes", {"other": "cake", "show": "two runs"}),
        ("draw", {"network": "cake"}),
        ("experiments", {"experiment": "Compare", "first": "cake"}),
    ],
)
def test_a_link_that_asks_for_what_is_not_there_says_so(folder, here, page, link):
    for name in ("one", "two"):
        made_run(folder, name)
    app = open_page(f"pages/{page}.py", **link)
    told = " ".join(each.value for each in (*app.warning, *app.error))
    name, value = list(link.items())[-1] if "cake" not in link.values() else ("", "cake")
    assert value in shown(told), (page, link, told)
    assert name in shown(told).lower() or value == "cake"


def test_a_link_with_possible_settings_has_no_warning(folder):
    app = open_page(
        "pages/train.py", recipe="sprint", max_lr="0.1", epochs="9", momentum="0.8", seed="3"
    )
    assert not app.warning
    assert app.select_slider(key="max_lr").value == 0.1


def test_choosing_a_recipe_keeps_the_users_own_network(folder):
    app = open_page("pages/train.py", layers='[{"kind":"linear","channels":10}]')
    assert "1 custom layer" in page_text(app)
    app = well(app.selectbox(key="recipe").set_value("sprint").run())
    assert "1 custom layer" in page_text(app)
    assert "Your own network stays" in page_text(app)
    assert app.session_state["batch_size"] == RECIPES["sprint"].config.batch_size
    app = well(app.button(key="drop_train_layers").click().run())
    assert "custom layer" not in page_text(app)
    assert "Your own" not in page_text(app)


def test_somebody_else_may_take_the_suggested_name_meanwhile(folder):
    app = open_page("pages/train.py", recipe="initial")
    suggested = app.text_input(key="train_name").placeholder
    made_run(folder, suggested)
    next(button for button in app.button if button.label == "Start").click()
    well(app.run())
    assert {run.name for run in store.list_runs()} == {suggested, f"{suggested}-2"}


def test_settings_without_effect_are_no_changes():
    taught = RECIPES["taught"].config
    without = taught.changed(teacher="none", teacher_share=0.5, temperature=1.0)
    assert [change.field for change in list_changes(without, taught)] == ["teacher"]
    weak = taught.changed(teacher_share=0.5)
    assert [change.field for change in list_changes(weak, taught)] == ["teacher_share"]
