"""Our own loops give what torch gives: values, gradients and statistics, whatever the sizes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from core.config import RunConfig
from core.models.architectures import ARCHITECTURES
from core.models.batch_last import layers
from core.models.batch_last.layers import lay, lies
from core.models.network import build

FAST = {  # computed by our loops
    "a first convolution": (layers.Conv2d(1, 4, 3, padding=1), (5, 1, 9, 7)),
    "odd channels, no padding": (layers.Conv2d(3, 5, 3), (4, 3, 8, 6)),
    "one channel out, wide padding": (layers.Conv2d(2, 1, 3, padding=2, bias=False), (3, 2, 5, 5)),
    "padding on one side only": (layers.Conv2d(2, 4, 3, padding=(0, 1)), (3, 2, 5, 4)),
    "lines longer than a tile": (layers.Conv2d(4, 6, 3, padding=1), (64, 4, 6, 28)),
    "depthwise": (layers.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), (5, 6, 7, 7)),
    "depthwise with a bias": (layers.Conv2d(3, 3, 3, groups=3), (5, 3, 6, 5)),
    "a mix of channels": (layers.Conv2d(5, 7, 1), (4, 5, 3, 6)),
    "a mix without a bias": (layers.Conv2d(6, 2, 1, bias=False), (2, 6, 1, 1)),
    "norm": (layers.BatchNorm2d(3), (6, 3, 5, 4)),
    "norm with a ReLU": (layers.BatchNorm2d(4, relu=True), (6, 4, 3, 4)),
    "pool": (layers.MaxPool2d(2, 2), (4, 3, 6, 8)),
    "pool that leaves a line and a column": (layers.MaxPool2d(2, 2), (4, 3, 7, 5)),
    "average of all": (layers.AdaptiveAvgPool2d(1), (4, 3, 7, 5)),
    "space to depth": (layers.PixelUnshuffle(2), (4, 3, 6, 8)),
}
TORCHS = {  # left to torch, the layout kept
    "stride": (layers.Conv2d(3, 4, 3, stride=2), (4, 3, 8, 8)),
    "large window": (layers.Conv2d(3, 4, 5, padding=2), (4, 3, 8, 8)),
    "very wide padding": (layers.Conv2d(3, 4, 3, padding=3), (4, 3, 8, 8)),
    "groups": (layers.Conv2d(4, 6, 3, groups=2), (4, 4, 8, 8)),
    "mix with a stride": (layers.Conv2d(4, 6, 1, stride=2), (4, 4, 8, 8)),
    "large pool": (layers.MaxPool2d(3, 2), (4, 3, 8, 8)),
    "average pool": (layers.AvgPool2d(2, 2), (4, 3, 8, 8)),
}


def ran(module: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a module gives, and the gradients of a loss that weighs each of its values differently."""
    module = copy.deepcopy(module).train()
    x = x.detach().requires_grad_()
    out = module(x)
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape) / out.numel() ** 0.5
    (out * weights).sum().backward()
    return {
        "out": out,
        "x": x.grad,
        **{name: each.grad for name, each in module.named_parameters()},
        **dict(module.named_buffers()),
    }


@pytest.mark.parametrize(("module", "shape"), (FAST | TORCHS).values(), ids=FAST | TORCHS)
def test_a_layer_gives_in_its_own_layout_what_torch_gives(module, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    usual, own = ran(module, x), ran(module, lay(x))
    assert lies(own["out"])
    assert not lies(usual["out"]) or usual["out"].shape[1:] == (1, 1, 1)
    assert list(own) == list(usual)
    for name, tensor in own.items():
        torch.testing.assert_close(
            tensor, usual[name], rtol=1e-4, atol=1e-4, msg=lambda text, name=name: name + text
        )


@pytest.mark.parametrize(("module", "shape"), FAST.values(), ids=FAST)
def test_a_layer_that_no_longer_trains_gives_what_torch_gives(module, shape):
    module = copy.deepcopy(module)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    module.train()(x)  # so that running statistics are not those of nothing
    module.eval()
    with torch.inference_mode():
        torch.testing.assert_close(module(lay(x)), module(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in ARCHITECTURES if name not in ("pytorch-example", "keras-style")]
)
def test_a_network_gives_the_same_in_either_layout(name):
    model = build(RunConfig(architecture=name, initialisation="he", dropout=0.0))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    usual, own = ran(model, x), ran(model, lay(x))
    for each, tensor in own.items():
        size = usual[each].float().abs().max().item()
        torch.testing.assert_close(
            tensor,
            usual[each],
            rtol=1e-3,
            atol=1e-3 * size + 1e-5,
            msg=lambda text, each=each: each + text,
        )


def test_equal_values_in_a_pool_send_their_gradient_to_the_first_as_torchs_do():
    x = torch.zeros(3, 2, 4, 4)
    pool = layers.MaxPool2d(2, 2)
    assert torch.equal(ran(pool, lay(x))["x"], ran(pool, x)["x"])


def test_what_is_no_number_stays_none():
    x = torch.randn(4, 2, 5, 5)
    x[1, 1, 2, 2] = torch.nan
    conv = layers.Conv2d(2, 2, 3, padding=1)
    norm = layers.BatchNorm2d(2, relu=True)
    assert conv(lay(x)).isnan().any()
    assert norm(lay(x))[:, 1].isnan().all()
    assert norm(lay(x))[:, 0].isfinite().all()


def test_only_float_batches_of_several_images_count_as_laid():
    x = torch.zeros(4, 3, 5, 5)
    assert lies(lay(x))
    assert lay(x).shape == x.shape
    assert not lies(x)
    assert not lies(lay(x)[:1])
    assert not lies(lay(x).to(torch.bfloat16))
    assert not lies(lay(x).contiguous(memory_format=torch.channels_last))
