"""When images were learnt: from predictions after several epochs."""

import numpy as np
import pytest

from core.errors import UserError
from core.insight.learning import NEVER, Learning

EPOCHS = np.array([0, 2, 5, 7])
# One column an image; the label is 1, and 0 is an error.
CORRECT = np.array(
    [
        [1, 0, 0, 0, 1, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 1, 1, 0, 0],
    ]
)


@pytest.fixture
def learning() -> Learning:
    return Learning(EPOCHS, CORRECT.astype(np.uint8), np.ones(6, np.int64))


def test_when_images_were_learnt(learning):
    assert learning.learnt.tolist() == [0, 2, 7, 7, NEVER, NEVER]
    assert learning.first_correct.tolist() == [0, 2, 2, 7, 0, NEVER]
    assert learning.last_correct.tolist() == [7, 7, 7, 7, 5, NEVER]
    assert learning.forgotten.tolist() == [0, 0, 1, 0, 2, 0]


def test_it_is_told_in_words(learning):
    said = [learning.describe(index) for index in range(6)]
    assert said[0] == "First correct before training; always correct from the beginning on."
    assert said[1] == "First correct after epoch 2; always correct from epoch 2 on."
    assert "forgotten once; always correct from epoch 7" in said[2]
    assert "forgotten 2 times; last correct after epoch 5" in said[4]
    assert said[5].startswith("Never classified correctly")


def test_one_epoch_is_enough():
    learning = Learning(np.array([3]), np.array([[1, 2]]), np.array([1, 1]))
    assert learning.learnt.tolist() == [3, NEVER]
    assert learning.forgotten.tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(4, 5), (3, 6), (4,)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(UserError, match="do not fit"):
        Learning(EPOCHS, np.zeros(shape, np.uint8), np.ones(6, np.int64))
