"""The augmented images of several runs at once, where the training images are."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from core.data.augmentations import Transform
from core.data.batches import CHUNK, Batches, epoch_order
from core.data.device_augmenter import apply_transforms, draw_parameters
from core.data.workers import BackgroundLoader

IMAGES = 16_384  # transformed at a time: about 1 GB of memory
TEACHER_IMAGES = 8_192  # that the teacher sees at a time
Chunk = tuple[Tensor, Tensor, Tensor | None]  # images (N, C, 28, 28), labels (N, C), logits


class Draws(Dataset):
    """The random parameters of several runs' transforms by (epoch, chunk); can be pickled.

    Args:
        transforms: of all runs.
        seeds: of the runs.
        size: images per chunk.
        total: training images.
        side: of the images.
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        seeds: Sequence[int],
        size: int,
        total: int,
        side: int,
    ):
        self.transforms, self.size, self.total, self.side = transforms, size, total, side
        count = max(1, IMAGES // size)
        self.groups = [tuple(seeds[i : i + count]) for i in range(0, len(seeds), count)]
        """The seeds of the runs that are transformed at a time."""

    def __len__(self) -> int:
        return -(-self.total // self.size)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return indices and values of each transform, group by group, one after another."""
        count = min(self.size, self.total - key[1] * self.size)
        parts: list[Tensor] = []
        for group in self.groups:
            drawn = [draw_parameters(self.transforms, s, key, count, self.side) for s in group]
            for of_transform in zip(*drawn, strict=True):
                indices = [part[0] + n * count for n, part in enumerate(of_transform)]
                values = [part[1] for part in of_transform]
                parts += [
                    torch.from_numpy(np.concatenate(indices)),
                    torch.from_numpy(np.concatenate(values)),
                ]
        return tuple(parts)


def stream_augmented(
    batches: Sequence[Batches], epochs: int, epoch: int, step: int, workers: int
) -> Generator[Chunk, None, None]:
    """Yield the chunks of several runs from any step on, as each run's own stream has them.

    Args:
        batches: of the runs, of the same sizes and transforms.
        epochs: with augmentation, from the first.
        epoch, step: of the first batch, from 0.
        workers: processes that draw the parameters; 0: this process draws.
    """
    first = batches[0]
    steps = max(1, CHUNK // first.batch_size)
    size, chunks = steps * first.batch_size, -(-first.steps_per_epoch // steps)
    keys = [
        (number, chunk)
        for number in range(epoch, epochs)
        for chunk in range(step // steps if number == epoch else 0, chunks)
    ]
    images, labels = first.training.images, first.training.labels
    seeds = [each.seed for each in batches]
    draws = Draws(first.transforms, seeds, size, len(labels), images.shape[1])
    loader = BackgroundLoader(draws, keys, workers) if workers else None
    source: Iterable[tuple[Tensor, ...]] = loader or map(draws.__getitem__, keys)
    skip = step % steps * first.batch_size
    orders, ordered = torch.zeros(0), -1
    try:
        for (number, chunk), parameters in zip(keys, source, strict=True):
            if number != ordered:
                ordered = number
                orders = torch.stack([epoch_order(seed, number, len(labels)) for seed in seeds])
                orders = orders.to(images.device)  # (N, n)
            places = orders[:, chunk * size : (chunk + 1) * size]
            chunk_images = images[places]  # (N, C, 28, 28)
            _transform(chunk_images, draws, parameters)
            logits = None
            if first.teacher is not None:
                parts = chunk_images.flatten(0, 1).split(TEACHER_IMAGES)
                logits = torch.cat([first.teacher(part) for part in parts])
                logits = logits.view(*places.shape, -1)[:, skip:]
            yield chunk_images[:, skip:], labels[places][:, skip:], logits
            skip = 0
    finally:
        if loader is not None:
            loader.close()


def _transform(images: Tensor, draws: Draws, parameters: Sequence[Tensor]) -> None:
    """Transform the images (N, C, 28, 28) of a chunk in place."""
    start, each = 0, 2 * len(draws.transforms)
    for number, group in enumerate(draws.groups):
        part = images[start : start + len(group)].flatten(0, 1)  # a view
        mine = parameters[number * each : (number + 1) * each]
        pairs = zip(mine[::2], mine[1::2], strict=True)
        apply_transforms(part, draws.transforms, pairs)
        start += len(group)
