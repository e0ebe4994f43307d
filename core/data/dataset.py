"""MNIST as tensors: loaded, fetched where it is missing, split, and a small stand-in for tests.

Complete or absent: every file is checked against its SHA-256 whenever it is read, and all four are put in place
together. Where they come from is in `sources`; what happens to the images on the way is in `augmentations`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from core.data import sources
from core.data.labelled_images import LabelledImages
from core.errors import DataError, listed

FILES = {  # name -> SHA-256 of the uncompressed file
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SHARES = dict(
    zip(FILES, (0.85, 0.0, 0.15, 0.0), strict=True)
)  # of the bytes to fetch, for the progress
LOCK_WAIT = 600.0  # seconds that one process waits while another fetches

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Mnist:
    """The training and the test images, as tensors."""

    train: LabelledImages[Tensor]
    test: LabelledImages[Tensor]


def data_folder() -> Path:
    """Where the dataset lies: $INKLING_DATA, or `data` beside the package `core`."""
    return Path(os.environ.get("INKLING_DATA") or Path(__file__).resolve().parents[2] / "data")


def load(folder: Path | None = None, progress: Progress | None = None) -> Mnist:
    """The 60,000 training and 10,000 test digits, fetched first where they are missing or damaged.

    Args:
        folder: where the four files lie; None: `data_folder()`.
        progress: told in words what a fetch is doing, and its share done, 0 to 1.

    Raises:
        DataError: as `fetch`.
    """
    folder = folder or data_folder()
    contents = {name: _good(folder, name) for name in FILES}
    if any(content is None for content in contents.values()):
        fetch(folder, progress)
        contents = {name: _good(folder, name) for name in FILES}
    tensors = []
    for name, content in contents.items():
        if content is None:  # only if somebody changed it since
            raise DataError(f"{folder / name} changed while it was read; try again.")
        tensors.append(_tensor(content))
    return Mnist(
        LabelledImages(tensors[0], tensors[1].long(), "training"),
        LabelledImages(tensors[2], tensors[3].long(), "test"),
    )


def fetch(folder: Path, progress: Progress | None = None) -> None:
    """Put the four files into a folder, all of them or none; nothing happens if they are there already.

    Args:
        folder: made if it is not there.
        progress: as for `load`.

    Raises:
        DataError: no source has the files, or the folder cannot be written; says what was tried and what to do.
    """
    progress = progress or (lambda text, share: None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, progress):
            for leftover in folder.glob(
                ".fetch-*"
            ):  # of a process that was killed; nobody else is at it now
                shutil.rmtree(leftover, ignore_errors=True)
            wanted = [name for name in FILES if _good(folder, name) is None]
            if wanted:
                _put_in_place(folder, _gathered(folder, wanted, progress))
    except OSError as error:
        raise DataError(
            f"MNIST cannot be kept in {folder}: {error.strerror or error}; free or choose another "
            "folder with INKLING_DATA."
        ) from error
    progress("MNIST is here", 1.0)


def split(labels: Tensor, holdout: int, seed: int) -> tuple[Tensor, Tensor]:
    """Training and validation images, each class kept back in its own proportion.

    Args:
        labels: (N,) int64.
        holdout: images to keep back; 0: none.
        seed: fixes which ones.

    Returns:
        two sorted int64 index tensors, N - holdout and holdout long.

    Raises:
        DataError: nothing would be left to train on.
    """
    if not 0 <= holdout < max(1, len(labels)):
        raise DataError(
            f"{holdout:,} of {len(labels):,} training images cannot be kept back: "
            "at least one has to stay for training."
        )
    values = labels.numpy()
    order = np.random.default_rng(np.random.SeedSequence([seed, holdout])).permutation(len(values))
    # Each image's place among its class, as a share of the class: the lowest shares are kept back, so every class
    # gives in proportion and the total comes out exactly.
    shares = np.empty(len(values))
    for value in np.unique(values):
        members = order[values[order] == value]
        shares[members] = (np.arange(len(members)) + 0.5) / len(members)
    kept = np.zeros(len(values), dtype=bool)
    kept[order[np.argsort(shares[order], kind="stable")[:holdout]]] = True
    return torch.from_numpy(np.flatnonzero(~kept)), torch.from_numpy(np.flatnonzero(kept))


def synthetic(train: int = 600, test: int = 200, seed: int = 0) -> Mnist:
    """Made-up digits that a small network learns within seconds: seven-segment figures, moved and grained.

    Args:
        train, test: how many of each; the ten classes take turns.
        seed: fixes every image.
    """
    generator = np.random.default_rng(seed)
    templates = np.stack([_figure(digit) for digit in range(10)])
    labels = [generator.permutation(np.arange(count) % 10) for count in (train, test)]
    images = []
    for values in labels:
        moved = np.stack(
            [np.roll(templates[value], generator.integers(-1, 2, 2), (0, 1)) for value in values]
        )
        grain = generator.normal(0, 12, moved.shape) * (moved > 0)
        images.append(
            (moved * generator.uniform(0.7, 1.0, (len(values), 1, 1)) + grain)
            .clip(0, 255)
            .astype(np.uint8)
        )
    return Mnist(
        LabelledImages(torch.from_numpy(images[0]), torch.from_numpy(labels[0]), "training"),
        LabelledImages(torch.from_numpy(images[1]), torch.from_numpy(labels[1]), "test"),
    )


def _good(folder: Path, name: str) -> np.ndarray | None:
    """The file's bytes if it is the published one, else None."""
    try:
        content = np.fromfile(folder / name, dtype=np.uint8)
    except OSError:
        return None  # not there or not readable: to be fetched, and what stands in the way is told then
    return content if hashlib.sha256(content.data).hexdigest() == FILES[name] else None


