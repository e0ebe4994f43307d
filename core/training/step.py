"""One training step: forward pass, loss, gradients, update, and the epoch's sums."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.config import RunConfig
from core.data.batches import normalise
from core.training import cuda_graphs
from core.training.layouts import to_layout
from core.training.loss import LossGradient, backward_from
from core.training.optimizers import Average
from core.training.precision import autocast


class TrainingStep:
    """A training step computed by torch, on any device.

    Runs on the device alone, so that it can be captured as a CUDA graph.

    Args:
        config: loss and clipping.
        model: on the device; updated in place.
        optimizer: of the model's parameters, with the rate of the step.
        average: of the model, with the weight of the step; None: no averaging.
        device, dtype, layout: where and how to compute.
    """

    def __init__(
        self,
        config: RunConfig,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: Average | None,
        device: torch.device,
        dtype: torch.dtype,
        layout: str,
    ):
        self.config, self.model, self.optimizer = config, model, optimizer
        self.average = average
        self.loss_gradient = LossGradient(config, device)
        self.device, self.dtype, self.layout = device, dtype, layout
        sum_dtype = torch.float32 if device.type == "mps" else torch.float64
        self.loss_sum = torch.zeros((), dtype=sum_dtype, device=device)
        """Sum of the negative log-likelihood over the epoch's images so far."""
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        """Images of the epoch so far that were classified correctly."""
        self.keeps_gradients = False
        """Whether `gradients` is called after the next step."""

    def __call__(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None = None
    ) -> Tensor:
        """Update the weights, their average and the sums.

        Args:
            images: (B, 28, 28) uint8.
            labels: (B,) int64.
            teacher_logits: (B, 10) float32; None without a teacher.

        Returns:
            The mean negative log-likelihood of the batch before the update, 0-d.
        """
        batch = to_layout(normalise(images, self.device), self.layout)  # (B, 1, 28, 28)
        targets = labels.to(self.device, non_blocking=True)
        with autocast(self.device, self.dtype):
            logits = self.model(batch)  # (B, 10)
        logits = logits.float()
        if teacher_logits is not None:
            teacher_logits = teacher_logits.to(self.device, non_blocking=True)
        nll, gradient = self.loss_gradient(logits.detach(), targets, teacher_logits)
        self.optimizer.zero_grad(set_to_none=True)
        backward_from(logits, gradient)
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        self.loss_sum.add_(nll, alpha=len(labels))
        self.correct += (logits.detach().argmax(1) == targets).sum()
        return nll

    def gradients(self) -> list[Tensor]:
        """Return the gradients of the last step in the order of the model's parameters, clipped.

        On CUDA they are current after the last step of an epoch: replayed steps write them in one
        place, a last step that is too small to be replayed in another.
        """
        return [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for parameter in self.model.parameters()
        ]

    def capture_obstacle(self) -> str:
        """Return why a CUDA graph cannot replay this step, as a sentence, or ""."""
        return cuda_graphs.capture_obstacle(self.config)

    def varying_numbers(self) -> list[cuda_graphs.Number]:
        """Return where the step finds the numbers that the host sets before it."""
        return cuda_graphs.varying_numbers(self.optimizer, self.average)

    def mutable_state(self) -> dict[str, list[Tensor]]:
        """Return all tensors that the step changes."""
        sums = (self.loss_sum, self.correct)
        return cuda_graphs.mutable_state(self.model, self.optimizer, sums, self.average)
