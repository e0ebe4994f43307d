"""The way from the dataset's tensors to batches: order, augmentation in the background, normalisation.

What is done to an image is in `augmentations`; what is done with a batch is in `core.training`.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from core.data.augmentations import Transform
from core.data.augmenter import Augmenter
from core.errors import DataError

MEAN, STD = 0.1307, 0.3081  # of the 60,000 training images, as shares of white
CHUNK = 1_536  # images augmented at a time: some 50 ms of work, large enough to hide the hand-over
PLAIN_CHUNK = 1_000  # images answered at a time where nothing is augmented
PREFETCH = 3  # chunks that each worker is ahead
GRACE = 10.0  # seconds that a worker told to terminate waits for its parent to close it


def epoch_order(seed: int, epoch: int, n: int) -> Tensor:
    """The order in which an epoch visits its images: a function of its arguments alone.

    Args:
        seed: the run's seed.
        epoch: counted from 0.
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
    """A batch as the network takes it: (x / 255 - 0.1307) / 0.3081.

    Args:
        images: (B, 28, 28) uint8, on any device.
        device: where the result is to lie.
        dtype: floating type of the result.

    Returns:
        (B, 1, 28, 28) on the device.
    """
    # Moved as bytes: a quarter of what floats would weigh on the way to a GPU.
    floats = images.to(device, non_blocking=True).unsqueeze(1).to(torch.float32)
    return floats.mul_(1 / (255 * STD)).sub_(MEAN / STD).to(dtype)


class Batch(NamedTuple):
    """One step's images with what is known of them."""

    epoch: int
    step: int
    """Both counted from 0."""
    images: Tensor
    """(B, 28, 28) uint8."""
    labels: Tensor
    """(B,) int64."""
    answers: Tensor | None = None
    """(B, 10) float, what the teacher says of the images; None: there is no teacher."""


