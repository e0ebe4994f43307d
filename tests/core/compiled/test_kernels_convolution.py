"""The C convolutions against torch: values, both gradients, statistics, parts and masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.compiler import is_available
from tests.core.compiled.kernel_library import Library, aligned

pytestmark = pytest.mark.skipif(not is_available(), reason="no C compiler works here")


class Case(NamedTuple):
    """A convolution's shape."""

    inputs: int
    outputs: int
    height: int
    width: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1

    @property
    def name(self) -> str:
        return "conv_" + "_".join(map(str, self))

    @property
    def sizes(self) -> str:
        return ", ".join(map(str, self))


CASES = (
    Case(1, 4, 28, 28),
    Case(4, 4, 28, 28),
    Case(4, 8, 14, 14),
    Case(8, 8, 7, 7),
    Case(3, 14, 6, 5),
    Case(14, 3, 5, 6),
    Case(16, 16, 7, 7, padding=0),
    Case(16, 16, 14, 14, groups=16),
    Case(16, 10, 7, 7, kernel=1, padding=0),
    Case(4, 6, 5, 5, kernel=1, padding=1),
    Case(6, 9, 8, 8, groups=3),
    Case(4, 5, 9, 8, stride=2),
    Case(4, 5, 9, 8, kernel=2, stride=2, padding=0),
    Case(4, 5, 9, 8, kernel=2, stride=3, padding=2),
    Case(3, 4, 9, 9, kernel=5, padding=2),
    Case(2, 4, 8, 8, kernel=7, padding=3, groups=2),
    Case(2, 3, 6, 6, kernel=6, padding=0),
    Case(49, 10, 1, 1, kernel=1, padding=0),
)
BATCHES = (32, 13)


@pytest.fixture(scope="module")
def library() -> Library:
    calls = {}
    for case in CASES:
        calls["forward_" + case.name] = (
            f"conv_forward(p[0], p[1], p[2], p[3], p[4], {case.sizes}, n[0], n[1], p[5], p[6]);"
        )
        calls["input_" + case.name] = (
            f"conv_input_gradient(p[0], p[1], p[2], p[3], {case.sizes}, n[0], n[1]);"
        )
        calls["weight_" + case.name] = (
            f"conv_weight_gradient(p[0], p[1], p[2], p[3], p[4], {case.sizes}, n[0], n[1]);"
        )
    return Library(calls)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_convolution_and_its_gradients(library: Library, case: Case, batch: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(batch, case.inputs, case.height, case.width, requires_grad=True)
    shape = (case.outputs, case.inputs // case.groups, case.kernel, case.kernel)
    weight = torch.randn(shape, requires_grad=True)
    bias = torch.randn(case.outputs, requires_grad=True)
    expected = F.conv2d(x, weight, bias, case.stride, case.padding, groups=case.groups)
    dy = torch.randn_like(expected)
    expected.backward(dy)

    lines, columns = expected.shape[2:]
    w, b = (aligned(*t.shape, values=t.detach().numpy()) for t in (weight, bias))
    packed_x, packed_dy = library.pack(x.detach().numpy()), library.pack(dy.numpy())
    y = aligned(len(packed_x), case.outputs, lines, columns, library.lanes)
    dx = aligned(*packed_x.shape)
    side = max(case.height, case.width) + 2 * max(case.padding, case.kernel)
    scratch = aligned(max(case.inputs, case.outputs) * side * side * library.lanes)
    dw_sum, db_sum = np.zeros(shape), np.zeros(case.outputs)
    moments = []
    for chunk in range(len(packed_x)):
        valid = min(library.lanes, batch - chunk * library.lanes)
        for begin, end in halves(lines):
            sums = aligned(2, case.outputs)
            library(
                "forward_" + case.name,
                *(packed_x[chunk], w, b, y[chunk], scratch, sums, library.mask(valid)),
                numbers=(begin, end),
            )
            moments.append((valid * (end - begin) * columns, sums))
            dw, db = aligned(*shape), aligned(case.outputs)
            library(
                "weight_" + case.name,
                *(packed_x[chunk], packed_dy[chunk], dw, db, scratch),
                numbers=(begin, end),
            )
            dw_sum += dw
            db_sum += db
        for begin, end in halves(case.height):
            library(
                "input_" + case.name, packed_dy[chunk], w, dx[chunk], scratch, numbers=(begin, end)
            )
    close(library.unpack(y, batch), expected)
    close(library.unpack(dx, batch), x.grad)
    close(dw_sum, weight.grad)
    close(db_sum, bias.grad)
    mean = sum(sums[0] for _, sums in moments) / sum(count for count, _ in moments)
    deviations = sum(
        sums[1] + count * (sums[0] / count - mean) ** 2 for count, sums in moments if count
    )
    close(mean, expected.mean((0, 2, 3)))
    close(deviations, ((expected - expected.mean((0, 2, 3), keepdim=True)) ** 2).sum((0, 2, 3)))


def halves(lines: int) -> list[tuple[int, int]]:
    """Line ranges that cover all lines, as two tiles take them."""
    middle = lines // 2
    return [(0, middle), (middle, lines)] if middle else [(0, lines)]


def close(actual: np.ndarray, expected: torch.Tensor | None, slack: float = 1) -> None:
    """Assert equality up to `slack` times the rounding of sums in float32."""
    assert expected is not None
    values = expected.detach().numpy()
    atol = slack * (2e-6 * np.abs(values).max() + 1e-6)
    np.testing.assert_allclose(actual, values, rtol=1e-5, atol=atol)
