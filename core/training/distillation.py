"""Knowledge distillation: a trained network's logits, and the loss of learning from them.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015),
arXiv 1503.02531.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import RunConfig
from core.data.batches import normalise
from core.errors import RunError
from core.models.network import Network
from core.training.evaluation import can_compute_logits, compute_logits
from core.training.precision import autocast


class Ensemble(nn.Module):
    """Several networks as one: the mean of their logits."""

    def __init__(self, members: Iterable[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 28, 28) -> logits (B, 10)."""
        return torch.stack([member(images) for member in self.members]).mean(0)


class Teacher:
    """A trained network that computes logits; can be pickled for other processes.

    Args:
        model: (B, 1, 28, 28) -> (B, 10); set to evaluation mode and moved to the device.
        device: where it computes.
        dtype: of the arithmetic; other than float32 under autocast.
    """

    def __init__(self, model: nn.Module, device: torch.device, dtype: torch.dtype = torch.float32):
        # Through Any, since the type stubs of `Module.to` lack memory_format.
        options: Any = {"device": device, "memory_format": torch.channels_last}
        self.model = model.eval().requires_grad_(False).to(**options)
        self.device, self.dtype = device, dtype

    @property
    def _compiled_members(self) -> list[Network]:
        """The networks whose logits compiled code computes, or none where it cannot."""
        if self.device.type != "cpu" or self.dtype != torch.float32:
            return []
        members = self.model.members if isinstance(self.model, Ensemble) else [self.model]
        compiled = [m for m in members if isinstance(m, Network) and can_compute_logits(m)]
        return compiled if len(compiled) == len(list(members)) else []

    @torch.no_grad()  # not inference mode: a loss cannot be differentiated with its tensors
    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits (N, 10) float32 of images (N, 28, 28) uint8."""
        if members := self._compiled_members:
            threads = torch.get_num_threads()
            return torch.stack([compute_logits(m, images, threads) for m in members]).mean(0)
        batch = normalise(images, self.device)  # (N, 1, 28, 28)
        with autocast(self.device, self.dtype):
            logits: Tensor = self.model(batch.to(memory_format=torch.channels_last))  # (N, 10)
        return logits.float()


def distillation_loss(
    log_probabilities: Tensor, logits: Tensor, teacher_logits: Tensor, temperature: float
) -> Tensor:
    """Return T^2 times the cross-entropy of the student's and the teacher's softened probabilities.

    The factor T^2 keeps the size of the gradient independent of T (Hinton et al., section 2).

    Args:
        log_probabilities: (B, 10), of the student at temperature 1; used if `temperature` is 1.
        logits: (B, 10), of the student.
        teacher_logits: (B, 10).
        temperature: T, at least 1.

    Returns:
        The mean over the batch, 0-d, in nats.
    """
    softened = log_probabilities if temperature == 1 else F.log_softmax(logits / temperature, 1)
    targets = F.softmax(teacher_logits / temperature, 1)
    return -(temperature**2) * (targets * softened).sum(1).mean()


def check_teacher(config: RunConfig, teacher: nn.Module | None) -> None:
    """Refuse a teacher that is missing, or that the config does not name.

    Raises:
        RunError: says which.
    """
    if config.teacher != "none" and teacher is None:
        raise RunError(f"teacher is {config.teacher}, but no such network was given.")
    if config.teacher == "none" and teacher is not None:
        raise RunError("teacher is none, but a network was given as teacher.")
