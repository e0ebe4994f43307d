"""Digits side by side are segmented one by one, in reading order, in drawings and in pictures."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.drawing.pictures import picture_to_ink
from core.drawing.preparation import to_mnist
from core.drawing.segmentation import MAX_DIGITS, label_digits, segment_ink, segment_strokes
from core.drawing.strokes import strokes_to_ink
from core.errors import UserError
from tests.strokes import DIGITS, Strokes

ASPECT = 2.5
BAR_5 = [DIGITS[5][0], [[0.42, 0.13], [0.68, 0.12]]]  # its bar flies above it


def written(
    numbers: list[int],
    gap: float = 0.12,
    scale: float = 0.7,
    seed: int = 0,
    strokes: dict[int, Strokes] = DIGITS,
) -> Strokes:
    """Digits side by side on a wide pad, with small differences in height and size."""
    rng = random.Random(seed)
    lines: Strokes = []
    left = 0.1
    for digit in numbers:
        size, up = scale * rng.uniform(0.85, 1.1), rng.uniform(-0.05, 0.05)
        across = [x for stroke in strokes[digit] for x, _ in stroke]
        lines += [
            [
                [(left + (x - min(across)) * size) / ASPECT, 0.5 + (y - 0.5) * size + up]
                for x, y in stroke
            ]
            for stroke in strokes[digit]
        ]
        left += (max(across) - min(across)) * size + gap
    return lines


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the highest correlation over shifts of at most a pixel."""
    return max(
        np.corrcoef(one.ravel(), np.roll(other, (y, x), (0, 1)).ravel())[0, 1]
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
    )


def assert_reads(segmented: list[np.ndarray], numbers: list[int], least: float = 0.9) -> None:
    assert len(segmented) == len(numbers)
    for image, digit in zip(segmented, numbers, strict=True):
        assert likeness(image, to_mnist(strokes_to_ink(DIGITS[digit]))) > least, digit


@pytest.mark.parametrize("seed", range(12))
def test_a_drawn_number_is_segmented(seed):
    rng = random.Random(seed)
    numbers = [rng.randrange(10) for _ in range(4)]
    assert_reads(segment_strokes(written(numbers, seed=seed), ASPECT), numbers)


def test_digits_are_in_reading_order_not_in_drawing_order():
    lines = written([1, 2, 3])
    assert_reads(segment_strokes(lines[::-1], ASPECT), [1, 2, 3])


def test_a_single_digit_is_the_same_as_without_segmentation():
    for digit, strokes in DIGITS.items():
        (segmented,) = segment_strokes(strokes)
        assert likeness(segmented, to_mnist(strokes_to_ink(strokes))) > 0.93, digit


@pytest.mark.parametrize("bar", [BAR_5, [BAR_5[0], [[0.45, 0.1], [0.75, 0.08]]]])
def test_the_separate_bar_of_a_5_belongs_to_it(bar):
    assert len(segment_strokes(bar)) == 1
    segmented = segment_strokes(written([3, 5, 1], strokes={**DIGITS, 5: bar}), ASPECT)
    assert len(segmented) == 3
    assert segmented[1][:8].any(), "the bar is on top of it"
    assert len(segment_ink(strokes_to_ink(bar))) == 1


@pytest.mark.parametrize("gap", [0.02, 0.0])
def test_digits_that_touch_are_separated(gap):
    assert_reads(segment_strokes(written([3, 0, 8, 2], gap=gap), ASPECT), [3, 0, 8, 2], least=0.8)


def test_one_stroke_through_two_digits_is_split():
    ring = DIGITS[0][0]
    left = [[0.1 + 0.4 * x, y] for x, y in ring]
    right = [[0.4 + 0.4 * x, y] for x, y in ring]
    segmented = segment_strokes([left + right], 2.0)
    assert len(segmented) == 2
    assert [image.any() for image in segmented] == [True, True]


