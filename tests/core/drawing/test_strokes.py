"""Strokes are drawn as ink, and anything else is refused."""

import pytest

from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.errors import UserError


def test_a_tap_is_a_small_dot():
    ink = strokes_to_ink([[[0.5, 0.5]]])
    assert 0 < (ink > 0).mean() < 0.01
    assert to_mnist(ink).any()


def test_points_outside_the_pad_move_to_its_edge():
    assert strokes_to_ink([[[-3, 0.5], [7, 0.5]]]).any()


@pytest.mark.parametrize(
    "strokes",
    [
        None,
        3,
        "strokes",
        {"a": 1},
        [1, 2],
        ["ab"],
        [[["a", "b"]]],
        [[[1]]],
        [[[1, 2, 3]]],
        [[1, 2]],
        [[[0.1, float("nan")]]],
        [[[0.1, float("inf")]]],
        [[[0.1, None]]],
        [[[0.1, 0.2], [0.3]]],
        [[[10**400, 1]]],
        [[[0.5, 0.5]] * 60_000],
        [[[0.5, 0.5]] * 30_000] * 2,
    ],
)
def test_anything_but_strokes_is_refused(strokes):
    with pytest.raises(UserError):
        strokes_to_ink(strokes)