class Batches:
    """Batches of a training set, shuffled and augmented, the same for any number of workers.

    Args:
        images: (N, 28, 28) uint8; on the CPU if there are transforms.
        labels: (N,) int64, on the same device.
        indices: (n,) int64, the images to train on.
        batch_size: images a step, at least 1; an epoch's last batch may be shorter.
        transforms: rows as `augmentations.check` returns them; none: the images as they are.
        seed: fixes order and augmentation.
        workers: processes that augment in the background; 0: in this one. More than the CPUs are no help and not used.
        augmented_epochs: the first so many epochs are augmented, the others not; None: all are.
        answer: what a teacher says of images, (N, 28, 28) uint8 -> (N, 10) float; called where images are augmented, so
            with workers it must be picklable. None: nobody is asked.

    Raises:
        DataError: there are no images to train on.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        indices: Tensor,
        batch_size: int,
        transforms: Sequence[Transform],
        seed: int,
        workers: int = 1,
        augmented_epochs: int | None = None,
        answer: Callable[[Tensor], Tensor] | None = None,
    ):
        if len(indices) == 0:
            raise DataError("there are no images to train on; keep fewer back for validation.")
        self.images, self.labels, self.indices = images, labels, indices
        self.batch_size, self.seed = batch_size, seed
        self.transforms = tuple(transforms)
        self.augmented_epochs = augmented_epochs
        self.answer = answer
        self.workers = min(workers, _cpus()) if self.transforms else 0
        self.steps_per_epoch = -(-len(indices) // batch_size)

    def stream(
        self, epochs: int, start_epoch: int = 0, start_step: int = 0
    ) -> Generator[Batch, None, None]:
        """The batches of a whole run, from any step on; closing the generator ends its workers.

        Args:
            epochs: length of the run.
            start_epoch, start_step: the first batch, both counted from 0; a step past the last is the next epoch's.

        Yields:
            A batch a step.
        """
        start_epoch, start_step = (
            start_epoch + start_step // self.steps_per_epoch,
            start_step % self.steps_per_epoch,
        )
        limit = self.augmented_epochs if self.augmented_epochs is not None else epochs
        augmented = min(epochs, limit) if self.transforms else 0
        if start_epoch < augmented:
            yield from self._augmented(augmented, start_epoch, start_step)
            start_epoch, start_step = augmented, 0
        yield from self._plain(epochs, start_epoch, start_step)

    def _plain(self, epochs: int, start_epoch: int, start_step: int) -> Iterator[Batch]:
        # Every plain epoch shows the same images, so the teacher is asked once; in groups that don't depend on the
        # order, since its arithmetic may differ in the last bit from group to group.
        said = (
            None
            if self.answer is None or start_epoch >= epochs
            else torch.cat([self.answer(part) for part in self.images.split(PLAIN_CHUNK)])
        )
        for epoch in range(start_epoch, epochs):
            first = start_step if epoch == start_epoch else 0
            order = self.indices[
                epoch_order(self.seed, epoch, len(self.indices))[first * self.batch_size :]
            ]
            order = order.to(self.images.device)
            # One gather an epoch; the batches are views of it.
            batches = zip(
                self.images[order].split(self.batch_size),
                self.labels[order].split(self.batch_size),
                strict=True,
            )
            answers = (
                itertools.repeat(None) if said is None else iter(said[order].split(self.batch_size))
            )
            for step, ((images, labels), answer) in enumerate(
                zip(batches, answers, strict=False), first
            ):
                yield Batch(epoch, step, images, labels, answer)

    def _augmented(self, epochs: int, start_epoch: int, start_step: int) -> Iterator[Batch]:
        steps = max(1, CHUNK // self.batch_size)  # steps a chunk
        chunks = -(-self.steps_per_epoch // steps)
        keys = [
            (epoch, chunk)
            for epoch in range(start_epoch, epochs)
            for chunk in range(start_step // steps if epoch == start_epoch else 0, chunks)
        ]
        dataset = _Chunks(self, steps * self.batch_size)
        skip = start_step % steps
        source = (
            _Background(dataset, keys, self.workers)
            if self.workers and keys
            else map(dataset.get, keys)
        )
        try:
            for (epoch, chunk), parts in zip(keys, source, strict=True):
                split = zip(*(part.split(self.batch_size) for part in parts), strict=True)
                for step, tensors in enumerate(split, chunk * steps):
                    if skip:
                        skip -= 1
                        continue
                    yield Batch(epoch, step, *tensors)
        finally:
            if not isinstance(source, map):
                source.close()


class _Chunks(Dataset):
    """The augmented images of (epoch, chunk); plain arrays, so that a spawned worker can be sent it."""

    def __init__(self, batches: Batches, size: int):
        self.images, self.labels = batches.images.numpy(), batches.labels.numpy()
        self.indices, self.seed, self.size = batches.indices.numpy(), batches.seed, size
        self.augmenter, self.answer = Augmenter(batches.transforms, batches.seed), batches.answer
        self._order = functools.lru_cache(maxsize=2)(epoch_order)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_order"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._order = functools.lru_cache(maxsize=2)(epoch_order)

    def __len__(self) -> int:
        return -(-len(self.indices) // self.size)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, ...]:
        return self.get(key)

    def get(self, key: tuple[int, int]) -> tuple[Tensor, ...]:
        """The chunk's images (C, 28, 28) uint8, labels (C,) int64 and, with a teacher, answers (C, 10) float."""
        epoch, chunk = key
        order = self._order(self.seed, epoch, len(self.indices))[
            chunk * self.size : (chunk + 1) * self.size
        ].numpy()
        rows = self.indices[order]
        images, labels = (
            torch.from_numpy(self.augmenter(self.images[rows], key)),
            torch.from_numpy(self.labels[rows]),
        )
        return (images, labels) if self.answer is None else (images, labels, self.answer(images))


class _Background:
    """The chunks of `keys` in order, made by worker processes; `close` ends them at once."""

    def __init__(self, dataset: _Chunks, keys: list[tuple[int, int]], workers: int):
        # A generator of its own: the loader would draw from torch's global one, and a resumed run would differ.
        loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=keys,
            num_workers=workers,
            prefetch_factor=PREFETCH,
            worker_init_fn=_prepare_worker,
            generator=torch.Generator(),
        )
        self._chunks: Any = iter(loader)
        # Before multiprocessing's own exit handler, which would wait for workers that nobody has told to end.
        atexit.register(self.close)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        return next(self._chunks)

    def close(self) -> None:
        """End the workers; they are gone when this returns."""
        atexit.unregister(self.close)
        self._chunks = iter(())  # dropping the loader's iterator shuts its workers down


def _prepare_worker(number: int) -> None:
    """Make a worker end with its parent, and leave it to the parent what a signal to both of them means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _later(GRACE))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _later(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _follow(parent: Any) -> None:
    parent.join()  # returns when the parent is gone, however it went
    os._exit(1)


def _cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
