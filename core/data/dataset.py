"""The MNIST dataset as tensors: found, downloaded, split; and a synthetic stand-in for tests.

Every file is checked against its SHA-256 whenever it is read, and downloaded files appear together
or not at all. Where they are downloaded from is in `sources`.
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

from core.config import RunConfig
from core.data import sources
from core.data.labelled_images import LabelledImages
from core.errors import DataError, listed

FILES = {  # name -> SHA-256 of the uncompressed file
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
# Fraction of the bytes to download, for progress bars; labels are too small to count.
BYTE_FRACTIONS = dict(zip(FILES, (0.85, 0.0, 0.15, 0.0), strict=True))
LOCK_SECONDS = 600.0  # wait for another process that downloads

Progress = Callable[[str, float], None]  # message, fraction done from 0 to 1


@dataclass(frozen=True, eq=False)
class Mnist:
    """The training and the test images, as tensors."""

    train: LabelledImages[Tensor]
    test: LabelledImages[Tensor]


def data_folder() -> Path:
    """Return the folder of the dataset: $INKLING_DATA, or `data` beside the package `core`."""
    path = os.environ.get("INKLING_DATA")
    return Path(path).expanduser() if path else Path(__file__).resolve().parents[2] / "data"


def file_candidates(folder: Path, name: str) -> list[Path]:
    """Return the existing files that may hold one of FILES.

    Files may be compressed, named with a dot (`train-images.idx3-ubyte`), or lie in the folder that
    torchvision makes (`MNIST/raw`).
    """
    names = [name, name.replace("-idx", ".idx")]
    paths = [
        place / f"{name}{suffix}"
        for place in (folder, folder / "MNIST" / "raw")
        for name in names
        for suffix in ("", ".gz")
    ]
    return [path for path in paths if path.is_file()]


def is_present(folder: Path | None = None) -> bool:
    """Whether all files are there; their contents are not checked."""
    folder = folder or data_folder()
    return all(file_candidates(folder, name) for name in FILES)


def load(folder: Path | None = None, progress: Progress | None = None) -> Mnist:
    """Return the 60,000 training and 10,000 test images; download missing or damaged files first.

    Args:
        folder: of the files, which are read in place; None: `data_folder()`.
        progress: called during a download with a message and the fraction done.

    Raises:
        DataError: as `fetch`.
    """
    folder = folder or data_folder()
    contents = {name: _read(folder, name) for name in FILES}
    if any(content is None for content in contents.values()):
        fetch(folder, progress)
        contents = {name: _read(folder, name) for name in FILES}
    tensors = []
    for name, content in contents.items():
        if content is None:
            raise DataError(f"{name} in {folder} changed while it was read; try again.")
        tensors.append(_parse_idx(content))
    return Mnist(
        LabelledImages(tensors[0], tensors[1].long(), "training"),
        LabelledImages(tensors[2], tensors[3].long(), "test"),
    )


def fetch(folder: Path, progress: Progress | None = None) -> None:
    """Download the files that are missing or damaged: all of them or none.

    Args:
        folder: created if it does not exist.
        progress: as for `load`.

    Raises:
        DataError: no source has the files, or the folder cannot be written; the message lists what
            was tried.
    """
    progress = progress or (lambda message, fraction: None)
    if any(_read(folder, name) is None for name in FILES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder, progress):
                for partial in folder.glob(".fetch-*"):  # of a killed process: we hold the lock
                    shutil.rmtree(partial, ignore_errors=True)
                wanted = [name for name in FILES if _read(folder, name) is None]
                if wanted:
                    write_files(folder, _download(folder, wanted, progress))
        except OSError as error:
            raise DataError(
                f"MNIST cannot be stored in {folder}: {error.strerror or error}. Free some space, "
                "or set INKLING_DATA to another folder."
            ) from error
    progress("MNIST is complete", 1.0)


def split(labels: Tensor, holdout: int, seed: int) -> tuple[Tensor, Tensor]:
    """Choose validation images among the training images, stratified by class.

    Args:
        labels: (N,) int64.
        holdout: number of validation images.
        seed: fixes the choice.

    Returns:
        Sorted int64 indices of the training (N - holdout,) and validation images (holdout,).

    Raises:
        DataError: no image would be left to train on.
    """
    if not 0 <= holdout < max(1, len(labels)):
        raise DataError(
            f"holdout is {holdout:,}, but there are only {len(labels):,} training images, and at "
            "least one must be left to train on."
        )
    values = labels.cpu().numpy()
    order = np.random.default_rng(np.random.SeedSequence([seed, holdout])).permutation(len(values))
    # Each image's rank within its class, as a fraction of the class. The lowest are held out, so
    # that all classes are held out in proportion, and exactly `holdout` images in total.
    ranks = np.empty(len(values))
    for value in np.unique(values):
        members = order[values[order] == value]
        ranks[members] = (np.arange(len(members)) + 0.5) / len(members)
    held_out = np.zeros(len(values), dtype=bool)
    held_out[order[np.argsort(ranks[order], kind="stable")[:holdout]]] = True
    return torch.from_numpy(np.flatnonzero(~held_out)), torch.from_numpy(np.flatnonzero(held_out))


def hold_out(
    config: RunConfig, training: LabelledImages[Tensor]
) -> tuple[LabelledImages[Tensor], LabelledImages[Tensor]]:
    """Split the training images into those that a run trains on and its hold-out (may be empty).

    Raises:
        DataError: as `split`.
    """
    if not config.holdout:
        return training, training[:0]
    train, held_out = split(training.labels, config.holdout, config.holdout_seed)
    return training[train], training[held_out]


def synthetic(train: int = 600, test: int = 200, seed: int = 0) -> Mnist:
    """Return seven-segment digits, shifted and noisy, that a small network learns within seconds.

    Args:
        train, test: number of images, with equal numbers of all classes.
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


