"""The C functions that compute batch norm or pooling on the way to a convolution, against the same
steps one by one.
"""

from __future__ import annotations

import numpy as np
import pytest

from core.compiler import is_available
from tests.core.compiled.kernel_library import Library, aligned

pytestmark = pytest.mark.skipif(not is_available(), reason="no C compiler works here")

CHANNELS, OUTPUTS, HEIGHT, WIDTH = 6, 5, 9, 7
PIXELS = HEIGHT * WIDTH
ACTIVATIONS = ("NONE", "RELU", "SILU", "GELU")
KERNELS = ((3, 1), (3, 0), (1, 0), (2, 1))  # (kernel, padding)
NORM = "p[2], p[3]"  # scale, offset
NORM_GRADIENT = "p[2], p[3], p[4], p[5], p[6]"  # scale, offset, mean, level, slope


def conv_sizes(kernel: int, padding: int, groups: int = 1) -> str:
    return f"{CHANNELS}, {OUTPUTS}, {HEIGHT}, {WIDTH}, {kernel}, 1, {padding}, {groups}"


@pytest.fixture(scope="module")
def library() -> Library:
    calls = {}
    shape = f"{CHANNELS}, {PIXELS}"
    image = f"{CHANNELS}, {HEIGHT}, {WIDTH}"
    for activation in ACTIVATIONS:
        whole = f"{activation}, 0, {PIXELS}"
        calls[f"apply_{activation}"] = f"norm_apply(p[0], {NORM}, p[1], {shape}, {whole});"
        calls[f"sums_{activation}"] = (
            f"norm_gradient_sums(p[0], p[1], p[2], p[3], p[4], p[5], {shape}, {whole});"
        )
        calls[f"gradient_{activation}"] = (
            f"norm_input_gradient(p[0], p[1], {NORM_GRADIENT}, p[7], {shape}, {whole}, p[8]);"
        )
        calls[f"pool_{activation}"] = (
            f"norm_max_pool(p[0], {NORM}, p[1], {image}, 2, {activation});"
        )
        calls[f"pool_sums_{activation}"] = (
            f"norm_pool_gradient_sums(p[0], p[1], p[2], p[3], p[4], p[5], {image}, 2, "
            f"{activation});"
        )
        for zeros in (0, 1, 2):
            border = f"{activation}, {zeros}"
            calls[f"pad_{activation}_{zeros}"] = f"pad_norm(p[0], {NORM}, p[1], {image}, {border});"
            calls[f"pad_gradient_{activation}_{zeros}"] = (
                f"pad_norm_gradient(p[0], p[1], {NORM_GRADIENT}, p[7], {image}, {border}, p[8]);"
            )
            calls[f"pad_pool_{activation}_{zeros}"] = (
                f"pad_norm_pool_gradient(p[0], p[1], {NORM_GRADIENT}, p[7], {image}, 2, {border}, "
                "p[8]);"
            )
    calls["max_pool"] = f"max_pool(p[0], p[1], {HEIGHT}, {WIDTH}, 2, 2);"
    calls["max_gradient"] = f"max_pool_gradient(p[0], p[1], p[2], {HEIGHT}, {WIDTH}, 2, 2);"
    for kernel, padding in KERNELS:
        sizes, lines = conv_sizes(kernel, padding), HEIGHT + 2 * padding - kernel + 1
        name = f"{kernel}_{padding}"
        calls[f"forward_{name}"] = (
            f"conv_forward(p[0], p[1], 0, p[2], p[3], {sizes}, 0, {lines}, p[4], p[5]);"
        )
        calls[f"forward_padded_{name}"] = (
            f"conv_forward_padded(p[0], p[1], 0, p[2], {sizes}, p[3], p[4]);"
        )
        calls[f"input_{name}"] = (
            f"conv_input_gradient(p[0], p[1], p[2], p[3], {sizes}, 0, {HEIGHT});"
        )
        calls[f"input_padded_{name}"] = f"conv_input_gradient_padded(p[0], p[1], p[2], {sizes});"
        calls[f"weight_{name}"] = (
            f"conv_weight_gradient(p[0], p[1], p[2], p[3], p[4], {sizes}, 0, {lines});"
        )
        calls[f"weight_padded_{name}"] = (
            f"conv_weight_gradient_padded(p[0], p[1], p[2], p[3], {sizes});"
        )
    return Library(calls)


