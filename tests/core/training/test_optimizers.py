"""Optimizers by name, compared with torch's with the same settings."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.config import OPTIMIZERS, RunConfig
from core.recipes import RECIPES
from core.training import optimizers

EXPECTED = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.8, weight_decay=0.01),
    "adam": lambda parameters: torch.optim.Adam(
        parameters, lr=0.1, betas=(0.8, 0.999), weight_decay=0.01
    ),
    "adamw": lambda parameters: torch.optim.AdamW(
        parameters, lr=0.1, betas=(0.8, 0.999), weight_decay=0.01
    ),
    "adadelta": lambda parameters: torch.optim.Adadelta(
        parameters, lr=0.1, rho=0.9, weight_decay=0.01
    ),
    # The last layer is updated as by SGD.
    "muon": lambda parameters: torch.optim.SGD(
        parameters, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01
    ),
}


def lone_weight() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2, bias=False)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_updates_as_torchs_does(name):
    mine, theirs = lone_weight(), lone_weight()
    ours = optimizers.build_optimizer(
        RunConfig(optimizer=name, lr=0.1, momentum=0.8, weight_decay=0.01), mine
    )
    reference = EXPECTED[name](theirs.parameters())
    images = torch.randn(5, 3)
    for _ in range(4):
        optimizers.set_rate(ours, 0.1, 0.8)
        for model, optimizer in ((mine, ours), (theirs, reference)):
            optimizer.zero_grad()
            model(images).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine.weight, theirs.weight)
    assert not torch.equal(mine.weight, lone_weight().weight)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_set_rate_changes_rate_and_momentum(name):
    optimizer = optimizers.build_optimizer(RunConfig(optimizer=name), lone_weight())
    optimizers.set_rate(optimizer, 0.25, 0.5)
    for group in optimizer.param_groups:
        assert group["lr"] == 0.25
        assert group.get("momentum", group.get("betas", (0.5,))[0]) == 0.5
        assert ("momentum" in group) == (name in ("sgd", "muon"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_biases_have_no_weight_decay(name):
    optimizer = optimizers.build_optimizer(
        RunConfig(optimizer=name, weight_decay=0.1), nn.Linear(3, 2)
    )
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


def test_pytorchs_example_has_pytorchs_settings():
    config = RECIPES["pytorch-example"].config
    group = optimizers.build_optimizer(config, lone_weight()).param_groups[0]
    assert (group["lr"], group["rho"], group["eps"], group["weight_decay"]) == (1.0, 0.9, 1e-6, 0.0)
    assert (config.batch_size, config.epochs, config.gamma, config.augmentation) == (
        64,
        14,
        0.7,
        "none",
    )


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("varies", [False, True])
def test_sgd_with_numbers_as_tensors_updates_as_torchs_does(nesterov, varies):
    def train(build, lr, momentum):
        generator = torch.Generator().manual_seed(1)
        weight = torch.randn(5, generator=generator).requires_grad_()
        optimizer = build([{"params": [weight], "weight_decay": 0.01}])
        for group in optimizer.param_groups:
            group["lr"], group["momentum"] = lr, momentum
        for _ in range(3):
            weight.grad = torch.randn(5, generator=generator)
            optimizer.step()
        return weight.detach()

    options = {"lr": 0.1, "momentum": 0.9, "nesterov": nesterov}
    own = train(
        lambda groups: optimizers.CapturableSgd(groups, varies, **options),
        torch.tensor(0.1),
        torch.tensor(0.9) if varies else 0.9,
    )
    torch.testing.assert_close(own, train(lambda g: torch.optim.SGD(g, **options), 0.1, 0.9))