def test_specks_are_dropped_but_not_a_single_bar():
    assert len(segment_strokes([*written([4, 7]), [[0.98, 0.05]]], ASPECT)) == 2
    assert len(segment_strokes([[[0.2, 0.5], [0.6, 0.5]]], ASPECT)) == 1


@pytest.mark.parametrize("paper", ["ink", "photograph"])
def test_a_picture_of_a_number_is_segmented(paper):
    numbers = [2, 0, 7, 4]
    ink = np.concatenate([strokes_to_ink(DIGITS[digit])[:, 60:220] for digit in numbers], axis=1)
    if paper == "photograph":
        light = np.linspace(0.6, 1.0, ink.shape[1])[None]
        grain = np.random.default_rng(0).normal(0, 3, ink.shape)
        ink = picture_to_ink(
            np.clip((235 - 195 * (ink / 255.0)) * light + grain, 0, 255).astype(np.uint8)
        )
    assert_reads(segment_ink(ink), numbers, least=0.85)


@pytest.mark.mnist
def test_real_digits_in_a_row_are_segmented(mnist):
    images = mnist.test.images[:200].numpy()
    correct = 0
    for at in range(0, 200, 4):
        some = images[at : at + 4]
        segmented = segment_ink(
            np.concatenate([np.kron(image, np.ones((5, 5), np.uint8)) for image in some], axis=1)
        )
        correct += len(segmented) == 4 and all(
            likeness(one, other) > 0.9 for one, other in zip(segmented, some, strict=True)
        )
    assert correct >= 48, "of 50 rows"


def test_touching_digits_in_a_picture_are_no_error():
    ink = np.concatenate([strokes_to_ink(DIGITS[digit])[:, 80:200] for digit in (0, 0, 8)], axis=1)
    ink[130:140] = np.where(np.arange(ink.shape[1])[None] < 340, 255, ink[130:140])
    assert 1 <= len(segment_ink(ink)) <= 3


def test_a_wide_digit_is_one_digit_unless_digits_may_touch():
    wide = strokes_to_ink([[[0.1, 0.3], [0.9, 0.32], [0.9, 0.45], [0.1, 0.6], [0.9, 0.62]]])
    assert len(segment_ink(wide, touching=False)) == 1
    assert len(segment_ink(wide)) > 1


def test_a_blank_drawing_has_no_digits():
    assert segment_strokes([]) == []
    assert segment_strokes([[]]) == []
    assert segment_ink(np.zeros((50, 90), np.uint8)) == []
    assert label_digits(np.zeros((9, 9), np.uint8)).max() == 0


def test_too_many_digits_are_refused():
    with pytest.raises(UserError, match=f"at most {MAX_DIGITS}"):
        segment_strokes([[[x / 60, 0.4], [x / 60, 0.6]] for x in range(2, 58, 2)], 6.0)
    with pytest.raises(UserError, match="line of digits"):
        segment_ink(
            np.kron(
                (np.indices((60, 60)).sum(axis=0) % 3 == 0).astype(np.uint8) * 255,
                np.eye(8, dtype=np.uint8),
            )
        )
    with pytest.raises(UserError):
        segment_strokes([[["a", 1]]])


points = st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)).map(list)


@given(st.lists(st.lists(points, max_size=12), max_size=12))
def test_any_strokes_are_segmented_or_refused(strokes):
    try:
        segmented = segment_strokes(strokes, ASPECT)
    except UserError:
        return
    assert all(image.shape == (28, 28) and image.any() for image in segmented)
    assert len(segmented) <= MAX_DIGITS
    assert bool(segmented) == any(strokes)


@given(st.integers(0, 2**32 - 1), st.floats(0.002, 0.4), st.integers(1, 60), st.integers(1, 60))
def test_any_ink_is_segmented_or_refused(seed, share, height, width):
    ink = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8) * 255
    try:
        segmented = segment_ink(ink)
    except UserError:
        return
    assert all(image.shape == (28, 28) for image in segmented)
