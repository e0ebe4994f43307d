"""Fixtures of the tests of reports."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.labelled_images import LabelledImages
from core.insight.mistakes import Predictions
from core.reports import mistakes as report_mistakes


@pytest.fixture
def no_dataset(monkeypatch, tmp_path):
    """The dataset is missing."""
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "missing"))


@pytest.fixture
def errors(monkeypatch):
    """Number of errors by run, among the first of 10,000 blank test images."""
    wrong: dict[str, int] = {}
    images = np.zeros((10_000, 28, 28), np.uint8)
    labels = np.arange(10_000) % 10

    def answer(run, which="last", test=None):
        probabilities = np.full((10_000, 10), 0.01, np.float32)
        probabilities[np.arange(10_000), labels] = 0.91
        some = np.arange(wrong[run.name])
        probabilities[some] = 0.01
        probabilities[some, (labels[some] + 1) % 10] = 0.91
        return Predictions(probabilities, labels)

    monkeypatch.setattr(report_mistakes, "load_test_images", lambda: LabelledImages(images, labels))
    for module in ("mistakes", "changes"):
        monkeypatch.setattr(f"core.reports.{module}.load_predictions", answer)
    return wrong
