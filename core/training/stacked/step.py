"""One training step of several networks at once, on the device alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import RunConfig
from core.data.batches import normalise
from core.models.stacked.network import StackedNetwork
from core.models.stacked.side_stream import SideStream
from core.training.loss import backward_from
from core.training.stacked.flat_tensors import FlatTensors
from core.training.stacked.loss_kernel import compute_loss
from core.training.stacked.optimizers import StackedOptimizer
from core.training.stacked.update_kernels import update_average

CLIP_EPS = 1e-6  # as in torch's clip_grad_norm_


class StackedStep:
    """A training step of N networks that learn from batches of their own.

    Args:
        configs: of the N runs.
        network: the stack, on the device.
        parameters: of the stack; the network's are views of them.
        statistics: of the stack's norms, likewise; None: the network has none.
        optimizer: of the parameters.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        network: StackedNetwork,
        parameters: FlatTensors,
        statistics: FlatTensors | None,
        optimizer: StackedOptimizer,
    ):
        self.config, self.network, self.optimizer = configs[0], network, optimizer
        self.parameters, self.statistics = parameters, statistics
        count, self.device = len(configs), parameters.device
        self.average = parameters.flat.clone() if self.config.ema_decay else None
        """Moving average of the parameters, as one vector; None: not averaged."""
        self.average_statistics = (
            statistics.flat.clone() if self.config.ema_decay and statistics else None
        )
        self.loss_sum = torch.zeros(count, dtype=torch.float64, device=self.device)
        """(N,): sums of the negative log-likelihood over the epoch's images so far."""
        self.correct = torch.zeros(count, dtype=torch.int64, device=self.device)
        """(N,): images of the epoch so far that were classified correctly."""
        # Of parameters without influence on the loss: biases before a norm.
        self._zeros = self.parameters.flat.new_zeros(len(self.parameters.flat)).split(
            self.parameters.sizes
        )
        self.uses_kernels = network.uses_kernels(self.device)
        """Whether Triton's kernels compute loss and averages, or torch."""
        self.side = SideStream(self.device) if self.device.type == "cuda" else None
        if self.side is not None and self.uses_kernels:
            network.set_side_stream(self.side)
        self.gradient = torch.zeros_like(parameters.flat)
        """Of the last step's loss with respect to the parameters, clipped."""
        self.rates = torch.zeros(3, count, device=self.device)
        """Learning rate, momentum, and weight of the present parameters in their average."""

    def __call__(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None = None
    ) -> Tensor:
        """Update weights, averages and sums, with the present `rates`.

        Args:
            images: (N, B, 28, 28) uint8.
            labels: (N, B) int64.
            teacher_logits: (N, B, 10) float32; None without a teacher.

        Returns:
            (N,): the mean negative log-likelihood of each batch before the update.
        """
        count, size = labels.shape
        labels = labels.to(self.device, non_blocking=True)
        batch = normalise(images.flatten(0, 1), self.device).view(count, size, 28, 28)
        logits = self.network(batch.transpose(0, 1).contiguous())  # (B, N, 10)
        if teacher_logits is not None:
            teacher_logits = teacher_logits.to(self.device, non_blocking=True)
        self.network.zero_grad(set_to_none=True)
        if self.uses_kernels:
            sums = (self.loss_sum, self.correct)
            nll, gradient = compute_loss(
                self.config, logits.detach(), labels, teacher_logits, *sums
            )
            backward_from(logits, gradient)
            if self.side is not None:
                self.side.join()
        else:
            nll = self._learn_by_torch(logits.transpose(0, 1), labels, teacher_logits)
        self._update()
        return nll

    def _learn_by_torch(
        self, logits: Tensor, labels: Tensor, teacher_logits: Tensor | None
    ) -> Tensor:
        """Compute the gradients and sums, and return the (N,) negative log-likelihoods.

        Args:
            logits: (N, B, 10).
            labels, teacher_logits: as of the step.
        """
        log_probabilities = F.log_softmax(logits.float(), 2)
        nll = -log_probabilities.gather(2, labels[..., None]).squeeze(2).mean(1)  # (N,)
        loss, smoothing = nll, self.config.label_smoothing
        if smoothing:
            loss = (1 - smoothing) * nll - smoothing * log_probabilities.mean((1, 2))
        if teacher_logits is not None:
            share, temperature = self.config.teacher_share, self.config.temperature
            softened = (
                log_probabilities
                if temperature == 1
                else F.log_softmax(logits.float() / temperature, 2)
            )
            targets = F.softmax(teacher_logits / temperature, 2)
            distillation = -(temperature**2) * (targets * softened).sum(2).mean(1)
            loss = (1 - share) * loss + share * distillation
        loss.sum().backward()  # no network's loss depends on another's parameters
        with torch.no_grad():
            self.loss_sum += nll.to(self.loss_sum.dtype) * labels.shape[1]
            self.correct += (log_probabilities.argmax(2) == labels).sum(1)
        return nll.detach()

    @torch.no_grad()
    def _update(self) -> None:
        gradient = self.gradient
        torch.cat(
            [
                zero if parameter.grad is None else parameter.grad.flatten()
                for parameter, zero in zip(self.network.parameters(), self._zeros, strict=True)
            ],
            out=gradient,
        )
        if self.config.clip_norm:
            gradient *= self.parameters.spread(self._clip_factors(gradient))
        lr, momentum, weight = self.rates
        self.optimizer.step(gradient, lr, momentum)
        if self.average is not None:
            self._move(self.average, self.parameters, weight)
        if self.average_statistics is not None and self.statistics is not None:
            self._move(self.average_statistics, self.statistics, weight)

    def _move(self, average: Tensor, present: FlatTensors, weight: Tensor) -> None:
        """Move an average towards the present values, whose weight is (N,)."""
        if self.uses_kernels:
            update_average(average, present.flat, present.owner, weight)
        else:
            average.lerp_(present.flat, present.spread(weight))

    def _clip_factors(self, gradient: Tensor) -> Tensor:
        """Factors (N,) that bring each network's gradient to at most `clip_norm`."""
        squares = [part.square().flatten(1).sum(1) for part in self.parameters.views(gradient)]
        norms = torch.stack(squares).sum(0).sqrt()
        return (self.config.clip_norm / (norms + CLIP_EPS)).clamp(max=1.0)
