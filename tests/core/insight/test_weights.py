"""The weights of networks of every kind of row: read, counted, compared, and how they fire."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch

from core.config import RunConfig
from core.errors import UserError
from core.insight.predictions import network_input
from core.insight.weights import (
    BINS,
    colour_limit,
    count_bins,
    measure_firing,
    read_weights,
    sample_evenly,
    similar_filters,
    weights_csv,
)
from core.models.architectures import ARCHITECTURES
from core.models.shapes import count_parameters, trace
from tests.networks import build_model

ROWS = (
    {"kind": "space_to_depth", "block": 4},
    {"kind": "conv", "channels": 6, "padding": 1, "norm": "batch", "bias": False},
    {"kind": "dropout"},
    {"kind": "conv", "channels": 6, "groups": 6, "padding": 1, "activation": "silu"},
    {"kind": "add", "from": 2, "activation": "relu"},
    {"kind": "maxpool"},
    {"kind": "linear", "channels": 12, "activation": "gelu"},
    {"kind": "linear", "channels": 10, "activation": "none"},
)


@pytest.fixture
def model():
    return build_model(RunConfig(layers=ROWS)).eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_parameter_is_in_some_row(name):
    rows = read_weights(model := build_model(RunConfig(architecture=name)))
    learned = sum(
        values.size
        for row in rows
        for kind, values in [("weight", row.kernels), *row.channel_numbers.items()]
        if kind not in ("mean", "variance") and not (kind == "weight" and row.shared_with)
    )
    assert learned == count_parameters(trace(model.rows))
    assert rows[-1].labels == list("0123456789")
    assert rows[0].labels[0] == ("1" if len(rows) > 1 else "0")


def test_kernels_have_the_form_of_what_they_read(model):
    shapes = {row.number: row.kernels.shape for row in read_weights(model)}
    assert shapes == {2: (6, 16, 3, 3), 4: (6, 1, 3, 3), 7: (12, 6, 3, 3), 8: (10, 12, 1, 1)}
    linear = next(row for row in read_weights(model) if row.number == 7)
    weight = model.layers[6].weight
    np.testing.assert_array_equal(linear.kernels.reshape(12, -1), weight.detach().numpy())
    with torch.no_grad():
        weight[0, 0] = float("inf")
    with pytest.raises(UserError, match="row 7"):
        read_weights(model)


def test_firing_is_that_of_the_networks_own_outputs(model, digits):
    images = digits.test.images.numpy()
    with torch.no_grad():
        norm, linear = model.layers[2], model.layers[6]
        norm.bias[2], norm.weight[2] = -1.0, 0.0  # never above zero
        norm.bias[3], norm.weight[3] = 1.0, 0.0  # always
        linear.weight[5], linear.bias[5] = 0.0, -1.0
    firing = measure_firing(model, images)
    assert set(firing) == {2, 4, 7}, "rows with weights and an activation"
    assert np.flatnonzero(firing[2].dead).tolist() == [2]
    assert np.flatnonzero(firing[2].always_active).tolist() == [3]
    assert firing[7].dead[5]
    with torch.inference_mode():
        outputs = model.features(network_input(model, images))
    for number, found in firing.items():
        above = outputs[number - 1].numpy() > 0
        axes = (0, 2, 3) if above.ndim == 4 else 0
        np.testing.assert_allclose(found.shares, above.mean(axes))


def test_nearly_equal_filters_are_named_and_else_the_most_similar():
    generator = np.random.default_rng(0)
    kernels = generator.normal(size=(5, 2, 3, 3)).astype(np.float32)
    (most,) = similar_filters(kernels)
    flat = kernels.reshape(5, -1)
    units = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -1)
    assert most.cosine == pytest.approx(cosines.max())
    kernels[4], kernels[3] = 3 * kernels[1], -kernels[0]  # size does not count, the sign does
    (pair,) = similar_filters(kernels)
    assert (pair.first, pair.second) == (1, 4)
    assert pair.cosine == pytest.approx(1)
    assert similar_filters(kernels[:1]) == []
    assert similar_filters(np.zeros((2, 1, 1, 1), np.float32))[0].cosine == 0


def test_a_few_large_weights_leave_colour_to_the_rest(model):
    rows = read_weights(model)
    limit = colour_limit(rows)
    rows[0].kernels[0, 0, 0, 0] = 1e6
    assert colour_limit(rows) == pytest.approx(limit, rel=0.1)
    for row in rows:
        row.kernels[:] = 0
    assert colour_limit(rows) == 1


def test_a_histogram_counts_every_value_once_and_is_symmetric():
    values = np.array([-9, -1, -0.99, 0, 0.001, 0.99, 1, 9], np.float32)
    counts = count_bins(values, 1.0)
    assert len(counts) == BINS
    assert counts.sum() == len(values)
    assert (counts[0], counts[BINS // 2], counts[-1]) == (3, 2, 3)


def test_the_table_holds_every_number_in_full(model):
    rows = read_weights(model)
    lines = list(csv.DictReader(io.StringIO(weights_csv(rows))))
    assert len(lines) == sum(
        row.kernels.size + sum(values.size for values in row.channel_numbers.values())
        for row in rows
    )
    by_place = {
        (
            line["row"],
            line["name"],
            line["filter"],
            line["input_channel"],
            line["y"],
            line["x"],
        ): line
        for line in lines
    }
    weight = by_place["2", "weight", "6", "16", "3", "1"]
    assert np.float32(weight["value"]) == model.layers[1].weight[5, 15, 2, 0].item()
    assert np.float32(by_place["2", "scale", "1", "", "", ""]["value"]) == 1


def test_a_sample_is_spread_evenly():
    images = np.arange(100, dtype=np.uint8)[:, None, None]
    assert sample_evenly(images, 1_000) is images
    assert sample_evenly(images, 4).ravel().tolist() == [0, 33, 66, 99]
