"""What can be said of the digits themselves: classes, mean and variance images, grey values, a map of a sample.

All of it with numpy from images (N, 28, 28) uint8, ink 255 on 0, and labels (N,) int64. How networks read them is in
`predictions`; how they are drawn on a page is in `pictures`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import DataError

CLASSES, SIDE = 10, 28
WHITE = 255.0
_AT_ONCE = 5_000  # images turned into floats at a time: some 16 MB

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class DigitPage:
    """One page of the digits of a class, or of all."""

    indices: Labels  # in the dataset, of the digits on this page
    selected: int  # index of the digit in question
    offset: int  # place of the page's first digit among all of the class, from 0
    total: int  # digits of the class
    previous: int | None  # index that leads to the page before; None: this is the first
    next: int | None


def page_of_digits(labels: Labels, digit: int | None, index: int, size: int) -> DigitPage:
    """The page on which a digit stands when the digits of its class are laid out in order.

    Args:
        labels: of all images.
        digit: 0 to 9; None: all of them.
        index: of a digit in the dataset; if it is of another class, the next one of the class is taken.
        size: digits on a page.

    Raises:
        DataError: there is no such digit at all.
    """
    members = np.arange(len(labels)) if digit is None else np.flatnonzero(labels == digit)
    if not len(members):
        raise DataError("there is no digit of this class.")
    place = min(int(np.searchsorted(members, index)), len(members) - 1)
    first = place // size * size
    return DigitPage(
        members[first : first + size],
        int(members[place]),
        first,
        len(members),
        int(members[first - size]) if first else None,
        int(members[first + size]) if first + size < len(members) else None,
    )


def first_of_each_class(labels: Labels, index: int) -> Labels:
    """The first digit of every class from an index on, in the order of the classes; past the end from the start."""
    found = []
    for digit in range(CLASSES):
        members = np.flatnonzero(labels == digit)
        if len(members):
            found.append(members[int(np.searchsorted(members, index)) % len(members)])
    return np.array(found, np.int64)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Figures of a set of digits; grey values as shares of white."""

    counts: Labels  # (10,) images of each class
    mean: Floats  # (10, 28, 28)
    variance: Floats  # (10, 28, 28)
    histogram: Labels  # (256,) pixels of each grey value
    ink_quantiles: Floats  # (10, 5): 5 %, 25 %, 50 %, 75 % and 95 % of a class's images carry at most this mean grey
    never_inked: int  # pixels, of 784, that no image has ink in

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
        """Share of the pixels without any ink."""
        return float(self.histogram[0] / self.histogram.sum())


_GREYS = np.arange(256) / WHITE
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def compute_statistics(images: Images, labels: Labels) -> Statistics:
    """The figures of a set of digits.

    Args:
        images: (N, 28, 28) uint8.
        labels: (N,) int64.

    Raises:
        DataError: there are no images.
    """
    if not len(images):
        raise DataError("there are no digits to count.")
    total, squares = np.zeros((CLASSES, SIDE * SIDE)), np.zeros((CLASSES, SIDE * SIDE))
    pairs, ink = np.zeros(256**2, np.int64), np.empty(len(images), np.float32)
    for start in range(0, len(images), _AT_ONCE):
        some, classes = images[start : start + _AT_ONCE], labels[start : start + _AT_ONCE]
        # Two pixels at a time, which is four times as fast.
        pairs += np.bincount(
            np.ascontiguousarray(some).reshape(-1).view(np.uint16), minlength=256**2
        )
        pixels = some.reshape(len(some), -1).astype(np.float32)  # (n, 784)
        ink[start : start + _AT_ONCE] = pixels.mean(axis=1)
        for digit in range(CLASSES):
            mine = pixels[classes == digit]
            total[digit] += mine.sum(axis=0)
            squares[digit] += np.einsum("ij,ij->j", mine, mine)
    histogram = pairs.reshape(256, 256).sum(axis=0) + pairs.reshape(256, 256).sum(axis=1)
    total, squares, ink = total / WHITE, squares / WHITE**2, ink / WHITE
    counts = np.bincount(labels, minlength=CLASSES)
    each = np.maximum(counts, 1)[:, None]
    mean = total / each
    variance = np.maximum(squares / each - mean**2, 0)
    quantiles = [
        np.quantile(ink[labels == digit], _QUANTILES)
        if counts[digit]
        else np.zeros(len(_QUANTILES))
        for digit in range(CLASSES)
    ]
    return Statistics(
        counts,
        mean.reshape(CLASSES, SIDE, SIDE),
        variance.reshape(CLASSES, SIDE, SIDE),
        histogram,
        np.stack(quantiles),
        int((total.sum(axis=0) == 0).sum()),
    )


