"""Statistics of the digits themselves: classes, mean images, grey values, principal components.

All computed from images (N, 28, 28) uint8, ink 255 on 0, and labels (N,) int64. Predictions are in
`core.insight.predictions`; charts and sprites in `core.charts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import DataError
from core.task import CLASSES, INPUT_SHAPE

SIDE = INPUT_SHAPE[2]
WHITE = 255.0
CHUNK = 5_000  # images converted to floats at a time: about 16 MB
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class DigitPage:
    """One page of the digits of a class, or of all digits."""

    indices: Labels
    """Indices in the dataset of the digits on this page."""
    selected: int
    """Index in the dataset of the selected digit."""
    offset: int
    """Position of the page's first digit among all of the class, from 0."""
    total: int
    """Number of digits of the class."""
    previous: int | None
    """Index of a digit on the previous page; None on the first page."""
    next: int | None
    """Index of a digit on the next page; None on the last page."""


def page_of_digits(labels: Labels, digit: int | None, index: int, size: int) -> DigitPage:
    """Return the page that contains a digit when the digits of a class are listed in order.

    Args:
        labels: Labels of all images.
        digit: The class, 0 to 9; None for all classes.
        index: Index in the dataset. If that image is of another class, the next of the class is
            selected.
        size: Digits per page.

    Raises:
        DataError: There is no digit of this class.
    """
    members = np.arange(len(labels)) if digit is None else np.flatnonzero(labels == digit)
    if not len(members):
        raise DataError("there is no digit of this class.")
    position = min(int(np.searchsorted(members, index)), len(members) - 1)
    first = position // size * size
    return DigitPage(
        members[first : first + size],
        int(members[position]),
        first,
        len(members),
        int(members[first - size]) if first else None,
        int(members[first + size]) if first + size < len(members) else None,
    )


def first_of_each_class(labels: Labels, index: int) -> Labels:
    """Return the first digit of each class from an index onwards, continuing at the start."""
    firsts = []
    for digit in range(CLASSES):
        members = np.flatnonzero(labels == digit)
        if len(members):
            firsts.append(members[int(np.searchsorted(members, index)) % len(members)])
    return np.array(firsts, np.int64)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of a set of digits; grey values are fractions of white."""

    counts: Labels
    """(10,) images per class."""
    mean: Floats
    """(10, 28, 28) mean image of each class."""
    variance: Floats
    """(10, 28, 28) variance of each pixel within a class."""
    histogram: Labels
    """(256,) pixels per grey value."""
    ink_quantiles: Floats
    """(10, 5): QUANTILES of the mean grey value of an image, for each class."""
    never_inked: int
    """Pixels, of 784, that no image has ink in."""

    @property
    def grey_mean(self) -> float:
        """Mean of all pixels."""
        return float(self.histogram @ _GREYS / self.histogram.sum())

    @property
    def grey_std(self) -> float:
        """Standard deviation of all pixels."""
        return float(
            np.sqrt(self.histogram @ (_GREYS - self.grey_mean) ** 2 / self.histogram.sum())
        )

    @property
    def blank_share(self) -> float:
        """Fraction of the pixels without any ink."""
        return float(self.histogram[0] / self.histogram.sum())


_GREYS = np.arange(256) / WHITE


def compute_statistics(images: Images, labels: Labels) -> Statistics:
    """Compute the statistics of a set of digits.

    Args:
        images: (N, 28, 28) uint8.
        labels: (N,) int64.

    Raises:
        DataError: There are no images.
    """
    if not len(images):
        raise DataError("there are no digits to count.")
    sums, squares = np.zeros((CLASSES, SIDE * SIDE)), np.zeros((CLASSES, SIDE * SIDE))
    pairs, ink = np.zeros(256**2, np.int64), np.empty(len(images), np.float32)
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK].reshape(-1, SIDE * SIDE)  # (n, 784)
        classes = labels[start : start + CHUNK]
        # Counting pairs of pixels is four times as fast as counting pixels.
        pairs += np.bincount(
            np.ascontiguousarray(chunk).reshape(-1).view(np.uint16), minlength=256**2
        )
        pixels = chunk.astype(np.float32)
        ink[start : start + CHUNK] = pixels.mean(axis=1)
        for digit in range(CLASSES):
            members = pixels[classes == digit]
            sums[digit] += members.sum(axis=0)
            squares[digit] += np.einsum("ij,ij->j", members, members)

    histogram = pairs.reshape(256, 256).sum(axis=0) + pairs.reshape(256, 256).sum(axis=1)
    counts = np.bincount(labels, minlength=CLASSES)
    divisor = np.maximum(counts, 1)[:, None]
    mean = sums / WHITE / divisor
    variance = np.maximum(squares / WHITE**2 / divisor - mean**2, 0)
    ink_quantiles = [
        np.quantile(ink[labels == digit] / WHITE, QUANTILES)
        if counts[digit]
        else np.zeros(len(QUANTILES))
        for digit in range(CLASSES)
    ]
    return Statistics(
        counts,
        mean.reshape(CLASSES, SIDE, SIDE),
        variance.reshape(CLASSES, SIDE, SIDE),
        histogram,
        np.stack(ink_quantiles),
        int((sums.sum(axis=0) == 0).sum()),
    )


@dataclass(frozen=True, eq=False)
class PcaMap:
    """Principal components of a sample of digits; similar pixels give nearby points."""

    indices: Labels
    """(n,) the sample, in the dataset's order."""
    points: Floats
    """(n, k) coordinates along the components, in units of white."""
    components: Floats
    """(k, 784) of unit length."""
    explained_variance: Floats
    """(k,) fraction of the sample's variance along each component."""
    mean: Floats
    """(784,) mean of the sample, as a fraction of white."""


