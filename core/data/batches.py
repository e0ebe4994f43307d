"""Batches for training: order, augmentation, the teacher's logits, and normalisation.

How an image is augmented is in `augmentations`; how a batch is learnt from is in `core.training`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from core.config import RunConfig
from core.data.augmentations import Transform
from core.data.augmenter import Augmenter
from core.data.device_augmenter import DeviceAugmenter, Parameters, can_augment
from core.data.labelled_images import LabelledImages
from core.data.workers import BackgroundLoader, available_cpus
from core.errors import DataError
from core.task import MEAN, STD

CHUNK = 1_536  # images augmented at a time: enough work for the hand-over to cost little
TEACHER_CHUNK = 1_000  # images that the teacher sees at a time without augmentation

CPU = torch.device("cpu")
Teacher = Callable[[Tensor], Tensor]  # images (N, 28, 28) uint8 -> logits (N, 10) float32


def epoch_order(seed: int, epoch: int, n: int) -> Tensor:
    """Return the order of an epoch's images, a function of the arguments alone.

    Args:
        seed: the run's seed.
        epoch: from 0.
        n: number of images.

    Returns:
        (n,) int64, a permutation of 0 to n - 1.
    """
    state = np.random.SeedSequence([seed, epoch]).generate_state(2)
    generator = torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
    return torch.randperm(n, generator=generator)


def normalise(
    images: Tensor, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Return images as networks take them: (x / 255 - 0.1307) / 0.3081.

    Args:
        images: (B, 28, 28) uint8, on any device.
        device: of the result.
        dtype: of the result, a floating-point type.

    Returns:
        (B, 1, 28, 28).
    """
    # Moved as bytes, a quarter of the size of floats.
    floats = images.to(device, non_blocking=True).unsqueeze(1).to(torch.float32)
    return floats.mul_(1 / (255 * STD)).sub_(MEAN / STD).to(dtype)


class Batch(NamedTuple):
    """The images of one training step."""

    epoch: int
    step: int
    """Both from 0."""
    images: Tensor
    """(B, 28, 28) uint8."""
    labels: Tensor
    """(B,) int64."""
    teacher_logits: Tensor | None = None
    """(B, 10) float32; None without a teacher."""


