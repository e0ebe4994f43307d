"""The C functions of batch norm, activations, pooling and space to depth against torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.compiler import is_available
from tests.core.compiled.kernel_library import Library, aligned
from tests.core.compiled.test_kernels_convolution import close

pytestmark = pytest.mark.skipif(not is_available(), reason="no C compiler works here")

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "NONE": lambda x: x,
    "RELU": F.relu,
    "SILU": F.silu,
    "GELU": F.gelu,
}
SHAPE = (13, 3, 9, 8)  # (N, C, H, W): not a multiple of any vector
CHANNELS, PIXELS = SHAPE[1], SHAPE[2] * SHAPE[3]
WINDOWS = ((2, 2), (3, 2), (2, 3), (3, 3), (1, 1), (8, 1))
SIDES = f"{SHAPE[2]}, {SHAPE[3]}"


@pytest.fixture(scope="module")
def library() -> Library:
    calls = {}
    for name in ACTIVATIONS:
        sizes = f"{CHANNELS}, {PIXELS}, {name}, n[0], n[1]"
        calls["norm_apply_" + name] = f"norm_apply(p[0], p[1], p[2], p[3], {sizes});"
        calls["norm_sums_" + name] = (
            f"norm_gradient_sums(p[0], p[1], p[2], p[3], p[4], p[5], {sizes});"
        )
        calls["norm_input_" + name] = (
            f"norm_input_gradient(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], {sizes}, p[8]);"
        )
        calls["apply_" + name] = f"activation_apply(p[0], p[1], {PIXELS}, {name});"
        calls["slope_" + name] = f"activation_gradient(p[0], p[1], p[2], {PIXELS}, {name});"
    for kernel, stride in WINDOWS:
        window = f"{SIDES}, {kernel}, {stride}"
        calls[f"max_{kernel}_{stride}"] = f"max_pool(p[0], p[1], {window});"
        calls[f"max_gradient_{kernel}_{stride}"] = f"max_pool_gradient(p[0], p[1], p[2], {window});"
        calls[f"mean_{kernel}_{stride}"] = f"average_pool(p[0], p[1], {window});"
        calls[f"mean_gradient_{kernel}_{stride}"] = f"average_pool_gradient(p[0], p[1], {window});"
    calls["global"] = f"global_average(p[0], p[1], {CHANNELS}, {PIXELS});"
    calls["global_gradient"] = f"global_average_gradient(p[0], p[1], {CHANNELS}, {PIXELS});"
    calls["unshuffle"] = "space_to_depth(p[0], p[1], 2, 6, 4, 2);"
    calls["unshuffle_gradient"] = "space_to_depth_gradient(p[0], p[1], 2, 6, 4, 2);"
    return Library(calls)


@pytest.mark.parametrize("mean", [0.0, 300.0])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_batch_norm(library: Library, activation: str, mean: float) -> None:
    torch.manual_seed(0)
    x = (torch.randn(SHAPE) + mean).requires_grad_()
    weight, bias = (torch.randn(CHANNELS, requires_grad=True) for _ in range(2))
    normalised = F.batch_norm(x, None, None, weight, bias, training=True)
    expected = ACTIVATIONS[activation](normalised)
    dy = torch.randn_like(expected)
    expected.backward(dy)

    exact = x.detach().double()
    centre, variance = exact.mean((0, 2, 3)), exact.var((0, 2, 3), unbiased=False)
    inverse = (variance + 1e-5).rsqrt()
    scale = weight.detach().double() * inverse
    offset = bias.detach().double() - centre * scale
    scale_, offset_, centre_ = (vector(t) for t in (scale, offset, centre))
    packed_x, packed_dy = library.pack(x.detach().numpy()), library.pack(dy.numpy())
    y, dx = aligned(*packed_x.shape), aligned(*packed_x.shape)
    total = np.zeros((2, CHANNELS))
    parts = [(0, PIXELS // 3), (PIXELS // 3, PIXELS)]
    for chunk in range(len(packed_x)):
        for part in parts:
            arrays = packed_x[chunk], scale_, offset_, y[chunk]
            library("norm_apply_" + activation, *arrays, numbers=part)
            sums = aligned(2, CHANNELS)
            arrays = packed_x[chunk], packed_dy[chunk], scale_, offset_, centre_, sums
            library("norm_sums_" + activation, *arrays, numbers=part)
            total += sums
    count = SHAPE[0] * PIXELS
    level = vector(torch.from_numpy(total[0] / count))
    slope = vector(torch.from_numpy(total[1] / count) * inverse**2)
    for chunk in range(len(packed_x)):
        mask = library.mask(SHAPE[0] - chunk * library.lanes)
        for part in parts:
            library(
                "norm_input_" + activation,
                *(packed_x[chunk], packed_dy[chunk], scale_, offset_, centre_, level, slope),
                *(dx[chunk], mask),
                numbers=part,
            )
    slack = 1 + mean  # what is left of float32's digits beside the mean
    close(library.unpack(y, SHAPE[0]), expected, slack)
    close(total[0], bias.grad, slack)
    close(total[1] * inverse.numpy(), weight.grad, slack)
    close(library.unpack(dx, SHAPE[0]), x.grad, slack)
    assert not np.moveaxis(dx, -1, 1).reshape(-1, *SHAPE[1:])[SHAPE[0] :].any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation(library: Library, activation: str) -> None:
    x = torch.linspace(-12, 12, PIXELS * library.lanes).requires_grad_()
    expected = ACTIVATIONS[activation](x)
    dy = torch.randn_like(expected)
    expected.backward(dy)
    y, dx = aligned(x.numel()), aligned(x.numel())
    library("apply_" + activation, vector(x), y)
    library("slope_" + activation, vector(x), vector(dy), dx)
    close(y, expected)
    close(dx, x.grad)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_keeps_nan(library: Library, activation: str) -> None:
    x, y = aligned(PIXELS * library.lanes), aligned(PIXELS * library.lanes, values=0)
    library("apply_" + activation, x, y)
    assert np.isnan(y).all()


@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
@pytest.mark.parametrize("kind", ["max", "mean"])
def test_pooling(library: Library, kind: str, kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 4, SHAPE).float().requires_grad_()  # with many equal values
    pool = F.max_pool2d if kind == "max" else F.avg_pool2d
    expected = pool(x, kernel, stride)
    dy = torch.randn_like(expected)
    expected.backward(dy)
    packed_x, packed_dy = library.pack(x.detach().numpy()), library.pack(dy.numpy())
    y, dx = aligned(*packed_dy.shape), aligned(*packed_x.shape)
    for chunk, channel in np.ndindex(packed_x.shape[:2]):
        place = chunk, channel
        library(f"{kind}_{kernel}_{stride}", packed_x[place], y[place])
        sources = (packed_x[place],) if kind == "max" else ()
        gradient = f"{kind}_gradient_{kernel}_{stride}"
        library(gradient, *sources, packed_dy[place], dx[place])
    close(library.unpack(y, SHAPE[0]), expected)
    close(library.unpack(dx, SHAPE[0]), x.grad)


def test_global_average(library: Library) -> None:
    torch.manual_seed(0)
    x = torch.randn(SHAPE, requires_grad=True)
    expected = x.mean((2, 3))
    dy = torch.randn_like(expected)
    expected.backward(dy)
    packed_x, packed_dy = library.pack(x.detach().numpy()), library.pack(dy.numpy())
    y, dx = aligned(*packed_dy.shape), aligned(*packed_x.shape)
    for chunk in range(len(packed_x)):
        library("global", packed_x[chunk], y[chunk])
        library("global_gradient", packed_dy[chunk], dx[chunk])
    close(library.unpack(y, SHAPE[0]), expected)
    close(library.unpack(dx, SHAPE[0]), x.grad)


def test_space_to_depth(library: Library) -> None:
    x = torch.randn(library.lanes, 2, 6, 4)
    packed = library.pack(x.numpy())
    y, back = aligned(1, 8, 3, 2, library.lanes), aligned(*packed.shape)
    library("unshuffle", packed[0], y[0])
    library("unshuffle_gradient", y[0], back[0])
    close(library.unpack(y, len(x)), F.pixel_unshuffle(x, 2))
    np.testing.assert_array_equal(back, packed)


def vector(values: Tensor) -> np.ndarray:
    """A float32 array of the tensor's values, aligned."""
    return aligned(values.numel(), values=values.detach().numpy().reshape(-1))