def compute_pca(images: Images, sample: int = 1_500, components: int = 6, seed: int = 0) -> PcaMap:
    """Compute the principal components of a random sample of digits.

    Source: randomised subspace iteration; Halko, Martinsson and Tropp, SIAM Review 53 (2011) 217.

    Args:
        images: (N, 28, 28) uint8.
        sample: Size of the sample; larger samples contain the smaller ones.
        components: Number of components.
        seed: Seed of the sample.

    Raises:
        DataError: There are fewer than three images.
    """
    if min(len(images), sample) < 3:
        raise DataError("a map needs at least three digits.")
    generator = np.random.default_rng(seed)
    indices = np.sort(generator.permutation(len(images))[:sample])
    pixels = images[indices].reshape(len(indices), -1).astype(np.float32) / WHITE  # (n, 784)
    mean = pixels.mean(axis=0)
    pixels -= mean
    vectors, lengths = _truncated_svd(pixels, components, generator)
    # The sign of a component is arbitrary; fix it, so that a larger sample doesn't flip the map.
    largest = np.take_along_axis(vectors, abs(vectors).argmax(axis=1)[:, None], axis=1)
    vectors *= np.where(largest < 0, -1, 1)
    explained_variance = lengths**2 / max(float((pixels**2).sum()), 1e-12)
    return PcaMap(indices, pixels @ vectors.T, vectors, explained_variance, mean)


def closest_classes(points: Floats, labels: Labels) -> tuple[int, int] | None:
    """Return the two classes whose mean points are closest; None for fewer than two classes.

    Args:
        points: (n, k) coordinates.
        labels: (n,) classes.
    """
    present = np.unique(labels)
    if len(present) < 2:
        return None
    centres = np.stack([points[labels == digit].mean(axis=0) for digit in present])
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    first, second = np.unravel_index(distances.argmin(), distances.shape)
    return int(present[first]), int(present[second])


def _truncated_svd(
    pixels: Floats, components: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the first right singular vectors (k, 784) and singular values (k,) of (n, 784)."""
    import torch  # NumPy's products use all cores, and become slow while other processes do, too

    # A full decomposition takes ten times as long.
    width = min(components + 10, *pixels.shape)
    data = torch.from_numpy(pixels)
    basis = torch.from_numpy(generator.standard_normal((pixels.shape[1], width)).astype(np.float32))
    for _ in range(6):
        basis = torch.linalg.qr(data.T @ (data @ basis))[0]
    _, lengths, right = torch.linalg.svd(data @ basis, full_matrices=False)
    return (right @ basis.T)[:components].numpy(), lengths[:components].numpy()


def images_along_component(pca: PcaMap, component: int, steps: int = 7) -> Images:
    """Move the mean digit along a component, from 5 % to 95 % of the sample.

    Args:
        pca: The principal components.
        component: Index of the component, from 0.
        steps: Number of images.

    Returns:
        (steps, 28, 28) uint8.
    """
    low, high = np.quantile(pca.points[:, component], (0.05, 0.95))
    moved = pca.mean + np.linspace(low, high, steps)[:, None] * pca.components[component]
    return np.round(moved.clip(0, 1) * WHITE).astype(np.uint8).reshape(steps, SIDE, SIDE)
