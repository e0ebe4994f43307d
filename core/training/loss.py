"""The training loss: cross-entropy with the labels, and with a teacher's soft targets."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import RunConfig


class LossGradient:
    """Gradient of a run's loss with respect to the logits, in closed form.

    The loss is (1 - share) * cross-entropy of the smoothed labels + share * the distillation loss.
    Autograd takes twice as many operations for the same, which counts on a GPU.

    Args:
        config: label smoothing, teacher's share and temperature.
        device: of the logits.
    """

    def __init__(self, config: RunConfig, device: torch.device):
        self.share, self.temperature = config.teacher_share, config.temperature
        smoothing = config.label_smoothing
        self.targets = (1 - smoothing) * torch.eye(10, device=device) + smoothing / 10
        """(10, 10): the smoothed targets of each label."""

    @torch.no_grad()
    def __call__(
        self, logits: Tensor, labels: Tensor, teacher_logits: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the negative log-likelihood of the labels and the gradient of the loss.

        Args:
            logits: (B, 10) float32.
            labels: (B,) int64.
            teacher_logits: (B, 10) float32; None without a teacher.

        Returns:
            The mean negative log-likelihood, 0-d, and the gradient of the mean loss, (B, 10).
        """
        log_probabilities, count = F.log_softmax(logits, 1), len(logits)
        nll = F.nll_loss(log_probabilities, labels)
        gradient = log_probabilities.exp_().sub_(self.targets[labels])
        if teacher_logits is None:
            return nll, gradient.div_(count)
        # The gradient of T^2 times the softened cross-entropy is T times this difference.
        softened = F.softmax(logits / self.temperature, 1)
        softened -= F.softmax(teacher_logits / self.temperature, 1)
        gradient.mul_((1 - self.share) / count)
        return nll, gradient.add_(softened, alpha=self.share * self.temperature / count)


def backward_from(logits: Tensor, gradient: Tensor) -> None:
    """Do the backward pass of a loss whose gradient is known.

    Like `logits.backward(gradient)`, for which torch would load its symbolic algebra (seconds), to
    compare the two shapes.

    Args:
        logits: of a network's forward pass.
        gradient: of the loss with respect to the logits, of their shape and type.
    """
    _KnownGradient.apply(logits, gradient).backward()


class _KnownGradient(torch.autograd.Function):
    """A scalar whose gradient with respect to a tensor is a given one."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return logits.new_empty(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient, None