def _tensor(content: np.ndarray) -> Tensor:
    """An IDX file's values: a magic number whose last byte is the number of axes, their lengths, the bytes."""
    axes = int(content[3])
    shape = content[4 : 4 + 4 * axes].view(">i4")
    return torch.from_numpy(content[4 + 4 * axes :].reshape(*shape))


@contextlib.contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock, so that two processes don't fetch at once."""
    lock, waited = FileLock(folder / ".fetch.lock"), 0.0
    while True:
        try:
            lock.acquire(timeout=1.0)
            break
        except Timeout:
            waited += 1.0
            if waited > LOCK_WAIT:
                raise DataError(
                    f"another process has been fetching MNIST into {folder} for {waited:.0f} s; "
                    "end it and try again."
                ) from None
            progress("Waiting for another process that is fetching MNIST", 0.0)
    try:
        yield
    finally:
        lock.release()


def _gathered(folder: Path, wanted: list[str], progress: Progress) -> dict[str, bytes]:
    """The contents of all wanted files, from one source after the other, each checked."""
    found: dict[str, bytes] = {}
    tried: list[str] = []
    for title, source in sources.all_sources(folder):
        missing = [name for name in wanted if name not in found]

        def report(name: str, share: float, title: str = title) -> None:
            done = sum(SHARES[other] for other in wanted if other in found) + SHARES[name] * share
            progress(
                f"Fetching {name} from {title}",
                done / max(0.01, sum(SHARES[other] for other in wanted)),
            )

        try:
            for name, content in source(missing, report):
                if hashlib.sha256(content).hexdigest() == FILES[name]:
                    found[name] = content
                else:
                    tried.append(f"{title}: its {name} is not the published file")
        except sources.Unavailable as error:
            tried.append(f"{title}: {error}")
        if len(found) == len(wanted):
            return found
    raise DataError(
        f"MNIST could not be fetched. Tried {'; '.join(tried)}. To place it by hand, put "
        f"{listed(FILES).replace(' or ', ' and ')} (as they are or with .gz) into {folder}."
    )


def _put_in_place(folder: Path, contents: dict[str, bytes]) -> None:
    # Inside the folder, which may be a mount of its own: renaming works only within one file system.
    scratch = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder))
    try:
        for name, content in contents.items():
            with open(scratch / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name in contents:
            os.replace(scratch / name, folder / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _figure(digit: int) -> np.ndarray:
    """A seven-segment figure with soft edges, (28, 28) float, ink up to 255."""
    segments = {
        "a": (5, 7, 9, 19),
        "b": (5, 15, 17, 19),
        "c": (13, 23, 17, 19),
        "d": (21, 23, 9, 19),
        "e": (13, 23, 9, 11),
        "f": (5, 15, 9, 11),
        "g": (13, 15, 9, 19),
    }  # top, bottom, left, right
    lit = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")[
        digit
    ]
    image = np.zeros((28, 28))
    for top, bottom, left, right in (segments[name] for name in lit):
        image[top:bottom, left:right] = 255
    for axis in (0, 1):  # the margin is wide enough for rolling to be shifting
        image = (np.roll(image, 1, axis) + 2 * image + np.roll(image, -1, axis)) / 4
    return image
