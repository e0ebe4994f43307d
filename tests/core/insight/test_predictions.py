"""Predictions are probabilities in the order of the images, for any number of images."""

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.insight.predictions import inference_batch_size, network_input, predict
from core.models.architectures import ARCHITECTURES
from core.models.network import Network


@pytest.fixture
def model() -> Network:
    torch.manual_seed(0)
    return Network(ARCHITECTURES["original-3762"].rows)


def test_batches_do_not_change_the_predictions(model, digits):
    images = digits.train.images[: inference_batch_size(model) + 20].numpy()
    probabilities = predict(model, images)
    assert model.training, "the mode is restored"
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(probabilities[-3:], predict(model, images[-3:]), atol=1e-5)
    assert predict(model, images[:0]).shape == (0, 10)


def test_images_are_normalised_as_in_training(model):
    both = network_input(model, np.array([np.zeros((28, 28)), np.full((28, 28), 255)], np.uint8))
    assert both.shape == (2, 1, 28, 28)
    assert both[:, 0, 0, 0].tolist() == pytest.approx(
        [-0.1307 / 0.3081, (1 - 0.1307) / 0.3081], abs=1e-5
    )


@pytest.mark.parametrize(
    "images",
    [None, np.zeros((1, 28, 28)), np.zeros((28, 28), np.uint8), np.zeros((1, 27, 28), np.uint8)],
)
def test_anything_but_images_is_refused(model, images):
    with pytest.raises(UserError):
        predict(model, images)
