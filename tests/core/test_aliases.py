"""Configs, links and commands that use old names are still understood."""

from __future__ import annotations

import pytest

from core import aliases
from core.config import FIELDS, RunConfig
from core.models.architectures import ARCHITECTURES
from core.training.schedules import SCHEDULES


def test_every_old_name_stands_for_an_existing_one():
    assert set(aliases.FIELDS.values()) <= set(FIELDS)
    assert not set(aliases.FIELDS) & set(FIELDS)
    for field, registry in (("architecture", ARCHITECTURES), ("schedule", SCHEDULES)):
        assert set(aliases.VALUES[field].values()) <= set(registry)
        assert not set(aliases.VALUES[field]) & set(registry)


def test_a_config_with_old_names_reads_as_one_with_the_present_names():
    old = {
        "architecture": "seed-3762",
        "schedule": "seed-one-cycle",
        "augmented": 0.5,
        "decay": 0.9,
        "ema": 0.99,
    }
    config = RunConfig.from_dict(old)
    assert config.architecture == "original-3762"
    assert config.schedule == "original-one-cycle"
    assert (config.augment_fraction, config.gamma, config.ema_decay) == (0.5, 0.9, 0.99)
    assert RunConfig.from_strings({name: str(value) for name, value in old.items()}) == config
    assert not set(config.to_dict()) & set(aliases.FIELDS)


def test_the_present_name_counts_if_both_are_given():
    for values in ({"ema": 0.5, "ema_decay": 0.9}, {"ema_decay": 0.9, "ema": 0.5}):
        assert RunConfig.from_dict(values).ema_decay == 0.9


@pytest.mark.parametrize("value", [None, 3, ["seed-3762"], {"a": 1}])
def test_a_value_other_than_text_is_unchanged(value):
    assert aliases.current_value("architecture", value) == value
