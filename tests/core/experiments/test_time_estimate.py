"""The estimate of a run's time: from a like run, else from a measured step, else none."""

from __future__ import annotations

import os
import time

import pytest

from core.config import RunConfig
from core.experiments.time_estimate import START_SECONDS, estimate_seconds
from core.models.architectures import rows_of
from core.training import format_cache
from tests.made import made_run

CONFIG = RunConfig(architecture="linear-7850", epochs=4, batch_size=3_000)


@pytest.fixture(autouse=True)
def no_measurements(monkeypatch):
    monkeypatch.setattr(format_cache, "list_measurements", list)


def test_without_a_run_or_a_measurement_there_is_none():
    assert estimate_seconds(CONFIG, []) is None


def test_a_like_run_gives_the_seconds_of_an_epoch(folder):
    run = made_run(folder, "before", done=3)
    seconds = run.epochs[0].seconds
    assert estimate_seconds(CONFIG, [run]) == pytest.approx(START_SECONDS + 4 * seconds)


@pytest.mark.parametrize(
    "other", [{"batch_size": 64}, {"architecture": "initial"}, {"augmentation": "gentle"}]
)
def test_another_network_batch_or_augmentation_gives_none(folder, other):
    assert estimate_seconds(CONFIG.changed(**other), [made_run(folder, "before", done=3)]) is None


# An epoch has 20 steps, and an evaluation of 10,000 images a third of the work of 3 1/3 steps.
MEASURED = START_SECONDS + 4 * (20 + 10 / 9) * 0.005


@pytest.mark.parametrize(("cpus", "expected"), [(os.cpu_count(), MEASURED), (999, None)])
def test_a_measured_step_counts_on_the_machine_where_it_was_measured(monkeypatch, cpus, expected):
    setting = {
        "network": format_cache.digest([rows_of(CONFIG), CONFIG.dropout]),
        "batch_size": 3_000,
        "processor": format_cache.processor_name(),
        "cpus": cpus,
    }
    kept = format_cache.Measurement(setting, {"fp32 compiled": 5.0, "bf16 a": 9.0}, time.time())
    monkeypatch.setattr(format_cache, "list_measurements", lambda: [kept])
    found = estimate_seconds(CONFIG, [])
    assert found == (expected if expected is None else pytest.approx(expected))
