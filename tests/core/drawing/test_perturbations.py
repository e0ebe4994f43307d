"""Perturbations change what they name, and nothing at their neutral amounts."""

import numpy as np
import pytest

from core.drawing.perturbations import PERTURBATIONS, perturb, perturb_over_range
from core.errors import UserError


@pytest.fixture
def bar() -> np.ndarray:
    """An upright stroke with a mark at its upper right."""
    image = np.zeros((28, 28), np.uint8)
    image[6:22, 12:16] = 255
    image[6:9, 16:20] = 255
    return image


def centre(image: np.ndarray) -> tuple[float, float]:
    weights, at = image.astype(float), np.arange(28)
    return (weights.sum(1) @ at) / weights.sum(), (weights.sum(0) @ at) / weights.sum()


def test_neutral_amounts_change_nothing(bar):
    assert perturb(bar) is bar
    np.testing.assert_array_equal(
        perturb(
            bar, **{name: perturbation.neutral for name, perturbation in PERTURBATIONS.items()}
        ),
        bar,
    )


@pytest.mark.parametrize(("name", "axis"), [("down", 0), ("right", 1)])
@pytest.mark.parametrize("amount", [-4, -0.5, 3])
def test_a_shift_moves_the_centre_of_mass(bar, name, axis, amount):
    before, after = centre(bar), centre(perturb(bar, **{name: amount}))
    assert after[axis] - before[axis] == pytest.approx(amount, abs=0.1)
    assert after[1 - axis] == pytest.approx(before[1 - axis], abs=0.1)


def test_rotation_is_clockwise(bar):
    turned = perturb(bar, turn=90)
    np.testing.assert_allclose(turned.astype(int), np.rot90(bar, -1), atol=2)


def test_size_and_thickness_change_the_ink(bar):
    ink = bar.sum(dtype=int)
    assert perturb(bar, size=1.4).sum(dtype=int) / ink == pytest.approx(1.96, rel=0.1)
    assert perturb(bar, size=0.5).sum(dtype=int) / ink == pytest.approx(0.25, rel=0.15)
    thick, thin = perturb(bar, thickness=2), perturb(bar, thickness=-2)
    assert (thick[14] > 127).sum() == 6
    assert (thin[14] > 127).sum() == 2
    assert thin.sum(dtype=int) < ink < thick.sum(dtype=int)


def test_the_smallest_amounts_change_least(bar):
    for name, perturbation in PERTURBATIONS.items():
        amounts, images = perturb_over_range(bar, name)
        changes = np.abs(images.astype(int) - bar).mean(axis=(1, 2))
        at = amounts.index(perturbation.neutral)
        assert changes[at + 1] <= changes[at + 2], name
        assert changes[at + 1] < 6, name


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_range_contains_every_step_and_the_unchanged_digit(bar, name):
    amounts, images = perturb_over_range(bar, name)
    perturbation = PERTURBATIONS[name]
    assert (amounts[0], amounts[-1]) == (perturbation.low, perturbation.high)
    assert images.shape == (len(amounts), 28, 28)
    np.testing.assert_array_equal(images[amounts.index(perturbation.neutral)], bar)
    assert all(
        (image != bar).any()
        for amount, image in zip(amounts, images, strict=True)
        if amount != perturbation.neutral
    )


def test_the_other_amounts_are_fixed_over_a_range(bar):
    amounts, images = perturb_over_range(bar, "turn", right=5)
    np.testing.assert_array_equal(images[amounts.index(0)], perturb(bar, right=5))


@pytest.mark.parametrize(
    "amounts", [{"cake": 1}, {"turn": 91}, {"size": 0}, {"right": float("nan")}, {"right": "3"}]
)
def test_unknown_names_and_amounts_out_of_range_are_refused(bar, amounts):
    with pytest.raises(UserError):
        perturb(bar, **amounts)
    if "cake" in amounts:
        with pytest.raises(UserError):
            perturb_over_range(bar, "cake")
