"""Explanations of single cells, against the network's own activations, for every kind of row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.insight.cells import Cell, Explanation
from core.insight.forward_pass import ForwardPass, run_forward
from core.models.architectures import ARCHITECTURES
from core.models.network import Network
from core.models.rows import ACTIVATIONS, KINDS
from tests.networks import EVERY_KIND

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (28, 28), np.uint8)


def drawn_network(rows: Any) -> Network:
    """A network with random weights, and batch norms that do something."""
    torch.manual_seed(5)
    model = Network(rows).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.running_mean, module.bias):
                torch.nn.init.normal_(values)
            for values in (module.running_var, module.weight):
                torch.nn.init.uniform_(values, 0.1, 2)
    return model


@pytest.fixture(scope="module")
def forward(image) -> ForwardPass:
    return run_forward(drawn_network(EVERY_KIND), image)


def some_cells(forward: ForwardPass, row: int) -> list[Cell]:
    """Cells of a row: corners, where padding counts, and others."""
    channels, height, width = forward.values[row].shape
    rng = np.random.default_rng(row)
    drawn = zip(*(rng.integers(0, size, 6) for size in (channels, height, width)), strict=True)
    places = {(0, 0, 0), (channels - 1, height - 1, width - 1), (channels - 1, 0, width - 1)}
    return [Cell(row, *map(int, place)) for place in sorted(places | set(drawn))]


def explained(forward: ForwardPass, kind: str) -> list[Explanation]:
    return [
        forward.explain(cell)
        for layer in forward.layers
        if layer.row["kind"] == kind
        for cell in some_cells(forward, layer.number)
    ]


def test_the_network_for_the_tests_has_every_kind_of_row_and_every_activation():
    assert {row["kind"] for row in EVERY_KIND} == set(KINDS)
    assert {row.get("activation", "none") for row in EVERY_KIND} == set(ACTIVATIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_of_an_explanation_give_the_networks_own_value(forward, kind):
    for explanation in explained(forward, kind):
        cell = explanation.cell
        assert explanation.value == forward.values[cell.row][cell[1:]]
        assert explanation.computed == pytest.approx(explanation.value, abs=TOLERANCE), cell
        for patch in explanation.patches:
            height, width = patch.values.shape
            source = np.pad(forward.values[patch.row][patch.channel], 28)
            y, x = patch.top + 28, patch.left + 28
            np.testing.assert_array_equal(patch.values, source[y : y + height, x : x + width])


@pytest.mark.parametrize("name", ["original-3762", "wide-7124", "linear-7850", "keras-style"])
def test_the_score_of_each_digit_is_explained(name, image):
    forward = run_forward(drawn_network(ARCHITECTURES[name].rows), image)
    last = len(forward.layers)
    for digit in range(10):
        explanation = forward.explain(Cell(last, digit, 0, 0))
        assert explanation.computed == pytest.approx(explanation.value, abs=TOLERANCE)
    assert forward.predicted == Cell(last, int(forward.values[-1].argmax()), 0, 0)


def test_a_pixel_is_explained(forward, image):
    explanation = forward.explain(Cell(0, 0, 4, 9))
    assert explanation.total == image[4, 9]
    assert explanation.computed == pytest.approx(forward.values[0][0, 4, 9], abs=1e-6)
    assert not explanation.patches


def test_batch_norm_folded_is_batch_norm(forward):
    explanation = next(each for each in explained(forward, "conv") if each.norm)
    norm = explanation.norm
    assert norm is not None
    spread = (norm.variance + norm.epsilon) ** 0.5
    assert 0.7 * norm.factor + norm.offset == pytest.approx(
        (0.7 - norm.mean) / spread * norm.scale + norm.shift
    )


def test_what_is_kept_of_a_window_is_marked(forward):
    for explanation in explained(forward, "maxpool"):
        assert explanation.picked == explanation.patches[0].values.argmax()
    for explanation in explained(forward, "space_to_depth"):
        assert explanation.patches[0].values.flat[explanation.picked] == explanation.value


@pytest.mark.parametrize(
    "cell", [(-1, 0, 0, 0), (99, 0, 0, 0), (0, 1, 0, 0), (0, 0, 28, 0), (1, 0, 0, -1)]
)
def test_a_cell_that_the_network_has_not_is_refused(forward, cell):
    with pytest.raises(UserError, match=f"no value in row {cell[0]}"):
        forward.explain(Cell(*cell))


def test_the_largest_patches_are_kept_as_json(image):
    forward = run_forward(drawn_network(ARCHITECTURES["keras-style"].rows), image)
    explanation = forward.explain(forward.predicted)
    size = explanation.patches[0].values.size
    answer = explanation.to_dict(max_values=3 * size)
    kept = [sum(np.multiply(each["values"], each["weights"])) for each in answer["patches"]]
    assert len(kept) == 3
    assert answer["others"]["count"] == len(explanation.patches) - 3
    assert sum(kept) + answer["others"]["total"] == pytest.approx(explanation.total, abs=TOLERANCE)
    assert min(map(abs, kept)) == pytest.approx(
        sorted(abs(patch.total) for patch in explanation.patches)[-3], abs=TOLERANCE
    )
    assert len(explanation.to_dict()["patches"]) == len(explanation.patches)


def test_a_network_that_diverged_is_refused(image):
    model = drawn_network(ARCHITECTURES["original-3762"].rows)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="diverged"):
        run_forward(model, image)
