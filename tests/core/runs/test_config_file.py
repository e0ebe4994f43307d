"""Configs as JSON files."""

from __future__ import annotations

import pytest

from core.errors import ConfigError
from core.recipes import RECIPES
from core.runs.config_file import parse_config, write_config
from tests.made import made_run


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_config_survives_its_file(recipe):
    config = RECIPES[recipe].config
    assert parse_config(write_config(config)) == config


def test_a_run_json_is_a_config_file_too(folder):
    run = made_run(folder, "one", max_lr=0.123)
    assert parse_config((run.folder / "run.json").read_bytes()) == run.config


@pytest.mark.parametrize("text", ["", "[]", "3", '{"cake": 1}', '{"epochs": "many"}', "{" * 99])
def test_anything_else_is_refused_in_a_sentence(text):
    with pytest.raises(ConfigError):
        parse_config(text)
