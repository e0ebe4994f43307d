"""Plans: configs are resolved, and refused if they are not a valid run."""

from __future__ import annotations

import pytest

from core.config import RunConfig
from core.errors import ArchitectureError, ConfigError, LimitError
from core.limits import Limits
from core.recipes import RECIPES
from core.training.plan import plan

POINT = [
    {"kind": "conv", "channels": 4, "kernel": 28, "norm": "batch"},
    {"kind": "linear", "channels": 10},
]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("initial", 16_530),
        ("intermediate", 3_762),
        ("final", 3_762),
        ("pytorch-example", 1_199_882),
        ("keras-style", 34_826),
    ],
)
def test_recipes_have_the_parameters_of_their_models(name, parameters):
    assert plan(RECIPES[name].config, Limits()).parameters == parameters


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="architecture"):
        plan(RunConfig(architecture="x"))
    with pytest.raises(ConfigError, match="augmentation"):
        plan(RunConfig(augmentation="x"))


def test_invalid_rows_are_refused_by_number():
    with pytest.raises(ArchitectureError, match="row 2"):
        plan(RunConfig(layers=[POINT[0], {"kind": "maxpool"}, POINT[1]]))


def test_limits_apply_to_the_resolved_network():
    with pytest.raises(LimitError, match="parameters, 3,762"):
        plan(RunConfig(), Limits(max_parameters=3_000))


@pytest.mark.parametrize(("batch_size", "holdout"), [(1, 0), (59_999, 0), (4_999, 10_009), (3, 2)])
def test_a_batch_of_one_image_is_refused_with_batch_norm(batch_size, holdout):
    config = RunConfig(layers=POINT, batch_size=batch_size, holdout=holdout)
    with pytest.raises(ConfigError, match="a batch of one image"):
        plan(config)
    plan(config.changed(layers=[{**POINT[0], "norm": "none"}, POINT[1]]))
