"""QMNIST's further test digits: 50,000 images from the same source as MNIST's test images.

Yadav and Bottou, "Cold Case: The Lost MNIST Digits", NeurIPS 2019 (arXiv:1905.10498). QMNIST's test
set has 60,000 images, of which the first 10,000 are MNIST's; these are left out here. The files'
names, checksums and folder (`QMNIST/raw` in the dataset's) are those of torchvision's QMNIST. Every
file is checked against its checksum whenever it is read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.data import sources
from core.data.dataset import Progress, data_folder, write_files
from core.data.labelled_images import LabelledImages
from core.errors import DataError, listed
from core.task import CLASSES

URL = "https://raw.githubusercontent.com/facebookresearch/qmnist/master/"
FILES = {  # name -> MD5 of the compressed file, as torchvision checks it
    "qmnist-test-images-idx3-ubyte.gz": "1394631089c404de565df7b7aeaf9412",
    "qmnist-test-labels-idx2-int.gz": "5b5b05890a5e13444e108efe57b788aa",
}
FOLDER = Path("QMNIST") / "raw"
IN_MNIST = 10_000  # images at the beginning, which are MNIST's test images
LABEL_COLUMNS = 8  # class first, then where in NIST the image is from
_TYPES = {8: "u1", 12: ">i4"}  # IDX code -> type


def is_present(folder: Path | None = None) -> bool:
    """Whether both files are there; their contents are not checked."""
    return all(_candidates(folder or data_folder(), name) for name in FILES)


def load(folder: Path | None = None) -> LabelledImages[Tensor]:
    """Return the 50,000 images, and their labels; nothing is downloaded.

    Args:
        folder: of the dataset; None: `data_folder()`.

    Raises:
        DataError: a file is missing or not the published one; the message says what to do.
    """
    folder = folder or data_folder()
    contents = {name: _read(folder, name) for name in FILES}
    if missing := [name for name, content in contents.items() if content is None]:
        raise DataError(
            f"QMNIST's {listed(missing, 'and')} {'is' if len(missing) == 1 else 'are'} not in "
            f"{folder / FOLDER}, or damaged; `python -m core evaluate RUN --on qmnist` downloads "
            f"them from {URL}."
        )
    images, labels = (_parse_idx(name, content) for name, content in contents.items() if content)
    count = len(images) if images.ndim else 0
    if images.shape != (count, 28, 28) or labels.shape != (count, LABEL_COLUMNS):
        raise DataError(
            f"QMNIST's files hold images {images.shape} and labels {labels.shape}, not "
            f"({count}, 28, 28) and ({count}, {LABEL_COLUMNS})."
        )
    digits = labels[:, 0].astype(np.int64)
    if count <= IN_MNIST or digits.min() < 0 or digits.max() >= CLASSES:
        raise DataError(
            f"QMNIST's files hold {count:,} images with labels from {digits.min()} to "
            f"{digits.max()}; the published ones have 60,000, with labels from 0 to 9."
        )
    return LabelledImages(
        torch.from_numpy(images[IN_MNIST:].copy()), torch.from_numpy(digits[IN_MNIST:]), "qmnist"
    )


def fetch(folder: Path | None = None, progress: Progress | None = None) -> None:
    """Download the files that are missing or damaged: all of them or none.

    Args:
        folder: of the dataset; None: `data_folder()`.
        progress: called with a message and the fraction done.

    Raises:
        DataError: they cannot be downloaded, are not the published ones, or cannot be stored.
    """
    folder, progress = folder or data_folder(), progress or (lambda message, fraction: None)
    wanted = [name for name in FILES if _read(folder, name) is None]
    contents = {}
    for name in wanted:

        def report(fraction: float, name: str = name) -> None:
            progress(f"Downloading {name}", fraction)

        try:
            content = sources.download(URL + name, report)
        except sources.Unavailable as error:
            raise DataError(
                f"QMNIST could not be downloaded from {URL} ({error}); to provide its files "
                f"yourself, put {listed(FILES, 'and')} into {folder / FOLDER}."
            ) from None
        if not _is_published(name, content):
            raise DataError(f"{URL}{name} is not the published file: its checksum differs.")
        contents[name] = content
    if contents:
        try:
            (folder / FOLDER).mkdir(parents=True, exist_ok=True)
            write_files(folder / FOLDER, contents)
        except OSError as error:
            raise DataError(
                f"QMNIST cannot be stored in {folder / FOLDER}: {error.strerror or error}."
            ) from error


def _candidates(folder: Path, name: str) -> list[Path]:
    return [path for path in (folder / FOLDER / name, folder / name) if path.is_file()]


def _read(folder: Path, name: str) -> bytes | None:
    """Return the contents of a published file, still compressed; None if there is none."""
    for path in _candidates(folder, name):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if _is_published(name, content):
            return content
    return None


def _is_published(name: str, content: bytes) -> bool:
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == FILES[name]


def _parse_idx(name: str, content: bytes) -> np.ndarray:
    """Parse a compressed IDX file: two zeros, type, number of axes, shape, values.

    Raises:
        DataError: it is not one, or of another type than bytes and 32-bit integers.
    """
    try:
        plain = sources.decompress(content)
        zero, code, axes = int.from_bytes(plain[:2], "big"), plain[2], plain[3]
        shape = np.frombuffer(plain, ">i4", axes, 4).astype(int)
        values = np.frombuffer(plain, np.dtype(_TYPES[code]), offset=4 + 4 * axes)
        if zero:
            raise ValueError("it does not begin with two zeros")
        return values.reshape(*shape)
    except (sources.Unavailable, IndexError, KeyError, ValueError) as error:
        raise DataError(f"{name} is not an IDX file ({error}).") from None
