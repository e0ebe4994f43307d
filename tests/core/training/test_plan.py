"""The check of a whole run before anything is loaded."""

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
def test_recipes_have_the_parameters_of_what_they_follow(name, parameters):
    assert plan(RECIPES[name].config, Limits()).parameters == parameters


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(ConfigError, match="unknown architecture 'x'"):
        plan(RunConfig(architecture="x"))
    with pytest.raises(ConfigError, match="unknown augmentation 'x'"):
        plan(RunConfig(augmentation="x"))


def test_rows_that_make_no_network_are_refused_by_number():
    with pytest.raises(ArchitectureError, match="row 2"):
        plan(RunConfig(layers=[POINT[0], {"kind": "maxpool"}, POINT[1]]))


def test_limits_hold_for_what_the_config_stands_for():
    with pytest.raises(LimitError, match="parameters, 3,762"):
        plan(RunConfig(), Limits(max_parameters=3_000))


@pytest.mark.parametrize(("batch_size", "holdout"), [(1, 0), (59_999, 0), (4_999, 10_009), (3, 2)])
def test_a_batch_of_one_is_refused_where_normalisation_needs_two(batch_size, holdout):
    config = RunConfig(layers=POINT, batch_size=batch_size, holdout=holdout)
    with pytest.raises(ConfigError, match="a batch of one image"):
        plan(config)
    plan(config.changed(layers=[{**POINT[0], "norm": "none"}, POINT[1]]))
