"""A trained network in integers: little is lost, and it fits into the bytes that are allowed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.data.batches import normalise
from core.data.dataset import synthetic
from core.errors import RunError
from core.models.network import Network
from core.quantisation import fine_tuning, search
from core.quantisation.fine_tuning import divergence, fine_tune, rounded_logits
from core.quantisation.rounding import FloatNetwork, quantise
from core.quantisation.search import quantise_network

BATCH = {"padding": 1, "bias": False, "norm": "batch"}
ROWS = (
    {"kind": "conv", "channels": 8, "stride": 2, **BATCH},
    {"kind": "conv", "channels": 8, "groups": 8, **BATCH, "norm": "none", "activation": "none"},
    {"kind": "conv", "channels": 12, "kernel": 1, "norm": "batch"},
    {"kind": "maxpool"},
    {"kind": "conv", "channels": 12, **BATCH, "activation": "silu"},
    {"kind": "global_avgpool"},
    {"kind": "linear", "activation": "none"},
)


class Trained:
    """A small network, trained on synthetic digits for a second."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        data = synthetic(600, 200)
        self.train, self.test = data.train.to_numpy(), data.test.to_numpy()
        self.model = Network(ROWS)
        x = normalise(data.train.images, "cpu")
        optimizer = torch.optim.Adam(self.model.parameters(), 0.01)
        for at in range(120):
            part = slice(at % 12 * 50, at % 12 * 50 + 50)
            optimizer.zero_grad()
            F.cross_entropy(self.model(x[part]), data.train.labels[part]).backward()
            optimizer.step()
        self.model.eval()
        state = [tensor.detach().numpy() for tensor in self.model.state_dict().values()]
        self.network = FloatNetwork.of(self.model.rows, state)

    def logits(self, images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.model(normalise(torch.from_numpy(images), "cpu")).numpy()

    def quantise(self, *arguments, **options):
        return quantise_network(self.network, self.train, self.logits, *arguments, **options)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return Trained()


def test_eight_bits_lose_almost_nothing(trained):
    exact, made = trained.logits(trained.test.images), trained.quantise()
    logits = made.network.logits(trained.test.images)
    accuracies = [(each.argmax(1) == trained.test.labels).mean() for each in (exact, logits)]
    assert accuracies[0] > 0.8
    assert abs(accuracies[0] - accuracies[1]) < 0.04
    assert np.abs(logits - exact).mean() < 0.1 * np.abs(exact).mean()
    assert set(made.network.bits) == {8}
    assert not made.is_fine_tuned


def test_a_network_fits_into_the_bytes_that_are_allowed(trained):
    most, least = (trained.quantise(scheme).network.constant_bytes for scheme in search.SCHEMES)
    limit = (most + least) // 2
    made = trained.quantise(max_bytes=limit)
    assert made.network.constant_bytes <= limit
    assert set(made.network.bits) == {4, 8}
    assert "4-bit weights in" in made.summary
    with pytest.raises(RunError, match=f"more than the {least - 1:,}"):
        trained.quantise(max_bytes=least - 1)
    with pytest.raises(RunError, match="unknown scheme 'int2'"):
        trained.quantise("int2")


def test_the_layers_that_save_enough_at_least_cost_get_four_bits():
    layers = {1: (100, 1.0), 3: (108, 0.2), 4: (288, 0.9), 5: (420, 1.0), 6: (200, 0.6)}
    assert search.cheapest(layers, 1) == (3,)
    # 6 and 3 are cheaper than 4 or 5, which alone would save enough.
    assert search.cheapest(layers, 285) == (3, 6)
    assert search.cheapest(layers, 310) == (5,)
    assert search.cheapest(layers, sum(saved for saved, _ in layers.values())) == tuple(layers)
    assert search.cheapest(layers, 10_000) == tuple(layers)


def test_fine_tuning_simulates_the_integer_arithmetic(trained):
    network = quantise(trained.network, trained.train.images, lambda op: 8)
    parameters = {
        step.operation.number: (
            torch.from_numpy(step.weights * step.weight_steps[:, None, None, None]).float(),
            None if step.bias is None else torch.from_numpy(step.real_bias).float(),
        )
        for step in network.steps
        if step.weights is not None
    }
    images = trained.test.images
    with torch.inference_mode():
        x = normalise(torch.from_numpy(images), "cpu")
        simulated = rounded_logits(network, parameters, x).numpy()
    differences = np.abs(simulated - network.logits(images)).max(1)
    # The others have a sum halfway between two bytes.
    assert (differences < 1e-4).mean() > 0.9


def test_fine_tuning_brings_the_probabilities_closer_and_repeats(trained, monkeypatch):
    monkeypatch.setattr(fine_tuning, "BATCH_SIZE", 25)
    images = trained.train.images
    rounded = quantise(trained.network, images, lambda op: 2)
    keys = []

    def augment(images, key):
        keys.append(key)
        return images

    def tune():
        return fine_tune(rounded, trained.network, images, augment, 1, 4, 1e-3)

    tuned, again = tune(), tune()
    assert keys[:4] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    exact, one, two = (network.logits(trained.test.images) for network in (rounded, tuned, again))
    assert (one == two).all()
    targets = torch.from_numpy(trained.logits(trained.test.images))

    def distance(logits):
        return float(divergence(torch.from_numpy(logits), targets))

    assert distance(one) < 0.7 * distance(exact)


def test_a_loss_on_the_hold_out_or_four_bits_start_fine_tuning(trained, monkeypatch):
    calls = []

    def spoil(network, trained, images, *rest):
        calls.append(len(images))
        return network

    monkeypatch.setattr(search, "fine_tune", spoil)
    monkeypatch.setattr(search, "ALLOWED_LOSS", 100)
    trained.quantise("int8", augment=lambda images, key: images)
    assert calls == []
    monkeypatch.setattr(search, "ALLOWED_LOSS", -100)
    trained.quantise("int8", augment=lambda images, key: images)
    monkeypatch.setattr(search, "ALLOWED_LOSS", 100)
    made = trained.quantise("int4", augment=lambda images, key: images)
    assert calls == [500, 500]
    assert made.images == 100
    assert not made.is_fine_tuned  # since it was no better
