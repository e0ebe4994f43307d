"""Whether a drawing looks like a digit at all, which a network that knows ten digits cannot say.

The judgement is the same for every run. It compares the directions of a drawing's edges, region by
region, with those of MNIST's training digits and of random strokes. What it was fitted to lies in
familiarity.npz, made and measured by tests/benchmarks/familiarity.py.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FILE = Path(__file__).with_suffix(".npz")
SIDE, WHITE = 28, 255
DIRECTIONS, GRID = 8, 5  # of edges, and regions along each side
REGION = 2.9  # pixels: standard deviation of a region's Gaussian window
FEATURES = DIRECTIONS * GRID * GRID
DISTANCE_WEIGHT = 0.5  # of the distance to the digits, beside the score against random strokes
CHUNK = 1_000  # images at a time: some 25 MB
MESSAGE = "This does not look like a digit. The network still has to choose one of the ten digits."


def measure_strangeness(images: Images) -> Floats:
    """Measure how little images look like a digit: above 0 they do not.

    The weighted sum of two standardised scores (the first times DISTANCE_WEIGHT), minus the limit.
    One is the smallest of the ten squared Mahalanobis distances to the training digits of a class,
    with all but the largest variances replaced by their mean (Kimura et al., IEEE Trans. Pattern
    Anal. 9 (1987) 149, without its logarithm). The other is the score of a network with one hidden
    layer that was trained once to tell digits from random strokes. The scores are standardised on
    5,000 other training digits, and the limit accepts 96 % of these.

    Args:
        images: (N, 28, 28) uint8 in MNIST's form.

    Returns:
        (N,), in standard deviations of the second score among digits; infinite without ink.

    Raises:
        UserError: the images have another shape or dtype.
    """
    fit = _load()
    features = edge_features(images)
    distances = class_distances(features, fit).min(axis=1)
    scores = stroke_scores(features, fit)
    strangeness = combine_scores(distances, scores, fit) - fit["limit"]
    strangeness[~features.any(axis=1)] = np.inf
    return np.asarray(strangeness, np.float32)


def looks_like_digit(image: Images) -> bool:
    """Whether an image (28, 28) uint8 in MNIST's form looks like a digit.

    Raises:
        UserError: the image has another shape or dtype.
    """
    return bool(measure_strangeness(image[None])[0] <= 0)


def edge_features(images: Images) -> Floats:
    """Describe images by the directions of their edges in 5 x 5 overlapping regions.

    The gradient of the smoothed image is split into eight directions and summed with a Gaussian
    window around each region's centre, divided by the total, and the square root is taken: neither
    the width of the pen nor small shifts matter much. A histogram of oriented gradients in the
    manner of Dalal and Triggs, CVPR 2005, 886.

    Args:
        images: (N, 28, 28) uint8.

    Returns:
        (N, 200); of length 1, or all zeros for an image without edges.

    Raises:
        UserError: the images have another shape or dtype.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
        raise UserError("only images of 28x28 grey values from 0 to 255 can be judged.")
    centres = (np.arange(GRID) + 0.5) * SIDE / GRID - 0.5
    windows = np.exp(-((np.arange(SIDE) - centres[:, None]) ** 2) / (2 * REGION**2))
    windows = (windows / windows.sum(axis=1, keepdims=True)).astype(np.float32)  # (5, 28)
    features = np.empty((len(images), FEATURES), np.float32)
    for start in range(0, len(images), CHUNK):
        padded = np.pad(images[start : start + CHUNK], ((0, 0), (2, 2), (2, 2)))
        smooth = padded.astype(np.float32) / WHITE
        smooth = (smooth[:, :-2] + 2 * smooth[:, 1:-1] + smooth[:, 2:]) / 4
        smooth = (smooth[:, :, :-2] + 2 * smooth[:, :, 1:-1] + smooth[:, :, 2:]) / 4  # (n, 30, 30)
        right = smooth[:, 1:-1, 2:] - smooth[:, 1:-1, :-2]
        down = smooth[:, 2:, 1:-1] - smooth[:, :-2, 1:-1]
        for direction in range(DIRECTIONS):
            angle = 2 * np.pi * direction / DIRECTIONS
            along = np.maximum(np.cos(angle) * right + np.sin(angle) * down, 0)
            pooled = windows @ along.astype(np.float32) @ windows.T  # (n, 5, 5)
            place = direction * GRID * GRID
            features[start : start + CHUNK, place : place + GRID * GRID] = pooled.reshape(
                len(pooled), -1
            )
    totals = features.sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt(features / np.maximum(totals, 1e-6)), np.float32)


def class_distances(features: Floats, fit: dict[str, Any]) -> Floats:
    """Compute the squared Mahalanobis distances (N, 10) of features to the digits of each class.

    Args:
        features: (N, 200) from `edge_features`.
        fit: `means` (10, 200), `axes` (10, k, 200) of unit length, `variances` (10, k) along them,
            `rests` (10,), the variance along any other axis.
    """
    distances = []
    for mean, axes, variances, rest in zip(
        fit["means"], fit["axes"], fit["variances"], fit["rests"], strict=True
    ):
        offsets = features - mean
        along = offsets @ axes.T  # (N, k)
        others = np.square(offsets).sum(axis=1) - np.square(along).sum(axis=1)
        distances.append((np.square(along) / variances).sum(axis=1) + others / rest)
    return np.stack(distances, axis=1)


def stroke_scores(features: Floats, fit: dict[str, Any]) -> Floats:
    """Compute the scores (N,) of a small network; the higher, the more like random strokes.

    Args:
        features: (N, 200) from `edge_features`.
        fit: `hidden` (H, 200), `hidden_bias` (H,), `output` (H,).
    """
    hidden = np.maximum(features @ fit["hidden"].T + fit["hidden_bias"], 0)
    return np.asarray(hidden @ fit["output"], np.float32)


def combine_scores(distances: Floats, scores: Floats, fit: dict[str, Any]) -> Floats:
    """Return the weighted sum of the two standardised scores (N,).

    Args:
        distances: (N,) to the nearest class.
        scores: (N,) from `stroke_scores`.
        fit: `standards`: mean and deviation of the distances and of the scores among digits.
    """
    distance_mean, distance_deviation, score_mean, score_deviation = fit["standards"]
    return np.asarray(
        DISTANCE_WEIGHT * (distances - distance_mean) / distance_deviation
        + (scores - score_mean) / score_deviation
    )


@functools.cache
def _load() -> dict[str, Any]:
    with np.load(FILE, allow_pickle=False) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}
