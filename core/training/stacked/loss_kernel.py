# mypy: allow-untyped-defs
"""A Triton kernel for the loss of stacked networks: its value, its gradient and an epoch's sums."""

from __future__ import annotations

import torch
from torch import Tensor

from core.config import RunConfig

try:
    import triton
    import triton.language as tl
except ImportError:  # there is none for this system
    triton = None

IMAGES = 128  # of a program at a time
WARPS = 4  # of a program


def compute_loss(
    config: RunConfig,
    logits: Tensor,
    labels: Tensor,
    teacher_logits: Tensor | None,
    loss_sum: Tensor,
    correct: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return what `StackedStep` needs of the loss, and add to an epoch's sums.

    The gradient is that of `core.training.loss.LossGradient`.

    Args:
        config: label smoothing, teacher's share and temperature.
        logits: (B, N, 10) float32.
        labels: (N, B) int64.
        teacher_logits: (N, B, 10) float32; None without a teacher.
        loss_sum: (N,) float64, to which the negative log-likelihoods are added.
        correct: (N,) int64, to which the number of correct predictions is added.

    Returns:
        (N,), the mean negative log-likelihood of each network's images, and (B, N, 10), the
        gradient of the sum of the networks' mean losses with respect to the logits.
    """
    logits, labels = logits.contiguous(), labels.contiguous()
    batch, count, classes = logits.shape
    nll, gradient = logits.new_empty(count), torch.empty_like(logits)
    given = logits if teacher_logits is None else teacher_logits.contiguous()
    _loss_kernel[(count,)](
        logits, labels, given, nll, gradient, loss_sum, correct, batch, count,
        config.label_smoothing, config.teacher_share, config.temperature,
        IS_TAUGHT=teacher_logits is not None, CLASSES=classes,
        BLOCK_CLASSES=triton.next_power_of_2(classes),
        IMAGES=IMAGES, num_warps=WARPS,
    )  # fmt: skip
    return nll, gradient


if triton is not None:

    @triton.jit
    def _log_softmax(logits, is_class):
        shifted = logits - tl.max(tl.where(is_class, logits, -float("inf")), 1)[:, None]
        total = tl.sum(tl.where(is_class, tl.exp(shifted), 0.0), 1)
        return shifted - tl.log(total)[:, None]

    @triton.jit(do_not_specialize=("batch",))
    def _loss_kernel(
        logits, labels, teacher_logits, nll, gradient, loss_sum, correct, batch, count,
        smoothing, share, temperature,
        IS_TAUGHT: tl.constexpr, CLASSES: tl.constexpr, BLOCK_CLASSES: tl.constexpr,
        IMAGES: tl.constexpr,
    ):  # fmt: skip
        network = tl.program_id(0)
        column = tl.arange(0, BLOCK_CLASSES)
        is_class = (column < CLASSES)[None, :]
        losses = tl.zeros((IMAGES,), tl.float32)
        hits = tl.zeros((IMAGES,), tl.int32)
        for first in range(0, batch, IMAGES):
            image = first + tl.arange(0, IMAGES)
            is_image = image < batch
            is_value = is_image[:, None] & is_class
            place = ((image * count + network) * CLASSES)[:, None] + column[None, :]
            values = tl.load(logits + place, is_value, 0.0)
            label = tl.load(labels + network * batch + image, is_image, 0).to(tl.int32)
            is_label = column[None, :] == label[:, None]
            log_probabilities = _log_softmax(values, is_class)
            own = tl.sum(tl.where(is_label, log_probabilities, 0.0), 1)
            losses -= tl.where(is_image, own, 0.0)
            best = tl.argmax(tl.where(is_class, values, -float("inf")), 1)
            hits += tl.where(is_image & (best == label), 1, 0)
            target = smoothing / CLASSES + tl.where(is_label, 1 - smoothing, 0.0)
            slope = tl.exp(log_probabilities) - target
            if IS_TAUGHT:
                place_taught = ((network * batch + image) * CLASSES)[:, None] + column[None, :]
                taught = tl.load(teacher_logits + place_taught, is_value, 0.0)
                softened = tl.exp(_log_softmax(values / temperature, is_class))
                softened -= tl.exp(_log_softmax(taught / temperature, is_class))
                # T^2 times the gradient of the softened cross-entropy, which is this over T.
                slope = (1 - share) * slope + share * temperature * softened
            tl.store(gradient + place, slope / batch, is_value)
        total = tl.sum(losses, 0)
        tl.store(nll + network, total / batch)
        tl.store(loss_sum + network, tl.load(loss_sum + network) + total.to(tl.float64))
        tl.store(correct + network, tl.load(correct + network) + tl.sum(hits, 0).to(tl.int64))
