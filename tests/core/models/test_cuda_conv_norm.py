"""The GPU's kernels for convolution, norm and ReLU: equal to torch's, and the same every time."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from core.models.cuda import conv_norm as cuda
from core.models.cuda.nvrtc import CudaError, compile_source
from core.models.layers import BatchNorm2d, conv_norm

SHAPES = [
    # inputs, outputs, side, padding, ReLU, images
    (1, 4, 28, 1, True, 64),
    (4, 4, 28, 1, True, 32),
    (4, 8, 14, 1, False, 5),
    (8, 8, 7, 1, True, 33),
    (16, 16, 14, 1, True, 256),
    (16, 10, 14, 0, True, 3),
    (32, 29, 5, 0, False, 100),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernels_compile(shape):
    inputs, outputs, side, pad, relu, _ = shape
    try:
        compile_source('extern "C" __global__ void nothing() {}', "sm_90")
    except CudaError:
        pytest.skip("This torch comes without NVRTC.")
    sizes = (inputs, outputs, side, side, pad, int(relu))
    assert len(compile_source(cuda.source(sizes), "sm_90")) > 1_000
    assert max(cuda.shared_bytes(sizes).values()) <= cuda.MAX_SHARED


def test_a_mistake_in_a_source_is_an_error_that_shows_it():
    try:
        compile_source('extern "C" __global__ void nothing() {}', "sm_90")
    except CudaError:
        pytest.skip("This torch comes without NVRTC.")
    with pytest.raises(CudaError, match="undeclared_name"):
        compile_source('extern "C" __global__ void f(float* x) { *x = undeclared_name; }', "sm_90")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no CUDA GPU here.")
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernels_compute_what_torch_does(shape):
    inputs, outputs, side, pad, relu, images = shape
    torch.manual_seed(1)
    conv = nn.Conv2d(inputs, outputs, 3, padding=pad).cuda()
    norm = BatchNorm2d(outputs, relu).cuda().train()
    torch.nn.init.normal_(norm.weight, 1, 0.3)
    torch.nn.init.normal_(norm.bias, 0, 0.3)
    x = torch.randn(images, inputs, side, side, device="cuda", requires_grad=True)
    assert cuda.can_compute(conv, norm, x)
    theirs_conv, theirs_norm = copy.deepcopy(conv).double(), copy.deepcopy(norm).double()
    theirs_x = x.detach().double().requires_grad_()
    out, expected = conv_norm(conv, norm, x), theirs_norm(theirs_conv(theirs_x))
    gradient = torch.randn_like(out)
    out.backward(gradient)
    expected.backward(gradient.double())

    def check(own, other):
        limit = 1e-5 * max(1.0, other.abs().max().item())
        torch.testing.assert_close(own.double(), other, rtol=1e-4, atol=limit)

    check(out, expected)
    check(x.grad, theirs_x.grad)
    check(conv.weight.grad, theirs_conv.weight.grad)
    assert not conv.bias.grad.any()
    for own, other in zip(norm.parameters(), theirs_norm.parameters(), strict=True):
        check(own.grad, other.grad)
    check(norm.running_mean, theirs_norm.running_mean)
    check(norm.running_var, theirs_norm.running_var)
    assert norm.num_batches_tracked == 1

    again = conv_norm(conv, norm, x)
    first, conv.weight.grad = conv.weight.grad, None
    again.backward(gradient)
    assert torch.equal(again, out)
    assert torch.equal(conv.weight.grad, first)
