"""The batches of several runs, step by step, side by side."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from core.data.batches import TEACHER_CHUNK, Batches, epoch_order
from core.training.stacked.augmentation import Chunk, stream_augmented


class StackedBatch(NamedTuple):
    """The images of one step of N runs."""

    images: Tensor
    """(N, B, 28, 28) uint8."""
    labels: Tensor
    """(N, B) int64."""
    teacher_logits: Tensor | None = None
    """(N, B, 10) float32; None without a teacher."""


def stream(
    batches: Sequence[Batches], epochs: int, epoch: int, step: int, draw_workers: int = 0
) -> Generator[StackedBatch, None, None]:
    """Yield the batches of N runs from any step on; each run's are those of its own stream.

    Args:
        batches: of the runs, of the same sizes.
        epochs: length of the runs.
        epoch, step: of the first batch, from 0; a step after an epoch's last is the first of the
            next epoch.
        draw_workers: processes that draw the parameters of transforms that the device computes.
    """
    first = batches[0]
    epoch, step = epoch + step // first.steps_per_epoch, step % first.steps_per_epoch
    plain_from = first.augmented_epochs if first.transforms else 0
    plain_from = epochs if plain_from is None else min(plain_from, epochs)
    if epoch < plain_from and first.augments_on_device:
        chunks = stream_augmented(batches, plain_from, epoch, step, draw_workers)
        try:
            for chunk in chunks:
                yield from _split(chunk, first.batch_size)
        finally:
            chunks.close()
        epoch, step = plain_from, 0
    if epoch < plain_from:
        streams = [each.stream(plain_from, epoch, step) for each in batches]
        try:
            for parts in zip(*streams, strict=True):
                teacher = [part.teacher_logits for part in parts if part.teacher_logits is not None]
                yield StackedBatch(
                    torch.stack([part.images for part in parts]),
                    torch.stack([part.labels for part in parts]),
                    torch.stack(teacher) if teacher else None,
                )
        finally:
            for each in streams:
                each.close()
        epoch, step = plain_from, 0
    if epoch >= epochs:
        return
    # All runs' plain epochs show the same images, so the teacher sees them once.
    images, labels, logits = first.training.images, first.training.labels, None
    if first.teacher is not None:
        logits = torch.cat([first.teacher(part) for part in images.split(TEACHER_CHUNK)])
    for number in range(epoch, epochs):
        orders = torch.stack([epoch_order(each.seed, number, len(labels)) for each in batches])
        start = step * first.batch_size if number == epoch else 0
        for places in orders.to(images.device)[:, start:].split(first.batch_size, 1):
            yield StackedBatch(
                images[places], labels[places], None if logits is None else logits[places]
            )


def _split(chunk: Chunk, size: int) -> Iterator[StackedBatch]:
    """Split a chunk into batches."""
    images, labels, logits = chunk
    for start in range(0, labels.shape[1], size):
        part = slice(start, start + size)
        own_logits = None if logits is None else logits[:, part]
        yield StackedBatch(images[:, part], labels[:, part], own_logits)
