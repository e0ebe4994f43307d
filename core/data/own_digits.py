"""The user's own digits in training: which are kept for testing, and how the others join MNIST's.

Where they are stored is in `core.runs.digit_file`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.config import NO_DIGITS, RunConfig
from core.data.dataset import split
from core.data.labelled_images import LabelledImages
from core.errors import DataError


def split_own(config: RunConfig, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Split own digits into those that a run trains on and those kept for testing.

    The choice is stratified by label and a function of the arguments alone. At least one digit is
    trained on.

    Args:
        config: `digits_test_share` and `holdout_seed` choose.
        labels: (N,) int64, of all own digits of the run, in the order of their file.

    Returns:
        Sorted int64 indices of the digits to train on and of those kept for testing.

    Raises:
        DataError: there are none.
    """
    if len(labels) == 0:
        raise DataError("there are no own digits to learn from.")
    return split(labels, config.count_test_digits(len(labels)), config.holdout_seed)


def add_own(
    config: RunConfig, training: LabelledImages[Tensor], own: LabelledImages[Tensor] | None
) -> LabelledImages[Tensor]:
    """Return the images of an epoch: MNIST's, and own digits repeated up to their share.

    They are one set of images, which batches are drawn from in random order. So a batch has the
    share on average, and each repetition of a digit is augmented differently.

    Args:
        config: `digits` and `digits_share` decide.
        training: MNIST's training images, without the hold-out.
        own: all own digits of the run; None: it has none.

    Returns:
        `training` itself where the config names no digits.

    Raises:
        DataError: the config names digits that are not there, or names none and there are some.
    """
    if (own is None) != (config.digits == NO_DIGITS):
        given = "none" if own is None else "some"
        raise DataError(f"digits is {config.digits}, but {given} of the user's own were given.")
    if own is None:
        return training
    learned = own[split_own(config, own.labels)[0]]
    picks = torch.arange(config.count_own_images(len(training))) % len(learned)
    repeated = learned[picks].to(training.images.device)
    return LabelledImages(
        torch.cat([training.images, repeated.images]),
        torch.cat([training.labels, repeated.labels]),
        training.name,
    )
