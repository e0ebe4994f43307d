"""Measured figures are found by config, survive being written, and are checked when read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import RunError
from core.experiments import measurements
from core.experiments.measurements import (
    FILE,
    MeasuredRun,
    Measurement,
    Measurements,
    config_key,
    measured_configs,
    read_measurements,
)
from core.models.architectures import rows_of
from core.models.shapes import count_parameters, trace
from core.recipes import RECIPES
from core.training.effects import unused_fields
from tests.made import made_run, measured


@pytest.fixture
def file(tmp_path) -> Path:
    """A file with three seeds of `final` and one of `teacher`."""
    path = tmp_path / "figures.json"
    Measurements([measured("final", 99.4, 99.5, 99.45), measured("teacher", 99.6)]).write(path)
    return path


def test_what_is_written_is_read_again(file):
    read = read_measurements(file)
    assert len(read) == 2
    found = read.find(RECIPES["final"].config)
    assert found == measured("final", 99.4, 99.5, 99.45)
    assert found.accuracy.mean == pytest.approx(99.45)
    assert found.interval == pytest.approx((99.326, 99.574), abs=1e-3)  # t = 4.3027, 2 degrees
    assert read.find(RECIPES["teacher"].config).interval is None
    assert read.find(RECIPES["tiny"].config) is None


def test_figures_belong_to_a_config_but_not_to_its_seed_device_and_threads(file):
    read, config = read_measurements(file), RECIPES["final"].config
    assert read.find(config.changed(seed=7, device="cpu", threads=3)) is not None
    assert read.find(config.changed(momentum=0.5)) is None


def test_a_field_without_effect_does_not_matter(file):
    config = RECIPES["final"].config
    assert "warmup" in unused_fields(config)
    assert read_measurements(file).find(config.changed(warmup=0.7)) is not None


def test_a_finished_run_is_measured(tmp_path):
    run = made_run(tmp_path, "one", done=3, seed=4)
    found = MeasuredRun.of(run, "2 cores")
    assert (found.seed, found.machine) == (4, "2 cores")
    assert found.errors_by_epoch == (1_200, 600, 400)
    assert found.accuracy == pytest.approx(run.last.val_accuracy)
    assert found.train_accuracy == pytest.approx(run.last.train_accuracy)
    assert (found.best_epoch, found.best_errors) == (3, 400)
    assert found.seconds == 6


def test_the_best_epoch_is_the_first_with_the_fewest_errors():
    (run,) = measured("final", 99.4, best=99.5).runs
    assert run.best_accuracy == pytest.approx(99.5)
    assert run.best_epoch < len(run.errors_by_epoch)


@pytest.mark.parametrize(
    ("state", "config", "words"),
    [("stopped", {}, "finished"), ("finished", {"holdout": 5_000}, "held-out")],
)
def test_other_runs_are_not(tmp_path, state, config, words):
    run = made_run(tmp_path, "one", done=3, state=state, **config)
    with pytest.raises(RunError, match=words):
        MeasuredRun.of(run, "2 cores")


def test_new_figures_replace_those_of_the_same_seed_and_unknown_configs_go(file):
    old = measured("final", 98.0)
    stale = Measurement(old.config.changed(momentum=0.5), old.runs)
    read = read_measurements(file).updated([measured("final", 99.0), stale])
    assert list(read.find(old.config).accuracies.values()) == pytest.approx([99.0, 99.5, 99.45])
    assert read.find(stale.config) is None
    assert len(read) == 2


def damage(values: dict, *path: str | int, to: object) -> None:
    *way, last = path
    for step in way:
        values = values[step]
    values[last] = to


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("format",), 2, "format 2"),
        (("measurements",), {}, "measurements must be a list"),
        (("measurements", 0, "config", "lr"), -1, "lr is -1"),
        (("measurements", 0, "config", "colour"), 1, "colour"),
        (("measurements", 0, "runs"), [], "runs"),
        (("measurements", 0, "runs", 0, "seed"), "one", "seed must be"),
        (("measurements", 0, "runs", 1, "seed"), 1, "seeds"),
        (("measurements", 0, "runs", 0, "errors_by_epoch", 3), -1, "errors_by_epoch"),
        (("measurements", 0, "runs", 0, "errors_by_epoch", 3), 10_001, "more images"),
        (("measurements", 0, "runs", 0, "train_correct"), 60_001, "more images"),
        (("measurements", 0, "runs", 0, "runtime"), {}, "missing"),
        (("measurements", 0, "runs", 0, "test_loss"), None, "test_loss"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(file, path, value, words):
    values = json.loads(file.read_text())
    damage(values, *path, to=value)
    file.write_text(json.dumps(values))
    with pytest.raises(RunError, match=words) as error:
        read_measurements(file)
    assert measurements.COMMAND in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_a_file_that_is_none_is_refused(file, text):
    file.write_text(text)
    with pytest.raises(RunError, match="cannot be read"):
        read_measurements(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"none\.json"):
        read_measurements(tmp_path / "none.json")


def test_one_config_is_measured_once(file):
    values = json.loads(file.read_text())
    values["measurements"].append(values["measurements"][0])
    file.write_text(json.dumps(values))
    with pytest.raises(RunError, match="two measurements"):
        read_measurements(file)


def test_the_shipped_file_has_figures_of_recipes_and_rungs_only():
    """And the networks that they were measured with are still those of the recipes."""
    read, found = read_measurements(FILE), 0
    for config in {config_key(config): config for config in measured_configs().values()}.values():
        measurement = read.find(config)
        if measurement is None:
            continue
        found += 1
        assert measurement.parameters == count_parameters(trace(rows_of(config)))
        for run in measurement.runs:
            assert len(run.errors_by_epoch) == config.epochs
            assert (run.images, run.train_images) == (10_000, 60_000)
    assert found == len(read)
