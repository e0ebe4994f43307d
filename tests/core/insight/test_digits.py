"""Statistics and principal components of digits agree with numpy and torch."""

import numpy as np
import pytest
import torch

from core.errors import DataError
from core.insight import digits as insight


@pytest.fixture(scope="module")
def pair(digits):
    return digits.train.images.numpy(), digits.train.labels.numpy()


@pytest.mark.parametrize(
    ("digit", "index", "indices", "selected", "offset", "previous", "following"),
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
def test_a_page_contains_the_selected_digit(
    digit, index, indices, selected, offset, previous, following
):
    shown = insight.page_of_digits(np.array([0, 1, 0, 1, 1, 0, 1, 1]), digit, index, 3)
    assert list(shown.indices) == indices
    assert (shown.selected, shown.offset, shown.previous, shown.next) == (
        selected,
        offset,
        previous,
        following,
    )


@pytest.mark.parametrize("digit", [None, 3])
def test_pages_contain_every_digit_once(pair, digit):
    labels, seen, index = pair[1], [], 0
    while index is not None:
        shown = insight.page_of_digits(labels, digit, index, 7)
        seen += list(shown.indices)
        index = shown.next
    assert seen == list(np.arange(len(labels)) if digit is None else np.flatnonzero(labels == 3))
    assert shown.total == len(seen)


def test_a_class_without_digits_is_refused():
    with pytest.raises(DataError, match="no digit"):
        insight.page_of_digits(np.array([1, 2]), 7, 0, 10)


def test_the_first_of_each_class_continues_at_the_start():
    labels = np.array([*range(10), *range(10)])
    assert list(insight.first_of_each_class(labels, 0)) == list(range(10))
    assert list(insight.first_of_each_class(labels, 4)) == [10, 11, 12, 13, *range(4, 10)]
    assert list(insight.first_of_each_class(labels, 16)) == [*range(6), *range(16, 20)]
    assert list(insight.first_of_each_class(np.array([3, 3, 1]), 1)) == [2, 1], (
        "missing classes are omitted"
    )


def test_statistics_agree_with_numpy(pair, monkeypatch):
    monkeypatch.setattr(insight, "CHUNK", 128)
    images, labels = pair
    stats, grey = insight.compute_statistics(images, labels), images / 255
    assert list(stats.counts) == [60] * 10
    for digit in range(10):
        members = grey[labels == digit]
        np.testing.assert_allclose(stats.mean[digit], members.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(stats.variance[digit], members.var(axis=0), atol=1e-6)
        np.testing.assert_allclose(
            stats.ink_quantiles[digit, 2], np.median(members.mean(axis=(1, 2))), atol=1e-6
        )
    np.testing.assert_array_equal(stats.histogram, np.bincount(images.ravel(), minlength=256))
    assert stats.grey_mean == pytest.approx(grey.mean())
    assert stats.grey_std == pytest.approx(grey.std())
    assert stats.blank_share == pytest.approx((images == 0).mean())
    assert stats.never_inked == (images == 0).all(axis=0).sum()


@pytest.mark.mnist
def test_the_training_images_have_the_mean_and_deviation_that_the_trainer_uses(mnist):
    from core.task import MEAN, STD

    stats = insight.compute_statistics(mnist.train.images.numpy(), mnist.train.labels.numpy())
    assert stats.grey_mean == pytest.approx(MEAN, abs=5e-5)
    assert stats.grey_std == pytest.approx(STD, abs=5e-5)
    assert list(stats.counts) == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert stats.never_inked == 67


def test_the_mean_of_a_class_without_images_is_blank(pair):
    images, labels = pair
    stats = insight.compute_statistics(images[labels != 4], labels[labels != 4])
    assert stats.counts[4] == 0
    assert not stats.mean[4].any()
    assert np.isfinite(stats.variance).all()


def test_principal_components_agree_with_the_svd(pair):
    images = pair[0]
    pca = insight.compute_pca(images, sample=400, components=4)
    pixels = images[pca.indices].reshape(400, -1) / 255
    pixels = pixels - pixels.mean(axis=0)
    lengths, axes = (
        each.numpy() for each in torch.linalg.svd(torch.from_numpy(pixels), full_matrices=False)[1:]
    )
    np.testing.assert_allclose(
        pca.explained_variance, (lengths**2 / (lengths**2).sum())[:4], rtol=1e-3
    )
    for members, theirs in zip(pca.components, axes, strict=False):
        assert abs(members @ theirs) > 0.99
        assert members[abs(members).argmax()] > 0, "the sign of a component is fixed"
    np.testing.assert_allclose(pca.points, pixels @ pca.components.T, atol=1e-3)


def test_a_larger_sample_contains_the_smaller_one(pair):
    small, large = (set(insight.compute_pca(pair[0], sample).indices) for sample in (50, 300))
    assert small < large
    assert len(insight.compute_pca(pair[0], 10_000).indices) == 600


def test_pca_of_blank_images_is_finite_and_of_two_refused():
    pca = insight.compute_pca(np.zeros((5, 28, 28), np.uint8))
    assert np.isfinite(pca.points).all()
    with pytest.raises(DataError, match="three"):
        insight.compute_pca(np.zeros((2, 28, 28), np.uint8))


def test_images_along_a_component_move_from_low_to_high(pair):
    pca = insight.compute_pca(pair[0], 400)
    moved = insight.images_along_component(pca, 0, 5)
    assert moved.shape == (5, 28, 28)
    coordinates = (moved.reshape(5, -1) / 255 - pca.mean) @ pca.components[0]
    assert (np.diff(coordinates) > 0).all()
