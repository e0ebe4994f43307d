"""Recipes: the original's as published, and what all have."""

from __future__ import annotations

import math

import pytest

from core.config import RunConfig
from core.data.presets import PRESETS, transforms_of
from core.models.architectures import rows_of
from core.models.network import build
from core.recipes import GROUPS, RECIPES
from core.training.schedules import epoch_rates, momentum, rate

PUBLISHED = [name for name, recipe in RECIPES.items() if recipe.group == "The original"]
STEPS = 1_875


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_describes_itself(name):
    recipe = RECIPES[name]
    assert recipe.group in GROUPS
    assert recipe.title
    assert recipe.targets
    assert recipe.summary.endswith(".")


def test_the_groups_follow_each_other():
    groups = [recipe.group for recipe in RECIPES.values()]
    assert groups == sorted(groups, key=GROUPS.index)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_the_originals_set_ups_share(name):
    config = RECIPES[name].config
    assert config.changed(
        architecture="x",
        schedule="constant",
        lr=0.01,
        max_lr=0.01,
        momentum_cycle=False,
        augmentation="none",
    ) == RunConfig(
        architecture="x",
        schedule="constant",
        batch_size=32,
        epochs=15,
        seed=1,
        optimizer="sgd",
        momentum=0.95,
        initialisation="xavier",
        dropout=0.01,
    )
    model = build(rows_of(config), config)
    for weight in model.parameters():
        if weight.ndim == 4:
            fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
            bound = math.sqrt(6 / (fan_in + fan_out))
            assert 0.8 * bound < weight.abs().max() <= bound
    biases = [value for name, value in model.named_parameters() if name.endswith("bias")]
    assert biases
    assert not any(bias.any() for bias in biases)


def test_the_originals_rates_and_momenta():
    initial, intermediate, final = (RECIPES[name].config for name in PUBLISHED)
    last = 15 * STEPS - 1
    assert rate(initial, 0, STEPS) == pytest.approx(0.0004)
    assert max(rate(initial, step, STEPS) for step in range(last)) == pytest.approx(0.01, rel=1e-3)
    peak = round(0.3 * 15 * STEPS) - 1
    assert momentum(initial, 0, STEPS) == pytest.approx(0.95)
    assert momentum(initial, peak, STEPS) == pytest.approx(0.85, abs=1e-4)
    assert momentum(initial, last, STEPS) == pytest.approx(0.95)
    assert epoch_rates(intermediate, STEPS) == [0.05] * 15
    rates = epoch_rates(final, STEPS)
    for epoch, value in ((0, 0.05), (1, 0.075), (2, 0.1), (8, 0.01), (12, 0.005), (14, 0.005 / 3)):
        assert rates[epoch] == pytest.approx(value)
    for config in (intermediate, final):
        assert {momentum(config, step, STEPS) for step in range(0, last, 999)} == {0.95}


def test_only_the_originals_third_set_up_augments():
    assert [bool(transforms_of(RECIPES[name].config)) for name in PUBLISHED] == [False, False, True]
    assert transforms_of(RECIPES["final-published"].config) == PRESETS["final"].transforms
    assert RECIPES["final-published"].config.augmented_epochs == 15
