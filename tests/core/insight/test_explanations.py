"""Explanations of networks whose weights are chosen, so that the explanation is known."""

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.insight.explanations import MAX_CHANNELS, occlusion, saliency, select_maps
from core.insight.forward_pass import run_forward
from core.insight.predictions import affordable_images, inference_batch_size, predict
from core.models.architectures import ARCHITECTURES
from core.models.network import Network
from core.models.shapes import trace

LINEAR = ({"kind": "linear", "channels": 10, "activation": "none"},)
PER_WHITE = 1 / 0.3081  # difference between white and black in the network's units


@pytest.fixture
def cross() -> np.ndarray:
    """An upright stroke and a bar across it."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 13:15] = 255
    image[8:10, 6:22] = 255
    return image


def network_for_the_bar() -> Network:
    """Predict a 3 for ink at the right end of the bar, and a 5 for none there."""
    model = Network(LINEAR).eval()
    with torch.no_grad():
        weights = torch.zeros(10, 28, 28)
        weights[3, 8:10, 18:22] = 0.5
        weights[5, 8:10, 18:22] = -0.5
        model.layers[0].weight.copy_(weights.reshape(10, -1))
        model.layers[0].bias.zero_()
    return model


def diverged() -> Network:
    model = Network(ARCHITECTURES["original-3762"].rows).eval()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    return model


def test_occlusion_finds_the_stroke_that_decides_the_prediction(cross):
    result = occlusion(network_for_the_bar(), cross, 3, patch=4)
    assert result.probability > 0.9 > 0.5 > result.lowest
    top, left = np.unravel_index(result.drop.argmax(), result.drop.shape)
    assert 7 <= top <= 10
    assert 17 <= left <= 22
    assert result.drop[8:10, 18:22].min() > 10 * abs(result.drop[16:22]).max(), (
        "the upright stroke does not matter"
    )
    assert result.top <= 8
    assert result.top + 4 >= 10, "the patch with the lowest probability covers the end of the bar"
    hidden = cross.copy()
    hidden[max(0, result.top) : result.top + 4, max(0, result.left) : result.left + 4] = 0
    assert predict(network_for_the_bar(), hidden[None])[0, 3] == pytest.approx(
        result.lowest, abs=1e-6
    )


def test_occlusion_raises_the_probability_of_the_other_digit(cross):
    result = occlusion(network_for_the_bar(), cross, 5, patch=4)
    assert result.drop[8:10, 19:21].max() < 0


def test_occlusion_of_a_blank_image_is_zero():
    result = occlusion(network_for_the_bar(), np.zeros((28, 28), np.uint8), 3)
    assert not result.drop.any()
    assert result.probability == result.lowest


@pytest.mark.parametrize("patch", [1, 2, 5, 28])
def test_occlusion_takes_patches_of_any_size(cross, patch):
    assert np.isfinite(occlusion(network_for_the_bar(), cross, 3, patch).drop).all()


def test_saliency_of_a_linear_network_is_its_weights(cross):
    model = network_for_the_bar()
    result = saliency(model, cross, 3)
    np.testing.assert_allclose(
        result, model.layers[0].weight[3].detach().reshape(28, 28).numpy() * PER_WHITE, atol=1e-4
    )
    assert all(parameter.grad is None for parameter in model.parameters())


def test_saliency_is_the_numerical_gradient(cross):
    torch.manual_seed(0)
    model = Network(ARCHITECTURES["initial"].rows).eval()
    result = saliency(model, cross, 2, samples=1, noise=0.0)
    steps = torch.zeros(2, 1, 28, 28)
    steps[0, 0, 12, 10], steps[1, 0, 12, 10] = 1e-2, -1e-2
    x = (torch.from_numpy(cross).float() / 255 - 0.1307) / 0.3081
    with torch.no_grad():
        up, down = model(x + steps)[:, 2].tolist()
    assert result[12, 10] == pytest.approx((up - down) / 2e-2 * PER_WHITE, rel=0.05, abs=1e-3)


def test_saliency_is_reproducible(cross):
    model = Network(ARCHITECTURES["original-3762"].rows).eval()
    np.testing.assert_array_equal(saliency(model, cross, 7), saliency(model, cross, 7))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_row_of_every_network_has_feature_maps(name, cross):
    model = Network(ARCHITECTURES[name].rows).eval()
    rows = select_maps(run_forward(model, cross).values[1:])
    for row, layer in zip(rows, trace(model.rows), strict=True):
        channels, *sides = layer.output_shape
        assert row.total == channels
        assert row.maps.shape[0] == len(row.channels) == min(channels, MAX_CHANNELS)
        assert row.maps.shape[1:] == tuple(sides or (1, 1))
        assert row.low <= row.maps.min() <= row.maps.max() <= row.high


def test_the_strongest_of_many_channels_are_kept(cross):
    rows = (
        {"kind": "linear", "channels": 100, "activation": "none"},
        {"kind": "linear", "activation": "none"},
    )
    model = Network(rows).eval()
    first, _ = select_maps(run_forward(model, cross).values[1:], most=5)
    values = model.features((torch.from_numpy(cross).float() / 255 - 0.1307)[None, None] / 0.3081)[
        0
    ][0]
    assert set(first.channels) == {int(at) + 1 for at in values.abs().topk(5).indices}
    assert list(first.channels) == sorted(first.channels)


@pytest.mark.parametrize(
    "explain",
    [
        lambda model, image: saliency(model, image, 1),
        lambda model, image: occlusion(model, image, 1),
    ],
    ids=["saliency", "occlusion"],
)
def test_a_diverged_network_is_refused(cross, explain):
    with pytest.raises(UserError, match="diverged"):
        explain(diverged(), cross)


def test_a_large_network_affords_fewer_images():
    small, large = Network(LINEAR), Network(ARCHITECTURES["pytorch-example"].rows)
    assert affordable_images(small) > 5 * affordable_images(large) >= 5
    assert inference_batch_size(large) <= inference_batch_size(small)


def test_occlusion_of_a_large_network_takes_larger_steps(cross, monkeypatch):
    monkeypatch.setattr("core.insight.explanations.affordable_images", lambda model: 20)
    result = occlusion(network_for_the_bar(), cross, 3)
    assert result.drop[8:10, 19:21].max() > 0