def _read(folder: Path, name: str) -> np.ndarray | None:
    """Return the bytes of a published file, (n,) uint8; None if no file has its SHA-256."""
    for path in file_candidates(folder, name):
        try:
            content = np.fromfile(path, dtype=np.uint8)
            if path.suffix == ".gz":
                plain = sources.decompress(content.tobytes())
                content = np.frombuffer(bytearray(plain), dtype=np.uint8)
        except (OSError, sources.Unavailable):
            continue
        if hashlib.sha256(content.data).hexdigest() == FILES[name]:
            return content
    return None


def _parse_idx(content: np.ndarray) -> Tensor:
    """Parse an IDX file: a magic number ending with the number of axes, the shape, the values."""
    axes = int(content[3])
    shape = content[4 : 4 + 4 * axes].view(">i4")
    return torch.from_numpy(content[4 + 4 * axes :].reshape(*shape))


@contextlib.contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock, so that only one process downloads."""
    lock, waited = FileLock(folder / ".fetch.lock"), 0.0
    while True:
        try:
            lock.acquire(timeout=1.0)
            break
        except Timeout:
            waited += 1.0
            if waited > LOCK_SECONDS:
                raise DataError(
                    f"another process has been downloading MNIST to {folder} for {waited:.0f} s; "
                    "end it and try again."
                ) from None
            progress("Waiting for another process that downloads MNIST", 0.0)
    try:
        yield
    finally:
        lock.release()


def _download(folder: Path, wanted: list[str], progress: Progress) -> dict[str, bytes]:
    """Return the contents of the wanted files, checked; sources are tried in turn."""
    contents: dict[str, bytes] = {}
    failures: list[str] = []
    total = max(0.01, sum(BYTE_FRACTIONS[name] for name in wanted))
    for title, source in sources.all_sources():
        missing = [name for name in wanted if name not in contents]

        def report(name: str, fraction: float, title: str = title) -> None:
            done = sum(BYTE_FRACTIONS[other] for other in contents)
            done += BYTE_FRACTIONS[name] * fraction
            progress(f"Downloading {name} from {title}", done / total)

        try:
            for name, content in source(missing, report):
                if hashlib.sha256(content).hexdigest() == FILES[name]:
                    contents[name] = content
                else:
                    failures.append(f"{title}: its {name} is not the published file")
        except sources.Unavailable as error:
            failures.append(f"{title}: {error}")
        if len(contents) == len(wanted):
            return contents
    raise DataError(
        f"MNIST could not be downloaded. Tried {'; '.join(failures)}. To provide the files "
        f"yourself, put {listed(FILES, 'and')} (plain or with .gz) into {folder}."
    )


def write_files(folder: Path, contents: dict[str, bytes]) -> None:
    """Write files into a folder so that they appear together.

    Raises:
        OSError: the folder cannot be written.
    """
    # The temporary folder is inside, since renaming works only within one file system.
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
    """Draw a seven-segment digit with soft edges, (28, 28) float, ink up to 255."""
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
