"""Nearest images by pixels agree with numpy, and those by features with the network."""

import time

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.insight import nearest
from core.insight.nearest import (
    MAX_FEATURES,
    FeatureIndex,
    last_hidden_row,
    nearest_by_pixels,
    squared_norms,
)
from core.models.architectures import ARCHITECTURES
from core.models.network import Network

WIDE = (
    {"kind": "linear", "channels": 300, "activation": "relu"},
    {"kind": "linear", "activation": "none"},
)


@pytest.fixture
def images(digits) -> np.ndarray:
    return digits.train.images.numpy()


def read_all(reader: FeatureIndex) -> FeatureIndex:
    reader.keep_reading()
    assert reader.wait(30) == reader.total
    return reader


def test_an_image_is_nearest_to_itself_at_distance_0(images):
    neighbours = nearest_by_pixels(images, squared_norms(images), images[17], 5)
    assert neighbours.indices[0] == 17
    assert neighbours.distances[0] == 0
    assert (np.diff(neighbours.distances) >= 0).all()


def test_nearest_by_pixels_agrees_with_numpy(images, digits, monkeypatch):
    monkeypatch.setattr(nearest, "CHUNK", 70)
    image = digits.test.images[3].numpy()
    distances = np.sqrt(np.square(images.astype(float) - image).sum(axis=(1, 2))) / 255
    neighbours = nearest_by_pixels(images, squared_norms(images), image, 12)
    np.testing.assert_allclose(neighbours.distances, np.sort(distances)[:12], rtol=1e-5)


def test_fewer_images_than_requested_are_all_returned(images):
    assert len(nearest_by_pixels(images[:3], squared_norms(images[:3]), images[0], 12).indices) == 3


def test_features_find_the_image_itself(images):
    torch.manual_seed(0)
    reader = read_all(FeatureIndex(Network(ARCHITECTURES["original-3762"].rows).eval(), images))
    neighbours = reader.nearest(images[23], 4)
    assert neighbours.indices[0] == 23
    assert neighbours.distances[0] == pytest.approx(0, abs=1e-4)


def test_features_are_the_inputs_of_the_last_row_with_weights(images):
    """A network whose weights for the lower half are 0 ignores changes there."""
    model = Network(WIDE).eval()
    with torch.no_grad():
        model.layers[0].weight.reshape(300, 28, 28)[:, 14:] = 0
    other = images.copy()
    other[:, 14:] = 0
    reader = read_all(FeatureIndex(model, images))
    assert reader.nearest(other[40], 1).indices[0] == 40
    assert nearest_by_pixels(images, squared_norms(images), other[40], 1).distances[0] > 0.5


def test_many_features_are_projected_and_keep_their_distances(images):
    torch.manual_seed(1)
    model = Network(WIDE).eval()
    reader = read_all(FeatureIndex(model, images[:60]))
    with torch.no_grad():
        x = (torch.from_numpy(images[:60]).float() / 255 - 0.1307)[:, None] / 0.3081
        full = model.features(x)[0].numpy()
    assert full.shape[1] > MAX_FEATURES
    neighbours = reader.nearest(images[0], 60)
    own = np.linalg.norm(full[neighbours.indices] - full[0], axis=1)
    assert np.corrcoef(own, neighbours.distances)[0, 1] > 0.9


def test_the_features_of_a_network_with_one_row_are_the_pixels(images):
    model = Network(({"kind": "linear", "activation": "none"},)).eval()
    assert last_hidden_row(model) == 0
    assert read_all(FeatureIndex(model, images[:50])).nearest(images[9], 1).indices[0] == 9


def test_reading_stops_without_requests_and_resumes(images, monkeypatch):
    monkeypatch.setattr(nearest, "IDLE", 0.0)
    reader = FeatureIndex(Network(WIDE).eval(), images)
    assert not len(reader.nearest(images[0], 3).indices)
    reader.keep_reading()
    time.sleep(0.05)
    assert reader.wait(0.2) == 0, "it stopped at once"
    monkeypatch.setattr(nearest, "IDLE", 10.0)
    assert read_all(reader).nearest(images[5], 1).indices[0] == 5


def test_a_diverged_network_is_refused(images):
    model = Network(ARCHITECTURES["original-3762"].rows).eval()
    reader = FeatureIndex(model, images)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    reader.keep_reading()
    reader.wait(10)
    for ask in (lambda: reader.nearest(images[0], 3), lambda: FeatureIndex(model, images)):
        with pytest.raises(UserError, match="diverged"):
            ask()


@pytest.mark.mnist
def test_60000_images_are_searched_within_two_seconds(mnist):
    images = mnist.train.images.numpy()
    lengths = squared_norms(images)
    nearest_by_pixels(images, lengths, images[0], 24)
    start = time.perf_counter()
    neighbours = nearest_by_pixels(images, lengths, mnist.test.images[0].numpy(), 24)
    assert time.perf_counter() - start < 2, "about 0.1 s where nothing else runs"
    assert (mnist.train.labels.numpy()[neighbours.indices] == 7).all()
