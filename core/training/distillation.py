"""Distillation: a trained network's answers, and the loss of learning from them.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.batches import normalise


class Ensemble(torch.nn.Module):
    """Several networks that answer together: the mean of their logits."""

    def __init__(self, members: Iterable[torch.nn.Module]):
        super().__init__()
        self.members = torch.nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 10) of a batch (B, 1, 28, 28)."""
        return torch.stack([member(images) for member in self.members]).mean(0)


class Teacher:
    """A trained network that is asked for its logits; it never changes, and can be sent to another process.

    Args:
        model: the network, (B, 1, 28, 28) -> (B, 10); put into evaluation mode and onto the device.
        device: where it answers.
        dtype: format of the arithmetic; other than float32 under autocast.
    """

    def __init__(
        self, model: torch.nn.Module, device: torch.device, dtype: torch.dtype = torch.float32
    ):
        self.model = (
            model.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        )
        self.device, self.dtype = device, dtype

    @torch.no_grad()  # not inference mode, whose tensors a loss cannot be differentiated with
    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, 10) float32 of images (N, 28, 28) uint8."""
        batch = normalise(images, self.device).to(
            memory_format=torch.channels_last
        )  # (N, 1, 28, 28)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits: Tensor = self.model(batch)  # (N, 10)
        return logits.float()


def distillation(
    log_probabilities: Tensor, logits: Tensor, answers: Tensor, temperature: float
) -> Tensor:
    """T^2 times the cross-entropy of the student's softened probabilities under the teacher's, mean over the batch.

    T^2 keeps the gradient's size while the temperature changes (Hinton et al., section 2).

    Args:
        log_probabilities: (B, 10), of the student at temperature 1; used as it is where the temperature is 1.
        logits: (B, 10), of the student.
        answers: (B, 10), the teacher's logits.
        temperature: T, at least 1.
    """
    softened = log_probabilities if temperature == 1 else F.log_softmax(logits / temperature, 1)
    return -(temperature**2) * (F.softmax(answers / temperature, 1) * softened).sum(1).mean()
