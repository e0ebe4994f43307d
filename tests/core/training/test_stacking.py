"""Which runs can train together."""

from __future__ import annotations

import pytest

from core.config import RunConfig
from core.models.stacked import conv_kernels
from core.recipes import RECIPES
from core.training.stacking import MAX_CHANNELS, can_stack, stacking_key


@pytest.mark.parametrize(
    ("name", "expected"),
    [("final", True), ("sprint", True), ("best", True), ("teacher", False), ("keras-style", False)],
)
def test_narrow_networks_can_train_together(name, expected):
    assert can_stack(RECIPES[name].config) == expected
    assert not can_stack(RECIPES[name].config.changed(precision="bf16"))


def test_the_kernels_have_the_same_limit():
    assert MAX_CHANNELS == conv_kernels.MAX_CHANNELS


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"seed": 5}, True),
        ({"lr": 0.5, "max_lr": 0.7, "momentum": 0.5, "weight_decay": 0.1}, True),
        ({"schedule": "cosine", "initialisation": "he"}, True),
        ({"momentum": 0.0}, False),
        ({"batch_size": 50}, False),
        ({"epochs": 3}, False),
        ({"optimizer": "adam"}, False),
        ({"architecture": "initial"}, False),
        ({"ema_decay": 0.9}, False),
        ({"holdout": 5_000}, False),
    ],
    ids=str,
)
def test_runs_that_differ_in_numbers_alone_have_the_same_key(changes, same):
    config = RunConfig()
    assert (stacking_key(config) == stacking_key(config.changed(**changes))) == same
