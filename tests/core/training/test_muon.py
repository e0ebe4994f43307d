"""Muon: semi-orthogonal updates of a size set by the rate, for hidden layers only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.training.muon import UPDATE_SIZE, Muon, muon_groups, orthogonalise


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 6, 1),
        nn.Conv2d(6, 6, 1),
        nn.Flatten(),
        nn.Linear(6 * 24 * 24, 3),
    )


def take_steps(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 1) -> None:
    images = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("shape", [(2, 4, 9), (1, 8, 72), (3, 16, 4), (4, 1, 9), (1, 5, 5)])
def test_orthogonalised_matrices_have_singular_values_near_one_and_the_same_directions(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    result = orthogonalise(matrices)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.6
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    expected = left @ right
    assert (
        (result * expected).sum((1, 2)) / (result.norm(dim=(1, 2)) * expected.norm(dim=(1, 2)))
    ).min() > 0.95


def test_zero_gradients_make_no_update():
    assert torch.equal(orthogonalise(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_hidden_weights_are_updated_in_proportion_to_the_rate_and_keep_their_norm():
    model = network()
    hidden = [model[at].weight for at in (0, 2, 3, 4)]
    before = [weight.detach().clone() for weight in hidden]
    optimizer = Muon(muon_groups(model, 0.0), lr=0.2, momentum=0.9)
    take_steps(model, optimizer)
    for weight, old in zip(hidden, before, strict=True):
        assert ((weight - old).norm() / old.norm()).item() == pytest.approx(
            0.2 * UPDATE_SIZE, rel=0.35
        )
    for group in optimizer.param_groups:
        group["lr"] = 0.01 if group["orthogonalise"] else 0.0
    take_steps(model, optimizer, 20)
    for weight, old in zip(hidden, before, strict=True):
        assert (weight - old).norm() > 0.02 * old.norm()
        assert weight.norm().item() == pytest.approx(old.norm().item(), rel=0.01)


def test_every_channel_of_a_depthwise_convolution_is_a_matrix():
    model = network()
    before = model[2].weight.detach().clone()
    take_steps(model, Muon(muon_groups(model, 0.0), lr=0.2, momentum=0.9))
    lengths = (model[2].weight - before).flatten(1).norm(dim=1)
    assert lengths.max() / lengths.min() < 1.4


def test_norms_biases_and_the_last_layer_are_updated_as_by_sgd():
    model, other = network(), network()
    groups = muon_groups(model, 0.01)
    plain = [
        parameter
        for group in groups
        if not group.get("orthogonalise")
        for parameter in group["params"]
    ]
    assert {id(parameter) for parameter in plain} == {
        id(parameter)
        for parameter in model.parameters()
        if parameter.ndim == 1 or parameter is model[6].weight
    }
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    take_steps(model, Muon(groups, lr=0.001, momentum=0.9))
    theirs = torch.optim.SGD(
        [{"params": [other[6].weight], "weight_decay": 0.01}], lr=0.001, momentum=0.9, nesterov=True
    )
    take_steps(other, theirs)
    torch.testing.assert_close(model[6].weight, other[6].weight)


def test_a_restored_state_continues_exactly():
    whole, left = network(), network()
    take_steps(whole, Muon(muon_groups(whole, 0.0), lr=0.001, momentum=0.9), 6)
    first = Muon(muon_groups(left, 0.0), lr=0.001, momentum=0.9)
    take_steps(left, first, 3)
    second = Muon(muon_groups(left, 0.0), lr=0.001, momentum=0.9)
    second.load_state_dict(first.state_dict())
    take_steps(left, second, 3)
    for mine, theirs in zip(left.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_layers_without_a_gradient_are_not_updated():
    model = network()
    model[3].weight.requires_grad_(False)
    before = model[3].weight.clone()
    take_steps(model, Muon(muon_groups(model, 0.0), lr=0.001, momentum=0.9))
    assert torch.equal(model[3].weight, before)
