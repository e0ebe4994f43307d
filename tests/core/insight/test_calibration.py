"""Calibration against its definitions, against torch, and on networks whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.config import RunConfig
from core.errors import UserError
from core.insight.calibration import (
    BINS,
    apply_temperature,
    calibrate,
    error_by_chance,
    fit_temperature,
    measure_reliability,
)
from core.insight.calibration_text import describe_confidence, describe_temperature
from core.insight.mistakes import Predictions

PLAIN = RunConfig()


def draw_labels(temperature: float, count: int, seed: int = 0) -> tuple[torch.Tensor, Predictions]:
    """Logits, and predictions whose labels come from the logits divided by a temperature."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, 10, generator=generator)
    labels = torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]
    return logits, Predictions(logits.softmax(1).numpy(), labels.numpy())


def test_the_error_is_the_weighted_mean_gap_of_equally_wide_bins():
    _, found = draw_labels(1.5, 700)
    confidence, error, places = found.probabilities.max(axis=1), 0.0, []
    for place in range(BINS):
        inside = (confidence > place / BINS) & (confidence <= (place + 1) / BINS)
        if inside.any():
            places.append(place)
            gap = abs(found.correct[inside].mean() - confidence[inside].mean())
            error += inside.mean() * gap
    reliability = measure_reliability(found)
    assert reliability.error == pytest.approx(error, abs=1e-6)
    assert [round(part.low * BINS) for part in reliability.bins] == places
    assert (reliability.count, reliability.accuracy) == (700, found.correct.mean())
    assert reliability.confidence == pytest.approx(confidence.mean(), abs=1e-6)
    of_three = measure_reliability(found, 3)
    assert of_three.count == (found.predicted == 3).sum()
    assert of_three.accuracy == pytest.approx(found.correct[found.predicted == 3].mean())


def test_certain_predictions_are_in_the_last_bin():
    found = Predictions(np.eye(10, dtype=np.float32)[[3, 4]], np.array([3, 5]))
    (part,) = measure_reliability(found).bins
    assert (part.high, part.count, part.correct, part.confidence) == (1.0, 2, 1, 1.0)
    assert measure_reliability(found).error == 0.5


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_is_the_one_with_the_lowest_loss(temperature):
    logits, found = draw_labels(temperature, 6_000)
    fitted = fit_temperature(found)
    assert fitted == pytest.approx(temperature, rel=0.06)
    labels = torch.from_numpy(found.labels)
    losses = [
        F.cross_entropy(logits.double() / t, labels).item()
        for t in (fitted, 0.99 * fitted, 1.01 * fitted)
    ]
    assert losses[0] == min(losses)
    scaled = apply_temperature(found, fitted)
    torch.testing.assert_close(
        torch.from_numpy(scaled.probabilities), (logits / fitted).softmax(1), atol=1e-5, rtol=1e-4
    )
    assert scaled.loss.mean() == pytest.approx(losses[0], rel=1e-4)


def test_the_temperature_of_perfect_or_hopeless_predictions_is_bounded():
    certain = Predictions(np.full((5, 10), 0.02, np.float32), np.full(5, 7))
    certain.probabilities[:, 7] = 0.82
    assert 0.04 < fit_temperature(certain) < 0.06
    wrong = Predictions(certain.probabilities, np.full(5, 2))
    assert 19 < fit_temperature(wrong) < 21


@pytest.mark.parametrize(("temperature", "sign"), [(0.6, -1), (1.0, 0), (2.0, 1)])
def test_over_and_underconfident_networks_are_recognised_and_mended(temperature, sign):
    _, found = draw_labels(temperature, 4_000)
    calibration = calibrate(found)
    assert calibration.is_calibrated == (sign == 0)
    if sign:
        assert np.sign(calibration.excess) == sign
        assert calibration.after.error < 0.4 * calibration.before.error
        assert calibration.losses[1] < calibration.losses[0]
    words = describe_confidence("mine", PLAIN, calibration)
    assert ["underconfident" in words, "overconfident" in words] == [sign < 0, sign > 0]


def test_chance_alone_is_exceeded_by_one_calibrated_network_in_twenty():
    outcomes = []
    for seed in range(60):
        _, found = draw_labels(1.0, 500, seed)
        outcomes.append(measure_reliability(found).error > error_by_chance(found))
    assert 1 <= sum(outcomes) <= 9


def test_no_image_is_judged_with_a_temperature_that_it_helped_to_fit():
    _, found = draw_labels(2.0, 1_000)
    even, odd = (Predictions(found.probabilities[i::2], found.labels[i::2]) for i in (0, 1))
    calibration = calibrate(found)
    assert calibration.halves == (fit_temperature(even), fit_temperature(odd))
    scaled = np.empty_like(found.probabilities)
    scaled[::2] = apply_temperature(even, fit_temperature(odd)).probabilities
    scaled[1::2] = apply_temperature(odd, fit_temperature(even)).probabilities
    expected = measure_reliability(Predictions(scaled, found.labels)).error
    assert calibration.after.error == pytest.approx(expected)


def test_the_temperature_is_fitted_on_validation_images_where_there_are_some():
    _, found = draw_labels(2.0, 1_000)
    _, held_out = draw_labels(2.0, 800, seed=1)
    calibration = calibrate(found, held_out)
    assert calibration.temperature == fit_temperature(held_out)
    assert (calibration.held_out, calibration.halves) == (800, None)
    assert "800 validation images" in describe_temperature(calibration)


def test_soft_targets_explain_underconfidence():
    calibration = calibrate(draw_labels(0.5, 2_000)[1])
    plain = describe_confidence("mine", PLAIN, calibration)
    smoothed = describe_confidence("mine", PLAIN.changed(label_smoothing=0.1), calibration)
    taught = describe_confidence("mine", PLAIN.changed(teacher="teacher"), calibration)
    assert "0.1" in smoothed
    assert "teacher" in taught
    assert smoothed.startswith(plain)
    assert taught.startswith(plain)
    both = PLAIN.changed(teacher="teacher", teacher_share=1.0, label_smoothing=0.1)
    assert "smoothing" not in describe_confidence("mine", both, calibration)


def test_a_digit_that_is_never_predicted_gives_valid_json():
    found = Predictions(np.full((4, 10), 0.1, np.float32), np.arange(4))
    found.probabilities[:, 0] = 0.2
    answer = json.loads(json.dumps(calibrate(found).to_dict(), allow_nan=False))
    assert answer["by_predicted_digit"][3]["expected_calibration_error"] is None
    assert answer["by_predicted_digit"][0]["count"] == 4


def test_too_few_images_are_an_error_in_words():
    one = Predictions(np.full((1, 10), 0.1, np.float32), np.array([0]))
    with pytest.raises(UserError, match="two images"):
        calibrate(one)
    none = Predictions(one.probabilities[:0], one.labels[:0])
    with pytest.raises(UserError, match="without images"):
        fit_temperature(none)
