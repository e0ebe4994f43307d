"""Reports: every sentence follows from the run."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import pytest

from core.errors import RunError
from core.experiments.reports import analysis, markdown
from core.recipes import RECIPES
from core.runs.run import Run
from core.training.results import HEADER, EpochResult, TestResult


def run_of(recipe: str, rows, **changes) -> Run:
    now = datetime.datetime.now(datetime.UTC)
    config = RECIPES[recipe].config.changed(**changes)
    return Run(recipe, Path(recipe), config, now, recipe, None, "", (), {"device": "cpu"}, None, "finished", "", now,
               tuple(rows))


def row(epoch: int, train: int, val: int, val_loss: float = 0.02) -> EpochResult:
    return EpochResult(epoch, 0.01, 10.0, 0.05, train, 60_000, val_loss, val, 10_000)


def test_a_report_has_the_seeds_parts():
    text = markdown(run_of("final", [row(1, 57_000, 9_900), row(2, 59_000, 9_945), row(3, 59_100, 9_941)]))
    for part in ("# Final", "## Targets", "## Results", "## Analysis", "**3,762** parameters", "Batch Size: 32",
                 "Lr: 0.05", "Max Lr: 0.1", HEADER, "**99.41 %** of the test images", "interval 99.24 to 99.54",
                 "was 2 with 99.45 %", "Total params: 3,762", "reaches the goal"):
        assert part in text


def test_analysis_tells_over_fitting_from_its_absence():
    over = analysis(run_of("initial", [row(1, 58_000, 9_900, 0.03), row(2, 59_950, 9_915, 0.04)]))
    assert any("overfits: 99.92 % in training against 99.15 % in validation, and" in s for s in over)
    assert any("misses the goal of 99.4 % by 0.25 points and stands 8,530 parameters above" in s for s in over)
    under = analysis(run_of("final", [row(1, 59_000, 9_940)]))
    assert any("does not overfit" in s and "augmented" in s for s in under)
    same = analysis(run_of("intermediate", [row(1, 59_520, 9_925)]))
    assert any("agree" in s for s in same)


def test_analysis_tells_whether_it_was_still_learning():
    assert any("still learning" in s for s in analysis(run_of("final", [row(n, 59_000, 9_900 + 10 * n)
                                                                        for n in range(1, 5)])))
    assert any("what it could" in s for s in analysis(run_of("final", [row(n, 59_000, 9_940) for n in range(1, 5)])))


def test_a_hold_out_is_named_and_its_test_score_told():
    run = dataclasses.replace(run_of("final", [row(1, 49_000, 4_950)], holdout=5_000),
                              test=TestResult(0.02, 9_938, 10_000))
    text = markdown(run)
    assert "5,000 held-out training images" in text
    assert "on the test images: **99.38 %**" in text


def test_a_run_without_an_epoch_has_no_report():
    with pytest.raises(RunError, match="no epoch to report"):
        markdown(run_of("final", []))
