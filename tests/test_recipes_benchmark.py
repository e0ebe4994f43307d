"""The script that measures recipes and rungs: it trains what is missing, once, and ships a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import recipes
import shipping

from core.errors import RunError
from core.experiments.measurements import Measurements, config_key, measured_configs
from core.recipes import RECIPES
from core.reports import results
from core.rungs import RUNGS
from core.runs import run_queue, status
from core.runs.run import Run
from core.runs.store import list_runs, open_run, update_run_json
from tests.made import made_run

pytestmark = pytest.mark.usefixtures("teacher")
FINAL_AS_RUNG = next(
    name
    for name in RUNGS
    if config_key(measured_configs()[name]) == config_key(RECIPES["final"].config)
)


@pytest.fixture
def teacher(tmp_path) -> None:
    made_run(tmp_path, "teacher")


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """Names of the runs that the queue was given, which are finished at once."""
    trained: list[str] = []

    def finish(names: list[str], folder: Path, limits: object) -> None:
        trained.extend(names)
        for name in names:
            status.write(folder / name, "finished", "")

    monkeypatch.setattr(run_queue, "submit_all", finish)
    return trained


def done(folder: Path, name: str, run_name: str, **changes: object) -> Run:
    """A finished run of a recipe or rung."""
    config = measured_configs()[name].changed(**changes).to_dict()
    return made_run(folder, run_name, done=config["epochs"], **config)


def test_what_is_missing_is_trained_and_what_two_share_only_once(tmp_path, trained):
    done(tmp_path, "final", "under-another-name", seed=2, threads=2)
    problems = recipes.train(["final", FINAL_AS_RUNG, "tiny"], [1, 2], [tmp_path])
    assert problems == []
    assert trained == ["final-s1", "tiny-s1", "tiny-s2"]
    run = open_run("final-s1", tmp_path)
    assert (run.recipe, run.config.seed) == ("final", 1)
    assert config_key(run.config) == config_key(RECIPES["final"].config)
    assert run.group == open_run("final-s1", tmp_path).group != open_run("tiny-s1", tmp_path).group


def test_started_again_it_trains_nothing_twice(tmp_path, trained):
    for _ in range(2):
        recipes.train(["final"], [1, 2], [tmp_path])
    assert trained == ["final-s1", "final-s2"]


def test_a_run_that_was_stopped_is_resumed(tmp_path, trained):
    made_run(tmp_path, "cut", done=0, state="stopped", **RECIPES["tiny"].config.to_dict())
    recipes.train(["tiny"], [1], [tmp_path])
    assert trained == ["cut"]


def test_runs_of_an_older_recipe_are_left_alone(tmp_path, trained):
    done(tmp_path, "tiny", "tiny-s1", momentum=0.5)
    recipes.train(["tiny"], [1], [tmp_path])
    assert trained == ["tiny-s1-2"]


def test_threads_can_be_given(tmp_path, trained):
    recipes.train(["tiny"], [1], [tmp_path], threads=2)
    assert open_run("tiny-s1", tmp_path).config.threads == 2


def test_a_run_that_fails_is_reported(tmp_path, monkeypatch):
    def fail(names: list[str], folder: Path, limits: object) -> None:
        for name in names:
            status.write(folder / name, "failed", "no memory")

    monkeypatch.setattr(run_queue, "submit_all", fail)
    (problem,) = recipes.train(["tiny"], [1], [tmp_path])
    assert "failed" in problem
    assert "no memory" in problem


def test_finished_runs_of_another_folder_count(tmp_path, trained):
    other = tmp_path / "other"
    other.mkdir()
    done(other, "tiny", "whole")
    made_run(
        other, "cut", done=1, state="stopped", **RECIPES["tiny"].config.to_dict() | {"seed": 2}
    )
    recipes.train(["tiny"], [1, 2], [tmp_path, other])
    assert trained == ["tiny-s2"]


def test_finished_runs_are_measured_and_printed(tmp_path):
    for seed in (1, 2, 3):
        done(tmp_path, "tiny", f"tiny-{seed}", seed=seed)
    (found,) = recipes.measure(["tiny", "best"], [3, 1], [tmp_path])
    assert [run.seed for run in found.runs] == [1, 3]
    rows = results.benchmark_table(Measurements([found]), ["tiny", "best"]).splitlines()
    assert "chosen on the test images" in rows[0]
    assert rows[2].startswith("| tiny |")
    assert f"| {found.accuracy.mean:.3f} |" in rows[2]
    assert rows[3].count("–") > 5, "nothing is measured of it"


def test_runs_from_elsewhere_keep_the_name_of_their_gpu_alone(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for seed, device in ((1, "cuda"), (2, "cpu")):
        run = done(other, "tiny", f"tiny-{device}", seed=seed)
        runtime = run.runtime.changed(device=device, device_name=f"a {device}")
        update_run_json(run.folder, runtime=runtime.to_dict())
    done(tmp_path, "tiny", "here", seed=3)
    (found,) = recipes.measure(["tiny"], [1, 2, 3], [tmp_path, other])
    gpu, processor, here = (run.machine for run in found.runs)
    assert (gpu, processor) == ("a cuda", "")
    assert "cores of" in here


def test_a_shipped_run_is_that_of_its_recipe(tmp_path):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    done(shipped, "tiny", "tiny", momentum=0.5)  # is replaced
    run = done(tmp_path, "tiny", "tiny-s1", threads=1)
    (run.folder / status.LOG).write_text("printed")
    values = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps({**values, "notes": "mine", "owner": "me"}))
    recipes.ship_first_seeds(["tiny", FINAL_AS_RUNG], [tmp_path], shipped)
    copy = open_run("tiny", shipped)
    assert (copy.name, copy.recipe, copy.group, copy.notes, copy.owner) == (
        *("tiny", "tiny", None, "", None),
    )
    assert copy.config == RECIPES["tiny"].config
    assert copy.epochs == run.epochs
    assert copy.runtime == run.runtime
    assert not (copy.folder / status.LOG).exists()
    assert "# Tiny" in (copy.folder / "report.md").read_text()
    assert [each.name for each in list_runs(shipped)] == ["tiny"]


def test_only_a_finished_first_seed_of_the_recipe_is_shipped(tmp_path):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (problem,) = recipes.ship_first_seeds(["tiny"], [tmp_path], shipped)
    assert "tiny" in problem
    for changes, state in (
        ({"seed": 2}, "finished"),
        ({"momentum": 0.5}, "finished"),
        ({}, "stopped"),
    ):
        run = done(tmp_path, "tiny", f"run-{len(list_runs(tmp_path))}", **changes)
        status.write(run.folder, state, "")
        with pytest.raises(RunError):
            shipping.ship(open_run(run.name, tmp_path), "tiny", shipped)
    assert list_runs(shipped) == []
