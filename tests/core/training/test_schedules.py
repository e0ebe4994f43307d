"""Schedules, compared with the original's printed rates and with torch's."""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch

from core.config import RunConfig
from core.recipes import RECIPES
from core.training.schedules import SCHEDULES, epoch_rates, momentum, rate, steps_per_epoch

ORIGINAL_FINAL = [0.05, 0.075, 0.1, 0.085, 0.07, 0.055, 0.04, 0.025, 0.01, 0.00875, 0.0075, 0.00625]
ORIGINAL_INITIAL = [
    0.002534,
    0.004667,
    0.006801,
    0.008934,
    0.009523,
    0.008571,
    0.007619,
    0.006666,
    0.005714,
    0.004761,
    0.003809,
    0.002857,
    0.001904,
    0.000952,
]


def test_final_has_the_originals_twelve_rates():
    rates = epoch_rates(RECIPES["final"].config, 1875)
    assert [round(value, 6) for value in rates[:12]] == ORIGINAL_FINAL
    assert [round(value, 6) for value in rates[12:]] == [0.005, 0.003333, 0.001667]


@pytest.mark.parametrize("name", ["initial", "intermediate"])
def test_one_cycle_has_the_originals_rates(name):
    rates = epoch_rates(RECIPES[name].config, 1875)
    assert round(rates[0], 6) == 0.0004
    # The original truncates some of its rates at the sixth digit instead of rounding them.
    assert rates[1:] == pytest.approx(ORIGINAL_INITIAL, abs=1.001e-6)


@pytest.mark.parametrize(
    ("anneal", "warmup", "epochs", "steps"),
    [
        *itertools.product(["linear", "cos"], [0.1, 0.3, 0.5, 1.0], [1, 3], [7, 40]),
        ("linear", 0.0, 2, 9),
    ],
)
def test_one_cycle_equals_torch(anneal, warmup, epochs, steps):
    config = RunConfig(
        schedule="one-cycle",
        max_lr=0.3,
        warmup=warmup,
        anneal=anneal,
        epochs=epochs,
        momentum_cycle=True,
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.5)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        0.3,
        epochs=epochs,
        steps_per_epoch=steps,
        pct_start=warmup,
        anneal_strategy=anneal,
    )
    for step in range(epochs * steps):
        group = optimizer.param_groups[0]
        assert rate(config, step, steps) == pytest.approx(group["lr"], rel=1e-9, abs=1e-15)
        assert momentum(config, step, steps) == pytest.approx(group["momentum"], rel=1e-9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer.step()
        if step < epochs * steps - 1:
            theirs.step()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 12, 15, 200])
@pytest.mark.parametrize("steps", [1, 2, 100])
def test_every_schedule_is_defined_for_any_length(name, epochs, steps):
    config = RunConfig(schedule=name, lr=0.05, max_lr=0.1, epochs=epochs)
    rates = [rate(config, step, steps) for step in range(epochs * steps)]
    assert all(0 <= value <= 0.1 + 1e-12 for value in rates)
    assert max(rates) > 0


def test_momentum_is_constant_without_a_cycle():
    for name in SCHEDULES:
        assert momentum(RunConfig(schedule=name, momentum=0.7), 3, 10) == 0.7


def test_triangle_peaks_at_the_end_of_its_warm_up_and_ends_near_zero():
    config = RunConfig(schedule="triangle", lr=0.0, max_lr=0.2, warmup=0.25, epochs=4)
    rates = [rate(config, step, 100) for step in range(400)]
    assert rates.index(max(rates)) == 100
    assert rates[100] == pytest.approx(0.2)
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(0.2 / 300)


@pytest.mark.parametrize("decay", [0.7, 0.95, 1.0])
def test_exponential_equals_torch(decay):
    config = RunConfig(schedule="exponential", lr=1.0, gamma=decay, epochs=14)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
    for epoch in range(config.epochs):
        assert {rate(config, epoch * 5 + step, 5) for step in range(5)} == {
            rate(config, epoch * 5, 5)
        }
        assert rate(config, epoch * 5, 5) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-9
        )
        optimizer.step()
        theirs.step()


def test_a_smaller_last_batch_counts_as_a_step():
    assert steps_per_epoch(60_000, 32) == 1875
    assert steps_per_epoch(60_000, 64) == 938
    assert steps_per_epoch(5, 10) == 1
