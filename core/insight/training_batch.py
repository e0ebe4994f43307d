"""The images of any training step, as the network saw them.

They follow from the config alone, so runs need not store them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.config import RunConfig
from core.data.labelled_images import LabelledImages
from core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def batch_at(
    config: RunConfig,
    training: LabelledImages[np.ndarray],
    epoch: int,
    step: int,
    own: LabelledImages[Tensor] | None = None,
) -> LabelledImages[np.ndarray]:
    """Return the batch of one step, in the trainer's order and with its augmentation.

    Takes about 50 ms for an augmented step, since its whole chunk of images must be augmented for
    the random draws to agree.

    Args:
        config: the run.
        training: all training images.
        epoch, step: both from 1.
        own: all own digits of the run; None: it has none.

    Raises:
        DataError: the run has no such step.
    """
    from core.data.batches import Batches
    from core.data.dataset import hold_out
    from core.data.own_digits import add_own
    from core.data.presets import transforms_of

    train, _ = hold_out(config, training.to_torch())
    batches = Batches.for_run(config, add_own(config, train, own), transforms_of(config))
    if not (1 <= epoch <= config.epochs and 1 <= step <= batches.steps_per_epoch):
        raise DataError(
            f"the run has {config.epochs} epochs of {batches.steps_per_epoch:,} steps, "
            f"so there is no step {step:,} of epoch {epoch}."
        )
    stream = batches.stream(config.epochs, epoch - 1, step - 1)
    try:
        batch: Any = next(stream)
    finally:
        stream.close()
    return LabelledImages(batch.images.numpy(), batch.labels.numpy())


def validation(
    config: RunConfig, training: LabelledImages[np.ndarray], test: LabelledImages[np.ndarray]
) -> LabelledImages[np.ndarray]:
    """Return the images that a run is validated on: its hold-out, or the test images."""
    if not config.holdout:
        return test
    from core.data.dataset import hold_out

    return hold_out(config, training.to_torch())[1].to_numpy()
