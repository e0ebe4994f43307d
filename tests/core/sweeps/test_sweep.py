"""Descriptions of sweeps."""

from __future__ import annotations

import json

import pytest

from core.errors import ConfigError, UserError
from core.sweeps import study
from core.sweeps.sweep import Sweep
from tests.core.sweeps.sweeping import made, work

pytestmark = pytest.mark.usefixtures("quick")


def test_a_sweep_is_plain_json():
    sweep = made(aim="accuracy-parameters", minutes=1.5, max_parameters=9_000, recipe="final")
    assert Sweep.from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aim": "speed"}, "aim is 'speed'"),
        ({"sampler": "luck"}, "sampler is 'luck'"),
        ({"pruner": "axe"}, "pruner"),
        ({"runs": 0}, "runs is 0"),
        ({"runs": 2.5}, "runs is 2.5"),
        ({"runs": 501}, "500"),
        ({"minutes": -1}, "minutes"),
        ({"minutes": float("nan")}, "minutes"),
        ({"max_parameters": True}, "max_parameters"),
        ({"recipe": "x"}, "recipe"),
        ({"name": "../x"}, "name"),
        ({"name": "x" * 41}, "at most 40"),
        ({"colour": 1}, "no field 'colour'"),
        ({"config": {"holdout": 0}}, "never on the test images"),
        ({"config": {"holdout": 9, "architecture": "x"}}, "'x'"),
        ({"config": []}, "config"),
        ({"space": {}}, "at least one"),
        ({"format": "other"}, "named fields"),
        ({"aim": "accuracy-seconds", "pruner": "median"}, "accuracy alone"),
    ],
)
def test_a_wrong_field_is_named(change, words):
    with pytest.raises(UserError, match=words):
        Sweep.from_dict({**made().to_dict(), **change})


@pytest.mark.parametrize("values", [None, [], {}, {"name": "x"}])
def test_other_values_are_refused(values):
    with pytest.raises(ConfigError):
        Sweep.from_dict(values)


def test_a_grid_has_every_combination():
    sweep = made(
        vary={"epochs": {"low": 1, "high": 3}, "ema_decay": {"choices": [0.0, 0.9]}},
        sampler="grid",
        runs=50,
    )
    assert sweep.grid()[0] == {"epochs": 1, "ema_decay": 0.0}
    assert sweep.slots == len(sweep.grid()) == 6
    with pytest.raises(ConfigError, match=r"max_lr=0.01..0.1..STEP"):
        made(sampler="grid").grid()
    study.create(sweep)
    state, _ = work()
    assert sorted(
        (trial.params["epochs"], trial.params["ema_decay"]) for trial in state.trials
    ) == sorted((point["epochs"], point["ema_decay"]) for point in sweep.grid())


def test_the_points_of_a_grid_are_counted_before_they_are_listed():
    steps = {"low": 0.1, "high": 0.2, "step": 0.0001}
    sweep = made(vary={"max_lr": steps, "momentum": steps, "dropout": steps}, sampler="grid")
    with pytest.raises(ConfigError, match="1,003,003,001 points"):
        sweep.grid()


def test_of_a_large_grid_only_the_points_of_its_runs_are_listed():
    steps = {"low": 0.1, "high": 0.2, "step": 0.001}
    sweep = made(vary={"max_lr": steps, "momentum": steps}, sampler="grid", runs=3)
    assert sweep.grid_size() == 10_201
    assert [point["max_lr"] for point in sweep.grid()] == [0.1, 0.1, 0.1]
    assert sweep.slots == 3
