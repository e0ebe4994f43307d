"""Network and its initialisation: equal to plain torch, reproducible; can be copied and saved."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from core.config import INITIALISATIONS, RunConfig
from core.errors import ArchitectureError, ConfigError
from core.models.architectures import ARCHITECTURES
from core.models.network import Network, initialise
from tests.networks import build_model

SCORES = {"kind": "linear", "activation": "none"}
IMAGES = torch.randn(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def plain_original() -> nn.Sequential:
    """The original's network of 3,762 parameters, in plain torch."""
    layers: list[nn.Module] = []
    for before, after, ends in (
        (1, 4, 0),
        (4, 4, 0),
        (4, 4, 1),
        (4, 8, 0),
        (8, 8, 0),
        (8, 8, 1),
        (8, 8, 0),
        (8, 8, 0),
        (8, 8, 0),
    ):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.MaxPool2d(2), nn.Dropout(0.0)] if ends else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 10, 1), nn.Flatten())


def test_logits_gradients_and_statistics_equal_plain_torch():
    plain, model = plain_original(), build_model(RunConfig(architecture="original-3762"))
    for mine, theirs in zip(model.state_dict().values(), plain.state_dict().values(), strict=True):
        theirs.copy_(mine)
    for network in (plain, model):
        network(IMAGES).logsumexp(1).sum().backward()
    for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad)
    for mine, theirs in zip(model.buffers(), plain.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(model.eval()(IMAGES), plain.eval()(IMAGES))


def test_a_row_is_added_after_its_activation_and_not_changed():
    rows = [
        {"kind": "conv", "channels": 4, "padding": 1},
        {"kind": "conv", "channels": 4, "padding": 1, "activation": "none"},
        {"kind": "add", "from": 1, "activation": "relu"},
        {"kind": "add", "from": 1},
        {"kind": "dropout"},
        SCORES,
    ]
    model = build_model(RunConfig(layers=tuple(rows)))
    first, second, scores = model.layers[0], model.layers[1], model.layers[3]
    one = first(IMAGES).relu()
    expected = scores(((second(one) + one).relu() + one).flatten(1))
    torch.testing.assert_close(model(IMAGES), expected)
    expected.square().sum().backward()
    gradients = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    model(IMAGES).square().sum().backward()
    torch.testing.assert_close([weight.grad for weight in model.parameters()], gradients)


def test_a_shared_convolution_is_one_module_with_a_norm_for_each_row():
    conv = {"kind": "conv", "channels": 4, "padding": 1, "norm": "batch", "bias": False}
    rows = [conv, conv, {"kind": "maxpool"}, {**conv, "shared": True}, SCORES]
    model = build_model(RunConfig(layers=tuple(rows)))
    modules = model.row_modules
    assert modules[3][0] is modules[1][0]
    assert modules[3][1] is not modules[1][1]
    assert sum(p.numel() for p in model.parameters()) == 36 + 144 + 3 * 8 + 4 * 14 * 14 * 10 + 10
    assert len({id(tensor) for tensor in model.state_dict(keep_vars=True).values()}) == len(
        model.state_dict()
    )
    x = IMAGES
    for row in modules:
        x = x.flatten(1) if isinstance(row[0], nn.Linear) else x
        for module in row:
            x = module(x)
    torch.testing.assert_close(model(IMAGES), x)
    twin = copy.deepcopy(model)
    nn.init.zeros_(twin.row_modules[1][0].weight)
    assert not twin.row_modules[3][0].weight.any()


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("silu", nn.functional.silu),
        ("gelu", nn.functional.gelu),
        ("relu", torch.relu),
        ("none", lambda x: x),
    ],
)
def test_activations(activation, function):
    model = Network([{"kind": "conv", "activation": activation}, SCORES])
    images = IMAGES.clone()
    torch.testing.assert_close(model.features(images)[0], function(model.layers[0](IMAGES)))
    assert torch.equal(images, IMAGES)


def test_the_last_features_are_the_logits():
    for name in ARCHITECTURES:
        model = build_model(RunConfig(architecture=name)).eval()
        assert torch.equal(model.features(IMAGES)[-1].flatten(1), model(IMAGES))


def test_dropout_rows_have_their_own_probability_or_the_runs():
    model = Network(
        [{"kind": "dropout"}, {"kind": "dropout", "p": 0.5}, {"kind": "dropout", "p": 0}, SCORES],
        0.1,
    )
    assert [module.p for module in model.layers[:3]] == [0.1, 0.5, 0.0]
    assert [
        module.p
        for module in build_model(RunConfig(dropout=0.25)).layers
        if isinstance(module, nn.Dropout)
    ] == [0.25] * 2


def test_copied_saved_and_replaced_modules_are_used():
    model = build_model(RunConfig(architecture="residual-7850")).eval()
    logits = model(IMAGES)
    twin = copy.deepcopy(model)
    nn.init.zeros_(twin.layers[-1].weight)
    assert torch.equal(model(IMAGES), logits)
    assert not torch.equal(twin(IMAGES), logits)
    twin.layers[-1] = model.layers[-1]
    assert torch.equal(twin(IMAGES), logits)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = build_model(RunConfig(architecture="residual-7850", seed=9)).eval()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(IMAGES), logits)


@pytest.mark.parametrize("how", INITIALISATIONS)
def test_build_is_a_function_of_the_config_and_does_not_advance_the_generator(how):
    config = RunConfig(initialisation=how, seed=5)
    before = torch.get_rng_state()
    first = build_model(config).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(77)
    assert all(
        torch.equal(first[name], value) for name, value in build_model(config).state_dict().items()
    )
    other = build_model(config.changed(seed=6)).state_dict()
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_torch_initialisation_equals_that_of_torchs_modules(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        plain = Network(ARCHITECTURES[name].rows).state_dict()
    model = build_model(RunConfig(architecture=name, seed=3)).state_dict()
    assert all(torch.equal(model[key], plain[key]) for key in plain)


def test_xavier_and_he_have_their_variance():
    model = Network(
        [{"kind": "conv", "channels": 64, "kernel": 5}, {"kind": "linear", "channels": 64}, SCORES]
    )
    conv, linear = model.layers[0], model.layers[1]
    for how, variance in (
        ("xavier", lambda ins, outs: 2 / (ins + outs)),
        ("he", lambda ins, outs: 2 / ins),
    ):
        initialise(model, how, torch.Generator().manual_seed(1))
        assert float(conv.weight.detach().var()) == pytest.approx(variance(25, 64 * 25), rel=0.1)
        assert float(linear.weight.detach().var()) == pytest.approx(
            variance(64 * 24 * 24, 64), rel=0.1
        )
        assert not conv.bias.any()
    with pytest.raises(ConfigError, match="zeros"):
        initialise(model, "zeros", torch.Generator())


def test_initialise_resets_norms():
    model = build_model(RunConfig())
    model(IMAGES)
    initialise(model, "torch", torch.Generator().manual_seed(1))
    fresh = build_model(RunConfig(seed=1)).state_dict()
    assert all(torch.equal(value, fresh[key]) for key, value in model.state_dict().items())


def test_wrong_rows_are_refused():
    with pytest.raises(ArchitectureError, match="row 2"):
        build_model(RunConfig(layers=({"kind": "maxpool"}, {"kind": "conv", "kernel": 28}, SCORES)))