class Batches:
    """Shuffled and augmented batches of a training set, the same for any number of workers.

    Args:
        training: the images to train on, on the CPU.
        batch_size: images per step, at least 1; an epoch's last batch may be smaller.
        transforms: rows as `augmentations.check` returns them; empty: no augmentation.
        seed: fixes order and augmentation.
        workers: processes that augment, at most one per CPU; 0: this process augments.
        augmented_epochs: number of epochs, from the first, with augmentation; None: all.
        teacher: computes logits of the images as they are trained on; if the device is the CPU and
            there are workers, it must be picklable.
        device: of the teacher and of training. A CUDA device holds the images and augments them,
            if it can; otherwise they are augmented on the CPU and sent there.

    Raises:
        DataError: there are no images to train on.
    """

    def __init__(
        self,
        training: LabelledImages[Tensor],
        batch_size: int,
        transforms: Sequence[Transform],
        seed: int,
        workers: int = 1,
        augmented_epochs: int | None = None,
        teacher: Teacher | None = None,
        device: torch.device = CPU,
    ):
        if len(training) == 0:
            raise DataError("there are no images to train on; reduce holdout.")
        self.training = training.to(device) if device.type == "cuda" else training
        self.device = device
        self.augments_on_device = augments_on(device, transforms)
        self.batch_size, self.seed = batch_size, seed
        self.transforms = tuple(transforms)
        self.augmented_epochs = augmented_epochs
        self.teacher = teacher
        self.workers = min(workers, available_cpus()) if self._augments_on_cpu() else 0
        self.steps_per_epoch = -(-len(training) // batch_size)

    @classmethod
    def for_run(
        cls,
        config: RunConfig,
        training: LabelledImages[Tensor],
        transforms: Sequence[Transform],
        workers: int = 0,
        teacher: Teacher | None = None,
        device: torch.device = CPU,
    ) -> Batches:
        """Return the batches of a run.

        Args:
            config: the run.
            training: its training images, without the hold-out (`dataset.hold_out`).
            transforms: its transforms, as the plan holds them.
            workers, teacher, device: as of the class.
        """
        return cls(
            training,
            config.batch_size,
            transforms,
            config.seed,
            workers,
            config.augmented_epochs,
            teacher,
            device,
        )

    def stream(
        self, epochs: int, start_epoch: int = 0, start_step: int = 0
    ) -> Generator[Batch, None, None]:
        """Yield the batches of a run from any step on; closing the generator ends its workers.

        Args:
            epochs: length of the run.
            start_epoch, start_step: of the first batch, from 0; a step after an epoch's last is the
                first of the next epoch.
        """
        start_epoch += start_step // self.steps_per_epoch
        start_step %= self.steps_per_epoch
        limit = epochs if self.augmented_epochs is None else min(epochs, self.augmented_epochs)
        augmented = limit if self.transforms else 0
        if start_epoch < augmented:
            yield from self._augmented(augmented, start_epoch, start_step)
            start_epoch, start_step = augmented, 0
        yield from self._plain(epochs, start_epoch, start_step)

    def _plain(self, epochs: int, start_epoch: int, start_step: int) -> Iterator[Batch]:
        if start_epoch >= epochs:
            return
        images, labels = self.training.images, self.training.labels
        # All plain epochs show the same images, so the teacher sees them once. Its chunks must not
        # depend on the order, since its rounding may depend on the chunk.
        logits = None
        if self.teacher is not None:
            logits = torch.cat([self.teacher(part) for part in images.split(TEACHER_CHUNK)])
            logits = logits.to(images.device)
        for epoch in range(start_epoch, epochs):
            first = start_step if epoch == start_epoch else 0
            order = epoch_order(self.seed, epoch, len(labels))[first * self.batch_size :]
            order = order.to(images.device)
            # One gather per epoch; the batches are views of it.
            batches = zip(
                itertools.count(first),
                images[order].split(self.batch_size),
                labels[order].split(self.batch_size),
                itertools.repeat(None) if logits is None else logits[order].split(self.batch_size),
                strict=False,
            )
            for step, batch_images, batch_labels, batch_logits in batches:
                yield Batch(epoch, step, batch_images, batch_labels, batch_logits)

    def _augmented(self, epochs: int, start_epoch: int, start_step: int) -> Iterator[Batch]:
        steps = max(1, CHUNK // self.batch_size)  # per chunk
        chunks = -(-self.steps_per_epoch // steps)
        keys = [
            (epoch, chunk)
            for epoch in range(start_epoch, epochs)
            for chunk in range(start_step // steps if epoch == start_epoch else 0, chunks)
        ]
        size = steps * self.batch_size
        skip = start_step % steps
        loader: BackgroundLoader | None = None
        source: Iterable[tuple[Tensor, ...]] = DeviceChunks(self, size).stream(keys)
        if self._augments_on_cpu():
            dataset = AugmentedChunks(self, size)
            loader = BackgroundLoader(dataset, keys, self.workers) if self.workers else None
            source = loader or map(dataset.get, keys)
            if self.device.type != "cpu":
                source = map(self._send, source)
        try:
            for (epoch, chunk), parts in zip(keys, source, strict=True):
                batches = zip(*(part.split(self.batch_size) for part in parts), strict=True)
                for step, tensors in enumerate(batches, chunk * steps):
                    if skip:
                        skip -= 1
                        continue
                    yield Batch(epoch, step, *tensors)
        finally:
            if loader is not None:
                loader.close()

    def _augments_on_cpu(self) -> bool:
        return bool(self.transforms) and not self.augments_on_device

    def _send(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return a chunk on the device, with the teacher's logits."""
        if self.device.type == "cuda":
            parts = tuple(part.pin_memory() for part in parts)
        images, labels = (part.to(self.device, non_blocking=True) for part in parts)
        return (images, labels) if self.teacher is None else (images, labels, self.teacher(images))


def augments_on(device: torch.device, transforms: Sequence[Transform]) -> bool:
    """Return whether a run on this device augments its images there."""
    return device.type == "cuda" and can_augment(transforms)


class DeviceChunks:
    """The augmented images by (epoch, chunk), computed where the training images are."""

    def __init__(self, batches: Batches, size: int):
        self.training, self.teacher, self.size = batches.training, batches.teacher, size
        self.augmenter = DeviceAugmenter(batches.transforms, batches.seed)
        self._order = functools.lru_cache(maxsize=1)(
            lambda epoch: epoch_order(batches.seed, epoch, len(self.training)).to(
                self.training.images.device
            )
        )

    def stream(self, keys: Sequence[tuple[int, int]]) -> Iterator[tuple[Tensor, ...]]:
        """Yield chunks as `AugmentedChunks.get` returns them, on the device.

        While one is trained on, a thread draws the random parameters of the next.
        """
        with ThreadPoolExecutor(1) as pool:
            drawn = pool.submit(self._draw, keys[0])
            for number, key in enumerate(keys, 1):
                parameters = drawn.result()
                if number < len(keys):
                    drawn = pool.submit(self._draw, keys[number])
                yield self._make(key, parameters)

    def _draw(self, key: tuple[int, int]) -> list[Parameters]:
        count = min(self.size, len(self.training) - key[1] * self.size)
        return self.augmenter.draw(key, count, self.training.images.shape[1])

    def _make(self, key: tuple[int, int], parameters: list[Parameters]) -> tuple[Tensor, ...]:
        epoch, chunk = key
        part = self.training[self._order(epoch)[chunk * self.size : (chunk + 1) * self.size]]
        images = self.augmenter(part.images, key, parameters)
        if self.teacher is None:
            return images, part.labels
        return images, part.labels, self.teacher(images)


class AugmentedChunks(Dataset):
    """The augmented images by (epoch, chunk), as arrays, so that the dataset can be pickled."""

    def __init__(self, batches: Batches, size: int):
        self.training: LabelledImages[np.ndarray] = batches.training.to(CPU).to_numpy()
        self.seed, self.size = batches.seed, size
        self.augmenter = Augmenter(batches.transforms, batches.seed)
        # A worker process has no access to another device.
        self.teacher = batches.teacher if batches.device.type == "cpu" else None
        self._order = functools.lru_cache(maxsize=2)(epoch_order)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_order"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._order = functools.lru_cache(maxsize=2)(epoch_order)

    def __len__(self) -> int:
        return -(-len(self.training) // self.size)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, ...]:
        return self.get(key)

    def get(self, key: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return a chunk.

        Args:
            key: epoch and chunk, from 0.

        Returns:
            Images (C, 28, 28) uint8, labels (C,) int64 and, with a teacher, logits (C, 10) float32.
        """
        epoch, chunk = key
        order = self._order(self.seed, epoch, len(self.training))
        part = self.training[order[chunk * self.size : (chunk + 1) * self.size].numpy()]
        images = torch.from_numpy(self.augmenter(part.images, key))
        labels = torch.from_numpy(part.labels)
        return (images, labels) if self.teacher is None else (images, labels, self.teacher(images))
