"""The loss's gradient in closed form equals that of autograd."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from core.config import RunConfig
from core.training.distillation import distillation_loss
from core.training.loss import LossGradient, backward_from


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize(("share", "temperature"), [(None, 1), (0.9, 2), (1, 1), (0, 5)])
def test_the_gradient_is_that_of_autograd(smoothing, share, temperature):
    generator = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(7, 10, generator=generator)
    teacher_logits = 3 * torch.randn(7, 10, generator=generator) if share is not None else None
    labels = torch.randint(10, (7,), generator=generator)
    config = RunConfig(
        label_smoothing=smoothing, teacher_share=share or 0.0, temperature=temperature
    )
    nll, gradient = LossGradient(config, torch.device("cpu"))(logits, labels, teacher_logits)

    logits.requires_grad_()
    loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    if teacher_logits is not None:
        own = F.log_softmax(logits, 1)
        distilled = distillation_loss(own, logits, teacher_logits, temperature)
        loss = (1 - share) * loss + share * distilled
    loss.backward()
    torch.testing.assert_close(gradient, logits.grad)
    torch.testing.assert_close(nll, F.cross_entropy(logits, labels).detach())


LIGHT = """import sys, torch
from core.training.loss import backward_from
x = torch.ones(3, requires_grad=True)
backward_from(2 * x, torch.tensor([1.0, 2.0, 3.0]))
assert x.grad.tolist() == [2, 4, 6]
assert "sympy" not in sys.modules
"""


def test_a_known_gradient_goes_back_without_symbolic_algebra():
    x = torch.randn(4, 10, requires_grad=True)
    gradient = torch.randn(4, 10)
    (x.exp()).backward(gradient)
    expected, x.grad = x.grad, None
    backward_from(x.exp(), gradient)
    assert torch.equal(x.grad, expected)
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-1_000:]
