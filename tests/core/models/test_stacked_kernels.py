"""The Triton kernels against torch, on the CPU by Triton's interpreter.

The interpreter is chosen before Triton is imported, so another process runs them.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import torch
import torch.nn.functional as F
from torch import nn

from core.config import RunConfig
from core.data import dataset
from core.models.layers import BatchNorm2d
from core.models.stacked import conv_kernels, matrix_kernels, norm_kernels, pool_kernels
from core.training import muon
from core.training.loss import LossGradient
from core.training.stacked.loss_kernel import compute_loss
from core.training.stacked.training import StackedTraining
from core.training.trainer import Training

generator = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(*shape, generator=generator).requires_grad_()


def check(mine, theirs, inputs):
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    grad = torch.randn(mine.shape, generator=generator)
    for first, second in zip(
        torch.autograd.grad(mine, inputs, grad), torch.autograd.grad(theirs, inputs, grad)
    ):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


sizes = ((3, 2, 3, 6, 1, 5), (2, 1, 4, 7, 0, 4), (2, 5, 8, 5, 2, 3))
for count, inputs, outputs, side, pad, batch in sizes:
    x, weight = draw(batch, count * inputs, side, side + 1), draw(count * outputs, inputs, 3, 3)
    bias = draw(count * outputs)
    check(
        conv_kernels.conv3x3(x, weight, bias, count, (pad, pad)),
        F.conv2d(x, weight, bias, padding=pad, groups=count),
        [x, weight, bias],
    )

for relu in (False, True):
    for batch, side in ((7, 5), (40, 9)):
        norms = [BatchNorm2d(6, relu), BatchNorm2d(6, relu)]
        for norm in norms:
            with torch.no_grad():
                norm.weight.copy_(torch.linspace(-1, 2, 6))
                norm.bias.copy_(torch.linspace(-0.5, 0.5, 6))
        x = (draw(batch, 6, side, side) * 3 + 50).detach().requires_grad_()
        mine, theirs = norm_kernels.batch_norm(x, norms[0]), norms[1](x)
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
        grad = torch.randn(mine.shape, generator=generator)
        pairs = zip(
            torch.autograd.grad(mine, [x, norms[0].weight, norms[0].bias], grad),
            torch.autograd.grad(theirs, [x, norms[1].weight, norms[1].bias], grad),
        )
        for first, second in pairs:
            torch.testing.assert_close(first, second, rtol=1e-3, atol=2e-3)
        torch.testing.assert_close(norms[0].running_mean, norms[1].running_mean)
        torch.testing.assert_close(norms[0].running_var, norms[1].running_var)

# Whole networks, as on a GPU.
digits = dataset.synthetic()
rows = (
    {"kind": "avgpool", "kernel": 2, "stride": 2},
    {"kind": "conv", "channels": 3, "kernel": 3, "padding": 1, "norm": "batch"},
    {"kind": "maxpool"},
    {"kind": "conv", "channels": 4, "kernel": 3, "norm": "batch", "activation": "none"},
    {"kind": "conv", "channels": 4, "kernel": 3, "groups": 2, "activation": "relu"},
    {"kind": "global_avgpool"},
    {"kind": "conv", "channels": 10, "kernel": 1, "activation": "none"},
)
config = RunConfig(
    layers=rows, optimizer="muon", batch_size=10, lr=0.05, schedule="constant", device="cpu",
    precision="fp32", threads=1,
)
conv_kernels.are_used_on = lambda device: True
for changes in ({"ema_decay": 0.9}, {"optimizer": "sgd", "weight_decay": 0.01, "clip_norm": 0.5}):
    configs = [config.changed(seed=seed, **changes) for seed in (1, 2)]
    stack = StackedTraining([Training(each, digits) for each in configs])
    assert stack.compute.uses_kernels and stack.optimizer.uses_kernels
    results = stack.run()
    for _ in range(2):
        next(results)
    for n, each in enumerate(configs):
        alone, mine = Training(each, digits), stack.store(n)
        steps = alone.run()
        for _ in range(2):
            next(steps)
        theirs, state = alone.state_dict(), mine.state_dict()
        averages = [run["average"] or {"tensors": []} for run in (theirs, state)]
        for pair in zip(*(average["tensors"] for average in averages), strict=True):
            torch.testing.assert_close(*pair, rtol=1e-3, atol=1e-5)
        for name, tensor in state["model"].items():
            torch.testing.assert_close(tensor, theirs["model"][name], rtol=1e-3, atol=1e-5)
        for key, values in state["optimizer"]["state"].items():
            torch.testing.assert_close(
                values["momentum_buffer"],
                theirs["optimizer"]["state"][key]["momentum_buffer"], rtol=1e-2, atol=1e-4,
            )
        assert state["correct"] == theirs["correct"]
        torch.testing.assert_close(state["loss_sum"], theirs["loss_sum"], rtol=1e-5, atol=0)

# A loss with everything.
config = RunConfig(label_smoothing=0.1, teacher_share=0.7, temperature=3.0)
labels = torch.arange(14).view(2, 7) % 10
logits, taught = 4 * torch.randn(7, 2, 10), 4 * torch.randn(2, 7, 10)
for teacher_logits in (None, taught):
    sums = torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.int64)
    nll, gradient = compute_loss(config, logits, labels, teacher_logits, *sums)
    for n in range(2):
        own = None if teacher_logits is None else teacher_logits[n]
        expected, slope = LossGradient(config, logits.device)(logits[:, n], labels[n], own)
        torch.testing.assert_close(nll[n], expected)
        torch.testing.assert_close(gradient[:, n], slope)
        torch.testing.assert_close(sums[0][n].float(), 1 + 7 * expected)
        assert sums[1][n] == 1 + (logits[:, n].argmax(1) == labels[n]).sum()

for shape in ((3, 8, 72), (2, 16, 20), (2, 1, 9), (1, 5, 5)):
    matrices = torch.randn(shape, generator=generator)
    torch.testing.assert_close(
        matrix_kernels.orthogonalise(matrices), muon.orthogonalise(matrices), rtol=1e-3, atol=1e-3
    )

for side in (6, 7):
    x = draw(3, 4, side, side)
    ties = torch.zeros(2, 2, side, side).requires_grad_()
    for images in (x, ties):
        check(pool_kernels.max_pool2x2(images), F.max_pool2d(images, 2), [images])
with torch.no_grad():
    x[0, 0, 0, 1] = float("nan")
    assert pool_kernels.max_pool2x2(x)[0, 0, 0, 0].isnan()
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_the_kernels_compute_what_torch_computes():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    result = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3_000:]
