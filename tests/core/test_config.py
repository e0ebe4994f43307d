"""RunConfig refuses wrong values by name, and survives JSON and text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import FIELDS, RunConfig
from core.errors import ConfigError
from core.recipes import RECIPES, recipe

values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=90)
    | st.lists(
        st.none() | st.dictionaries(st.text(max_size=5), st.integers(), max_size=2), max_size=3
    )
)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name):
    config = RECIPES[name].config
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_every_field_has_help_and_a_default_within_its_range():
    RunConfig()
    for spec in FIELDS.values():
        assert spec.help
        assert (spec.low is None) == (spec.high is None)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("lr", -0.1, "lr is -0.1, but it must be between 0 and 10"),
        ("lr", float("nan"), "lr is nan"),
        ("lr", "fast", "lr must be a number, not 'fast'"),
        ("epochs", 0, "epochs is 0"),
        ("epochs", 2.5, "epochs must be a whole number"),
        ("epochs", 10**400, "epochs is a number of more than 38 digits"),
        ("lr", -(10**400), "lr is a number of more than 38 digits"),
        ("epochs", True, "epochs must be a whole number"),
        (
            "schedule",
            "zigzag",
            "constant, one-cycle, original-one-cycle, cosine, triangle or exponential",
        ),
        ("nesterov", 1, "nesterov must be true or false"),
        ("architecture", "", "architecture has 0 characters"),
        ("layers", "conv", "layers must be a list"),
        ("layers", ["conv"], "layers, row 1"),
        ("transforms", [{}] * 201, "transforms has 201 rows"),
    ],
)
def test_a_wrong_value_is_refused_by_name(field, value, words):
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        RunConfig.from_dict({field: value})


def test_an_unknown_field_is_refused_and_the_valid_ones_listed():
    with pytest.raises(ConfigError, match=r"unknown field 'learning_rate'; .*\blr\b"):
        RunConfig.from_dict({"learning_rate": 0.1})


def test_schedules_with_a_warm_up_need_a_maximum_rate():
    with pytest.raises(ConfigError, match="max_lr is 0"):
        RunConfig(schedule="one-cycle", max_lr=0.0)


def test_numbers_are_converted_to_the_type_of_their_field():
    config = RunConfig.from_dict({"epochs": 3.0, "lr": 1})
    assert (config.epochs, type(config.epochs), config.lr, type(config.lr)) == (3, int, 1.0, float)


def test_text_values_are_parsed_on_top_of_a_base():
    config = RunConfig.from_strings(
        {"lr": "0.02", "nesterov": "true", "epochs": "4"}, RECIPES["final"].config
    )
    assert (config.lr, config.nesterov, config.epochs, config.max_lr) == (0.02, True, 4, 0.1)
    for name, text in {
        "lr": "quick",
        "epochs": "1.5",
        "nesterov": "maybe",
        "layers": "[]",
        "colour": "red",
    }.items():
        with pytest.raises(ConfigError):
            RunConfig.from_strings({name: text})


def test_differences_give_both_values():
    assert RunConfig(lr=0.1).differences(RunConfig(seed=2)) == {"lr": (0.1, 0.01), "seed": (1, 2)}


@given(st.dictionaries(st.sampled_from(list(FIELDS)) | st.text(max_size=10), values, max_size=4))
def test_any_mapping_makes_a_config_or_a_config_error(mapping):
    try:
        config = RunConfig.from_dict(mapping)
    except ConfigError:
        return
    assert RunConfig.from_dict(config.to_dict()) == config


def test_an_unknown_recipe_is_refused_and_the_valid_ones_listed():
    with pytest.raises(ConfigError, match=r"no recipe 'last'; choose initial, .*final"):
        recipe("last")
