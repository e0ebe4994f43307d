"""What Nearest and Nudge conclude, and which classes Data's map finds alike."""

from __future__ import annotations

import numpy as np
import pytest

from core.drawing.perturbations import PERTURBATIONS
from core.insight.digits import closest_classes
from pages.ui.draw.nearest import Reading, describe_neighbours
from pages.ui.draw.nudge import describe_changes


def reading(first: int, second: int, label: int | None = None) -> Reading:
    probabilities = np.full(10, 0.01)
    probabilities[[first, second]] = 0.6, 0.32
    return Reading("final", probabilities, label)


def test_a_digit_that_the_training_set_lacks_is_named():
    text = describe_neighbours(np.repeat([7, 2], [20, 4]), reading(7, 1))
    assert "predicts 7: 20 of the 24" in text
    assert "None of them is a 1, the second most probable digit" in text
    assert "hardly any 1" in text


def test_a_label_counts_before_the_second_choice():
    text = describe_neighbours(np.repeat([7, 1], [23, 1]), reading(7, 2, label=1))
    assert "1 is labelled 1, the label" in text
    assert "second most" not in text


def test_a_correct_prediction_needs_no_other_digit():
    text = describe_neighbours(np.repeat(3, 24), reading(3, 5, label=3))
    assert text.endswith("24 of the 24 nearest training digits are labelled so.")


def test_the_first_changes_on_both_sides_are_told():
    steps = PERTURBATIONS["turn"].amounts()
    predicted = np.array([1 if step > 18 else 4 if step < -30 else 7 for step in steps])
    text = describe_changes(predicted, steps, "turn", "final")
    assert "final reads 7." in text
    assert "Turned 33° anticlockwise, it reads 4" in text
    assert "turned 21° clockwise, it reads 1" in text


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_every_perturbation_has_its_words(name):
    steps = PERTURBATIONS[name].amounts()
    neutral = PERTURBATIONS[name].neutral
    predicted = np.array([7 if step == neutral else 1 for step in steps])
    assert describe_changes(predicted, steps, name, "final").count("it reads 1") == 2
    assert "robust" in describe_changes(np.full(len(steps), 7), steps, name, "final")


def test_the_classes_with_the_closest_centres_are_found():
    points = np.array([[0, 0], [0, 1], [5, 5], [5, 6], [5.5, 5.5]])
    assert closest_classes(points, np.array([1, 1, 4, 4, 9])) == (4, 9)
    assert closest_classes(points, np.full(5, 3)) is None
