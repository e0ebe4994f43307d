"""The images that a run can be scored on: MNIST's test images, and QMNIST's further ones."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from core.data import dataset, qmnist
from core.data.dataset import Progress
from core.data.labelled_images import LabelledImages
from core.errors import DataError, listed
from core.task import TEST_SETS


def load_test_set(
    name: str, folder: Path | None = None, progress: Progress | None = None
) -> LabelledImages[Tensor]:
    """Return one of `core.task.TEST_SETS`; missing files are downloaded first.

    Raises:
        DataError: there is no such set, or its files can be neither read nor downloaded.
    """
    if name not in TEST_SETS:
        raise DataError(
            f"there are no images {name[:40]!r} to score a run on; choose {listed(TEST_SETS)}."
        )
    if name == "mnist":
        return dataset.load(folder, progress).test
    qmnist.fetch(folder, progress)
    return qmnist.load(folder)
