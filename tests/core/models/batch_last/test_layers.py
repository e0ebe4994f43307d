"""The compiled loops agree with torch in values, gradients and statistics, for all sizes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from core.config import RunConfig
from core.models.architectures import ARCHITECTURES
from core.models.batch_last import layers
from core.models.batch_last.layout import is_batch_last, to_batch_last
from tests.networks import build_model

COMPILED = {
    "a first convolution": (layers.Conv2d(1, 4, 3, padding=1), (5, 1, 9, 7)),
    "odd channels, no padding": (layers.Conv2d(3, 5, 3), (4, 3, 8, 6)),
    "one channel out, wide padding": (layers.Conv2d(2, 1, 3, padding=2, bias=False), (3, 2, 5, 5)),
    "padding on one side only": (layers.Conv2d(2, 4, 3, padding=(0, 1)), (3, 2, 5, 4)),
    "lines longer than a tile": (layers.Conv2d(4, 6, 3, padding=1), (64, 4, 6, 28)),
    "depthwise": (layers.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), (5, 6, 7, 7)),
    "depthwise with a bias": (layers.Conv2d(3, 3, 3, groups=3), (5, 3, 6, 5)),
    "1x1": (layers.Conv2d(5, 7, 1), (4, 5, 3, 6)),
    "1x1 without a bias": (layers.Conv2d(6, 2, 1, bias=False), (2, 6, 1, 1)),
    "norm": (layers.BatchNorm2d(3), (6, 3, 5, 4)),
    "norm with a ReLU": (layers.BatchNorm2d(4, relu=True), (6, 4, 3, 4)),
    "pool": (layers.MaxPool2d(2, 2), (4, 3, 6, 8)),
    "pool that leaves a line and a column": (layers.MaxPool2d(2, 2), (4, 3, 7, 5)),
    "global average": (layers.AdaptiveAvgPool2d(1), (4, 3, 7, 5)),
    "space to depth": (layers.PixelUnshuffle(2), (4, 3, 6, 8)),
}
BY_TORCH = {
    "stride": (layers.Conv2d(3, 4, 3, stride=2), (4, 3, 8, 8)),
    "large window": (layers.Conv2d(3, 4, 5, padding=2), (4, 3, 8, 8)),
    "very wide padding": (layers.Conv2d(3, 4, 3, padding=3), (4, 3, 8, 8)),
    "groups": (layers.Conv2d(4, 6, 3, groups=2), (4, 4, 8, 8)),
    "1x1 with a stride": (layers.Conv2d(4, 6, 1, stride=2), (4, 4, 8, 8)),
    "large pool": (layers.MaxPool2d(3, 2), (4, 3, 8, 8)),
    "average pool": (layers.AvgPool2d(2, 2), (4, 3, 8, 8)),
}


def run_backward(module: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """A module's output, gradients and buffers, for a loss that weights every value differently."""
    module = copy.deepcopy(module).train()
    x = x.detach().requires_grad_()
    out = module(x)
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape) / out.numel() ** 0.5
    (out * weights).sum().backward()
    return {
        "out": out,
        "x": x.grad,
        **{name: weight.grad for name, weight in module.named_parameters()},
        **dict(module.named_buffers()),
    }


@pytest.mark.parametrize(
    ("module", "shape"), (COMPILED | BY_TORCH).values(), ids=COMPILED | BY_TORCH
)
def test_a_batch_last_layer_agrees_with_torch(module, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected, actual = run_backward(module, x), run_backward(module, to_batch_last(x))
    assert is_batch_last(actual["out"])
    assert not is_batch_last(expected["out"]) or expected["out"].shape[1:] == (1, 1, 1)
    assert list(actual) == list(expected)
    for name, tensor in actual.items():
        torch.testing.assert_close(
            tensor, expected[name], rtol=1e-4, atol=1e-4, msg=lambda text, name=name: name + text
        )


@pytest.mark.parametrize(("module", "shape"), COMPILED.values(), ids=COMPILED)
def test_a_batch_last_layer_in_evaluation_mode_agrees_with_torch(module, shape):
    module = copy.deepcopy(module)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    module.train()(x)  # so that the running statistics are not the initial ones
    module.eval()
    with torch.inference_mode():
        torch.testing.assert_close(module(to_batch_last(x)), module(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in ARCHITECTURES if name not in ("pytorch-example", "keras-style")]
)
def test_a_network_computes_the_same_in_either_layout(name):
    model = build_model(RunConfig(architecture=name, initialisation="he", dropout=0.0))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    expected, actual = run_backward(model, x), run_backward(model, to_batch_last(x))
    for name, tensor in actual.items():
        size = expected[name].float().abs().max().item()
        torch.testing.assert_close(
            tensor,
            expected[name],
            rtol=1e-3,
            atol=1e-3 * size + 1e-5,
            msg=lambda text, name=name: name + text,
        )


def test_the_first_of_equal_maxima_receives_the_gradient():
    x = torch.zeros(3, 2, 4, 4)
    pool = layers.MaxPool2d(2, 2)
    assert torch.equal(run_backward(pool, to_batch_last(x))["x"], run_backward(pool, x)["x"])


def test_nan_stays_nan():
    x = torch.randn(4, 2, 5, 5)
    x[1, 1, 2, 2] = torch.nan
    conv = layers.Conv2d(2, 2, 3, padding=1)
    norm = layers.BatchNorm2d(2, relu=True)
    assert conv(to_batch_last(x)).isnan().any()
    assert norm(to_batch_last(x))[:, 1].isnan().all()
    assert norm(to_batch_last(x))[:, 0].isfinite().all()


def test_only_float32_batches_of_several_images_are_batch_last():
    x = torch.zeros(4, 3, 5, 5)
    assert is_batch_last(to_batch_last(x))
    assert to_batch_last(x).shape == x.shape
    assert not is_batch_last(x)
    assert not is_batch_last(to_batch_last(x)[:1])
    assert not is_batch_last(to_batch_last(x).to(torch.bfloat16))
    assert not is_batch_last(to_batch_last(x).contiguous(memory_format=torch.channels_last))
