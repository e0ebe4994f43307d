"""The images of any step of a run as its network saw them. They follow from the config alone, so nobody has to tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.config import RunConfig
from core.errors import DataError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Pair = tuple[Images, Labels]


def batch_at(config: RunConfig, images: Images, labels: Labels, epoch: int, step: int) -> Pair:
    """The batch that a run learns from in one step, by the trainer's own order and augmentation.

    Costs some 50 ms where the step is augmented: a whole chunk of images has to be, for the draws to come out alike.

    Args:
        config: the run.
        images: (N, 28, 28) uint8, all training images.
        labels: (N,) int64.
        epoch, step: both from 1.

    Returns:
        (B, 28, 28) uint8 and (B,) int64.

    Raises:
        DataError: the run has no such step.
    """
    import torch

    from core.data.batches import Batches
    from core.data.dataset import split
    from core.data.presets import transforms_of

    everything: tuple[Any, Any] = (torch.from_numpy(images), torch.from_numpy(labels))
    train, _ = split(everything[1], config.holdout, config.holdout_seed)
    batches = Batches(
        *everything,
        train,
        config.batch_size,
        transforms_of(config),
        config.seed,
        workers=0,
        augmented_epochs=config.augmented_epochs,
    )
    if not (1 <= epoch <= config.epochs and 1 <= step <= batches.steps_per_epoch):
        raise DataError(
            f"the run has {config.epochs} epochs of {batches.steps_per_epoch:,} steps, "
            f"and so no step {step:,} of epoch {epoch}."
        )
    stream = batches.stream(config.epochs, epoch - 1, step - 1)
    try:
        found = next(stream)
    finally:
        stream.close()
    return found.images.numpy(), found.labels.numpy()


def validation(config: RunConfig, training: Pair, test: Pair) -> Pair:
    """The images that a run is validated on: those it holds out, or the test images.

    Args:
        config: the run.
        training, test: images (N, 28, 28) uint8 and labels (N,) int64.
    """
    if not config.holdout:
        return test
    import torch

    from core.data.dataset import split

    images, labels = training
    _, held = split(torch.from_numpy(labels), config.holdout, config.holdout_seed)
    return images[held.numpy()], labels[held.numpy()]