@dataclass(frozen=True, eq=False)
class PcaMap:
    """Digits laid out so that those with similar pixels stand together (principal components)."""

    indices: Labels  # (n,) the sample, in the dataset's order
    points: Floats  # (n, k) places along the axes, in the units of the pixels
    components: Floats  # (k, 784) of unit length
    explained_variance: Floats  # (k,) of the sample's variance that an axis carries
    mean: Floats  # (784,) mean of the sample, grey as a share of white


def compute_pca(images: Images, sample: int = 1_500, axes: int = 6, seed: int = 0) -> PcaMap:
    """The principal components of a sample, by randomised subspace iteration (Halko, Martinsson and Tropp, 2011).

    Args:
        images: (N, 28, 28) uint8.
        sample: digits to take; a larger sample holds the smaller ones.
        axes: components to find.
        seed: fixes the sample.

    Raises:
        DataError: there are fewer than three images.
    """
    if min(len(images), sample) < 3:
        raise DataError("a map needs at least three digits.")
    generator = np.random.default_rng(seed)
    indices = np.sort(generator.permutation(len(images))[:sample])
    pixels = images[indices].reshape(len(indices), -1).astype(np.float32) / WHITE  # (n, 784)
    centre = pixels.mean(axis=0)
    pixels -= centre
    found, lengths = _components(pixels, axes, generator)
    # An axis may point either way; fixed, so that a map doesn't flip over when the sample grows.
    found *= np.where(
        np.take_along_axis(found, abs(found).argmax(axis=1)[:, None], axis=1) < 0, -1, 1
    )
    shares = lengths**2 / max(float((pixels**2).sum()), 1e-12)
    return PcaMap(indices, pixels @ found.T, found, shares, centre)


def _components(pixels: Floats, axes: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """The first right singular vectors (k, 784) and singular values (k,) of centred pixels (n, 784)."""
    import torch  # numpy's products run on all cores, and take twenty times as long where others keep those busy

    # A full decomposition of 784 by 784 would take ten times as long for axes that nobody asks for.
    width = min(axes + 10, *pixels.shape)
    data = torch.from_numpy(pixels)
    basis = torch.from_numpy(generator.standard_normal((pixels.shape[1], width)).astype(np.float32))
    for _ in range(6):
        basis = torch.linalg.qr(data.T @ (data @ basis))[0]
    _, lengths, turns = torch.linalg.svd(data @ basis, full_matrices=False)
    return (turns @ basis.T)[:axes].numpy(), lengths[:axes].numpy()


def images_along_component(chart: PcaMap, axis: int, steps: int = 7) -> Images:
    """What changes along an axis of a map: the mean digit moved from one end to the other.

    Args:
        chart: the map.
        axis: from 0.
        steps: images to make.

    Returns:
        (steps, 28, 28) uint8, from the axis's low end to its high end (5 % to 95 % of the sample).
    """
    low, high = np.quantile(chart.points[:, axis], (0.05, 0.95))
    moved = chart.mean + np.linspace(low, high, steps)[:, None] * chart.components[axis]
    return np.round(moved.clip(0, 1) * WHITE).astype(np.uint8).reshape(steps, SIDE, SIDE)
