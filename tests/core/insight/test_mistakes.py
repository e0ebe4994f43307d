"""Errors are counted, sorted by loss and compared, and known label errors are identified."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import UserError
from core.insight import mistakes
from core.insight.mistakes import Predictions


def predictions(
    labels: list[int], predicted: list[int], confidence: list[float] | None = None
) -> Predictions:
    """Predictions with given confidences; the rest of the probability goes to the label."""
    rows = np.zeros((len(labels), 10), np.float32)
    for row, label, digit, probability in zip(
        rows, labels, predicted, confidence or [0.9] * len(labels), strict=True
    ):
        row[label] += 1 - probability
        row[digit] += probability
    return Predictions(rows, np.array(labels))


def test_the_confusion_matrix_has_a_row_per_label_and_a_column_per_prediction():
    found = predictions([3, 3, 3, 8, 9], [3, 8, 8, 8, 3])
    counts = mistakes.confusion_matrix(found.labels, found.predicted)
    assert counts.shape == (10, 10)
    assert {
        (int(row), int(column)): int(counts[row, column])
        for row, column in zip(*counts.nonzero(), strict=True)
    } == {(3, 3): 1, (3, 8): 2, (8, 8): 1, (9, 3): 1}


def test_precision_and_recall():
    precision, recall = mistakes.precision_recall(
        mistakes.confusion_matrix(np.array([3, 3, 3, 8, 9]), np.array([3, 8, 8, 8, 3]))
    )
    assert (recall[3], precision[3]) == pytest.approx((1 / 3, 1 / 2))
    assert (recall[8], precision[8]) == pytest.approx((1, 1 / 3))
    assert recall[9] == 0
    assert np.isnan(precision[9]), "it was never predicted"
    assert np.isnan(recall[0]), "there is none"


def test_the_loss_is_torchs():
    logits = torch.randn(50, 10, generator=torch.Generator().manual_seed(0)) * 4
    labels = torch.arange(50) % 10
    found = Predictions(logits.softmax(1).numpy(), labels.numpy())
    expected = nn.functional.cross_entropy(logits, labels, reduction="none").numpy()
    np.testing.assert_allclose(found.loss, expected, rtol=1e-4, atol=1e-6)


def test_the_loss_of_probability_0_is_finite():
    found = Predictions(np.eye(10, dtype=np.float32)[[1]], np.array([2]))
    assert 80 < found.loss[0] < 100


def test_errors_are_sorted_by_loss():
    found = predictions([1, 2, 3, 4, 5], [1, 7, 7, 4, 6], [0.3, 0.6, 0.99, 0.9, 0.6])
    assert list(mistakes.worst_errors(found)) == [2, 1, 4]
    assert list(mistakes.worst_errors(found, 1)) == [2]
    assert list(mistakes.sort_by_loss(found, found.correct)) == [0, 3], (
        "equals stay in the dataset's order"
    )
    assert found.error_count == 3


def test_two_networks_are_compared_image_by_image():
    first, second = (
        predictions([1, 2, 3, 4, 5], [1, 2, 7, 7, 5]),
        predictions([1, 2, 3, 4, 5], [1, 7, 7, 4, 0]),
    )
    found = mistakes.compare(first, second)
    assert found.both_correct == 1
    assert [list(each) for each in (found.only_first, found.only_second, found.both_wrong)] == [
        [1, 4],
        [3],
        [2],
    ]
    with pytest.raises(UserError, match="same images"):
        mistakes.compare(first, predictions([1], [1]))


@pytest.mark.parametrize(
    ("first", "second", "p_value"),
    [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 2 / 32), (1, 9, 22 / 1024), (10, 0, 2 / 1024)],
)
def test_mcnemars_exact_test(first, second, p_value):
    found = mistakes.Comparison(0, np.arange(first), np.arange(second), np.arange(0))
    assert found.p_value == pytest.approx(p_value)


def test_mcnemars_exact_test_of_many_images():
    assert mistakes.Comparison(
        0, np.arange(9_000), np.arange(500), np.arange(0)
    ).p_value == pytest.approx(0, abs=1e-9)


def test_predicting_leaves_the_mode_of_the_network(digits):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).train()
    images, labels = digits.test.images.numpy(), digits.test.labels.numpy()
    found = mistakes.predict_labelled(model, images, labels)
    assert found.probabilities.shape == (len(images), 10)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert model.training, "the mode is restored"
    with pytest.raises(UserError, match="labels"):
        mistakes.predict_labelled(model, images, labels[:5])


def test_a_diverged_network_is_refused(digits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.constant_(model[1].weight, float("nan"))
    with pytest.raises(UserError, match="diverged"):
        mistakes.predict_labelled(model, digits.test.images.numpy(), digits.test.labels.numpy())


def test_label_errors_have_five_votes_and_a_minority_for_the_label():
    errors = mistakes.load_label_errors()
    assert len(errors) == 15
    for error in errors.values():
        assert error.votes_label + error.votes_suggested + error.votes_neither == 5
        assert error.votes_label < 3
        assert error.label != error.suggested


@pytest.mark.mnist
def test_label_errors_are_known_for_mnists_test_labels_only(mnist):
    labels = mnist.test.labels.numpy()
    assert mistakes.label_errors_for(labels) == mistakes.load_label_errors()
    assert not mistakes.label_errors_for(mnist.train.labels.numpy())


def test_label_errors_of_other_datasets_are_unknown(digits):
    assert mistakes.label_errors_for(digits.test.labels.numpy()) == {}