@pytest.fixture
def drawn(library: Library) -> dict[str, np.ndarray]:
    """A chunk of random values, and coefficients of a norm."""
    generator = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return aligned(*shape, values=generator.standard_normal(shape).astype(np.float32))

    names = ("scale", "offset", "mean", "level", "slope")
    return {
        "x": draw(CHANNELS, HEIGHT, WIDTH, library.lanes),
        "dy": draw(CHANNELS, HEIGHT, WIDTH, library.lanes),
        "pool_dy": draw(CHANNELS, HEIGHT // 2, WIDTH // 2, library.lanes),
        "mask": library.mask(library.lanes - 1),
        **{name: draw(CHANNELS) for name in names},
    }


def padded(x: np.ndarray, zeros: int) -> np.ndarray:
    """(C, H, W, lanes) -> (H + 2 zeros, C, W + 2 zeros, lanes), with zeros around."""
    border = ((0, 0), (zeros, zeros), (zeros, zeros), (0, 0))
    lines = np.pad(x, border).transpose(1, 0, 2, 3)
    return aligned(*lines.shape, values=lines)


def near(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_norm_on_the_way(library: Library, drawn, activation: str, zeros: int) -> None:
    y, dx = aligned(*drawn["x"].shape), aligned(*drawn["x"].shape)
    norm = drawn["scale"], drawn["offset"]
    library(f"apply_{activation}", drawn["x"], y, *norm)
    expected = padded(y, zeros)
    target = aligned(*expected.shape)
    library(f"pad_{activation}_{zeros}", drawn["x"], target, *norm)
    near(target, expected)

    norm = *norm, drawn["mean"], drawn["level"], drawn["slope"]
    library(f"gradient_{activation}", drawn["x"], drawn["dy"], *norm, dx, drawn["mask"])
    target = aligned(*expected.shape)
    library(
        f"pad_gradient_{activation}_{zeros}", drawn["x"], drawn["dy"], *norm, target, drawn["mask"]
    )
    near(target, padded(dx, zeros))
    assert not target[..., -1].any()  # a lane without an image


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_norm_and_pool_at_once(library: Library, drawn, activation: str, zeros: int) -> None:
    y, dy, dx = (aligned(*drawn["x"].shape) for _ in range(3))
    norm = drawn["scale"], drawn["offset"]
    library(f"apply_{activation}", drawn["x"], y, *norm)
    pooled, expected = (aligned(*drawn["pool_dy"].shape) for _ in range(2))
    for c in range(CHANNELS):
        library("max_pool", y[c], expected[c])
        library("max_gradient", y[c], drawn["pool_dy"][c], dy[c])
    library(f"pool_{activation}", drawn["x"], pooled, *norm)
    near(pooled, expected)

    sums, expected_sums = aligned(2, CHANNELS), aligned(2, CHANNELS)
    library(f"sums_{activation}", drawn["x"], dy, *norm, drawn["mean"], expected_sums)
    arrays = drawn["x"], drawn["pool_dy"], *norm, drawn["mean"], sums
    library(f"pool_sums_{activation}", *arrays)
    near(sums, expected_sums)

    norm = *norm, drawn["mean"], drawn["level"], drawn["slope"]
    library(f"gradient_{activation}", drawn["x"], dy, *norm, dx, drawn["mask"])
    target = aligned(*padded(dx, zeros).shape)
    arrays = drawn["x"], drawn["pool_dy"], *norm, target, drawn["mask"]
    library(f"pad_pool_{activation}_{zeros}", *arrays)
    near(target, padded(dx, zeros))


@pytest.mark.parametrize(("kernel", "padding"), KERNELS)
def test_convolutions_of_copies(library: Library, drawn, kernel: int, padding: int) -> None:
    name, zeros = f"{kernel}_{padding}", kernel - 1 - padding
    side = HEIGHT - kernel + 1 + 2 * padding, WIDTH - kernel + 1 + 2 * padding
    generator = np.random.default_rng(1)

    def draw(*shape: int) -> np.ndarray:
        return aligned(*shape, values=generator.standard_normal(shape).astype(np.float32))

    w, dy = draw(OUTPUTS, CHANNELS, kernel, kernel), draw(OUTPUTS, *side, library.lanes)
    scratch = aligned(20_000 * library.lanes)
    x_copy, dy_copy = padded(drawn["x"], padding), padded(dy, zeros)
    y, y_padded = aligned(*dy.shape), aligned(*dy.shape)
    sums, sums_padded = aligned(2, OUTPUTS), aligned(2, OUTPUTS)
    library(f"forward_{name}", drawn["x"], w, y, scratch, sums, drawn["mask"])
    library(f"forward_padded_{name}", x_copy, w, y_padded, sums_padded, drawn["mask"])
    near(y_padded, y)
    near(sums_padded, sums)

    dx, dx_padded = aligned(*drawn["x"].shape), aligned(*drawn["x"].shape)
    library(f"input_{name}", dy, w, dx, scratch)
    library(f"input_padded_{name}", dy_copy, w, dx_padded)
    near(dx_padded, dx)

    dw, dw_padded = aligned(*w.shape), aligned(*w.shape)
    db, db_padded = aligned(OUTPUTS), aligned(OUTPUTS)
    library(f"weight_{name}", drawn["x"], dy, dw, db, scratch)
    library(f"weight_padded_{name}", x_copy, dy_copy, dw_padded, db_padded)
    np.testing.assert_allclose(dw_padded, dw, rtol=1e-4, atol=1e-4)
    near(db_padded, db)
