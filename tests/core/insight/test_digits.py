"""Figures of the digits: checked against numpy's own on images small enough to count."""

import numpy as np
import pytest
import torch

from core.errors import DataError
from core.insight import digits as insight


@pytest.fixture(scope="module")
def pair(digits):
    return digits.train_images.numpy(), digits.train_labels.numpy()


@pytest.mark.parametrize(
    ("digit", "index", "indices", "at", "first", "before", "after"),
    [
        (None, 0, [0, 1, 2], 0, 0, None, 3),
        (None, 4, [3, 4, 5], 4, 3, 0, 6),
        (None, 99, [6, 7], 7, 6, 3, None),
        (1, 0, [1, 3, 4], 1, 0, None, 6),
        (1, 5, [6, 7], 6, 3, 1, None),
        (1, 2, [1, 3, 4], 3, 0, None, 6),
        (0, 7, [0, 2, 5], 5, 0, None, None),
    ],
)
def test_a_page_holds_the_digit_in_question(digit, index, indices, at, first, before, after):
    shown = insight.page_of_digits(np.array([0, 1, 0, 1, 1, 0, 1, 1]), digit, index, 3)
    assert list(shown.indices) == indices
    assert (shown.selected, shown.offset, shown.previous, shown.next) == (at, first, before, after)


@pytest.mark.parametrize("digit", [None, 3])
def test_pages_walk_through_all_digits_once(pair, digit):
    labels, seen, index = pair[1], [], 0
    while index is not None:
        shown = insight.page_of_digits(labels, digit, index, 7)
        seen += list(shown.indices)
        index = shown.next
    assert seen == list(np.arange(len(labels)) if digit is None else np.flatnonzero(labels == 3))
    assert shown.total == len(seen)


def test_a_class_that_is_not_there_is_named():
    with pytest.raises(DataError, match="no digit"):
        insight.page_of_digits(np.array([1, 2]), 7, 0, 10)


def test_one_of_each_starts_where_asked_and_goes_round():
    labels = np.array([*range(10), *range(10)])
    assert list(insight.first_of_each_class(labels, 0)) == list(range(10))
    assert list(insight.first_of_each_class(labels, 4)) == [10, 11, 12, 13, *range(4, 10)]
    assert list(insight.first_of_each_class(labels, 16)) == [*range(6), *range(16, 20)]
    assert list(insight.first_of_each_class(np.array([3, 3, 1]), 1)) == [2, 1], (
        "classes that are not there are left out"
    )


def test_statistics_are_numpys(pair, monkeypatch):
    monkeypatch.setattr(insight, "_AT_ONCE", 128)
    images, labels = pair
    found, grey = insight.compute_statistics(images, labels), images / 255
    assert list(found.counts) == [60] * 10
    for digit in range(10):
        mine = grey[labels == digit]
        np.testing.assert_allclose(found.mean[digit], mine.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(found.variance[digit], mine.var(axis=0), atol=1e-6)
        np.testing.assert_allclose(
            found.ink_quantiles[digit, 2], np.median(mine.mean(axis=(1, 2))), atol=1e-6
        )
    np.testing.assert_array_equal(found.histogram, np.bincount(images.ravel(), minlength=256))
    assert found.grey_mean == pytest.approx(grey.mean())
    assert found.grey_std == pytest.approx(grey.std())
    assert found.blank_share == pytest.approx((images == 0).mean())
    assert found.never_inked == (images == 0).all(axis=0).sum()


@pytest.mark.mnist
def test_the_training_images_have_the_mean_and_deviation_that_the_trainer_uses(mnist):
    from core.data.batches import MEAN, STD

    found = insight.compute_statistics(mnist.train_images.numpy(), mnist.train_labels.numpy())
    assert found.grey_mean == pytest.approx(MEAN, abs=5e-5)
    assert found.grey_std == pytest.approx(STD, abs=5e-5)
    assert list(found.counts) == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert found.never_inked == 67


def test_a_class_without_images_has_blank_pictures(pair):
    images, labels = pair
    found = insight.compute_statistics(images[labels != 4], labels[labels != 4])
    assert found.counts[4] == 0
    assert not found.mean[4].any()
    assert np.isfinite(found.variance).all()


def test_the_map_is_the_singular_value_decomposition(pair):
    images = pair[0]
    chart = insight.compute_pca(images, sample=400, axes=4)
    pixels = images[chart.indices].reshape(400, -1) / 255
    pixels = pixels - pixels.mean(axis=0)
    lengths, axes = (
        each.numpy() for each in torch.linalg.svd(torch.from_numpy(pixels), full_matrices=False)[1:]
    )
    np.testing.assert_allclose(
        chart.explained_variance, (lengths**2 / (lengths**2).sum())[:4], rtol=1e-3
    )
    for mine, theirs in zip(chart.components, axes, strict=False):
        assert abs(mine @ theirs) > 0.99
        assert mine[abs(mine).argmax()] > 0, "an axis has one direction"
    np.testing.assert_allclose(chart.points, pixels @ chart.components.T, atol=1e-3)


def test_a_larger_sample_holds_the_smaller_one(pair):
    small, large = (set(insight.compute_pca(pair[0], sample).indices) for sample in (50, 300))
    assert small < large
    assert len(insight.compute_pca(pair[0], 10_000).indices) == 600


def test_a_blank_sample_and_a_tiny_one():
    chart = insight.compute_pca(np.zeros((5, 28, 28), np.uint8))
    assert np.isfinite(chart.points).all()
    with pytest.raises(DataError, match="three"):
        insight.compute_pca(np.zeros((2, 28, 28), np.uint8))


def test_along_an_axis_the_mean_digit_moves_from_low_to_high(pair):
    chart = insight.compute_pca(pair[0], 400)
    moved = insight.images_along_component(chart, 0, 5)
    assert moved.shape == (5, 28, 28)
    places = (moved.reshape(5, -1) / 255 - chart.mean) @ chart.components[0]
    assert (np.diff(places) > 0).all()
