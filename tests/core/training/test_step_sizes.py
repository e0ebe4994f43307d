"""The sizes of gradients and updates: as torch computes them, recorded, and without effect."""

from __future__ import annotations

import copy

import pytest
import torch

from core.compiler import is_available
from core.config import RunConfig
from core.models.network import build
from core.training.compiled_step import CompiledStep
from core.training.optimizers import build_optimizer, set_rate
from core.training.results import EpochResult
from core.training.step import TrainingStep
from core.training.step_sizes import StepMeter
from core.training.trainer import Training

ROWS = (
    {"kind": "conv", "channels": 4, "stride": 3, "norm": "batch"},
    {"kind": "conv", "channels": 4, "padding": 1, "norm": "batch"},
    {"kind": "conv", "channels": 4, "padding": 1, "norm": "batch", "shared": True},
    {"kind": "maxpool"},
    {"kind": "linear", "channels": 12},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
CONFIG = RunConfig(
    layers=ROWS, batch_size=64, epochs=2, device="cpu", precision="fp32", threads=1, lr=0.05
)
CPU = torch.device("cpu")
# The third row has the weights of the second.
WEIGHTS = [f"layers.{place}.weight" for place in (0, 2, 2, 6, 7)]


def make_step(config, compiled):
    model = build(ROWS, config).train()
    optimizer = build_optimizer(config, model)
    set_rate(optimizer, config.lr, config.momentum)
    if compiled:
        return CompiledStep(config, model, optimizer, None, 1)
    return TrainingStep(config, model, optimizer, None, CPU, torch.float32, "contiguous")


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adam"])
@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_a_step_is_measured_as_autograd_says(optimizer, clip_norm, digits):
    config = CONFIG.changed(optimizer=optimizer, clip_norm=clip_norm)
    batch = digits.train.images[:64], digits.train.labels[:64]
    found = []
    for compiled in [False, True] if is_available() else [False]:
        step = make_step(config, compiled)
        step(*batch)  # the momentum is not zero
        before = copy.deepcopy(step.model)
        meter = StepMeter(step.model, step)
        meter.start()
        step(*batch)
        sizes = meter.finish()
        assert sizes.rows == (1, 2, 3, 5, 6)
        gradients = step.gradients()
        total = sum(float(gradient.square().sum()) for gradient in gradients) ** 0.5
        if clip_norm:
            assert total == pytest.approx(0.5, rel=1e-3)
        names = [name for name, _ in before.named_parameters()]
        for at, name in enumerate(WEIGHTS):
            weight, now = before.get_parameter(name), step.model.get_parameter(name)
            moved, gradient = (now - weight).detach(), gradients[names.index(name)]
            size = float(weight.detach().norm())
            assert sizes.updates[at] == pytest.approx(float(moved.norm()) / size, rel=0.01)
            assert sizes.gradients[at] == pytest.approx(float(gradient.norm()) / size, rel=0.01)
        found.append((gradients, sizes))
    for one, other in zip(*(gradients for gradients, _ in found), strict=True) if found[1:] else ():
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("compiled", [True, False])
def test_measuring_changes_no_bit(compiled, digits):
    if compiled and not is_available():
        pytest.skip("no C compiler works here")
    batch = digits.train.images[:64], digits.train.labels[:64]
    plain, measured = (make_step(CONFIG, compiled) for _ in range(2))
    meter = StepMeter(measured.model, measured)
    for _ in range(3):
        meter.start()
        assert torch.equal(plain(*batch), measured(*batch))
        meter.finish()
    for one, other in zip(
        plain.model.state_dict().values(), measured.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_a_higher_rate_shows_in_the_updates_before_it_shows_in_the_loss(digits):
    largest, losses = {}, {}
    for lr in (0.001, 0.1):
        training = Training(CONFIG.changed(schedule="constant", lr=lr, max_lr=lr), digits)
        first = next(result for result in training.run() if isinstance(result, EpochResult))
        largest[lr], losses[lr] = max(training.step_sizes.updates), first.train_loss
    assert losses[0.1] == pytest.approx(losses[0.001], rel=0.1)
    assert largest[0.001] < 0.01
    assert largest[0.1] > 10 * largest[0.001]


def test_figures_that_are_not_finite_are_left_out(digits):
    step = make_step(CONFIG, compiled=False)
    meter = StepMeter(step.model, step)
    meter.start()
    step(digits.train.images[:64], digits.train.labels[:64])
    with torch.no_grad():
        step.model.layers[0].weight.fill_(float("nan"))
    assert meter.finish() is None
