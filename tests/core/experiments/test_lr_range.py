"""The range test: the trainer's steps with increasing rates, and the suggested rate."""

from __future__ import annotations

import itertools
import math
import os
import time

import pytest
import torch

from core.config import RunConfig
from core.errors import ConfigError, RunError
from core.experiments import lr_range, lr_range_job
from core.experiments.lr_range import Point, suggest
from core.experiments.lr_range_job import RangeTest, Request
from core.runs import files, jobs, processes
from core.training.trainer import Training
from tests.made import made_run
from tests.networks import build_model

LAYERS = (
    {"kind": "avgpool", "kernel": 4, "stride": 4},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
TINY = RunConfig(layers=LAYERS, batch_size=50, device="cpu", precision="fp32", threads=1)


def curve(*losses: float, low: float = 1e-4, high: float = 10.0) -> list[Point]:
    """Points whose smoothed losses are those given, at rates that climb evenly."""
    step = (high / low) ** (1 / (len(losses) - 1))
    return [Point(number + 1, low * step**number, loss, loss) for number, loss in enumerate(losses)]


def test_rates_climb_by_the_same_factor():
    rates = lr_range.learning_rates(TINY, 101)
    assert rates[0] == pytest.approx(1e-4)
    assert rates[-1] == pytest.approx(10)
    factors = [after / before for before, after in itertools.pairwise(rates)]
    assert factors == pytest.approx([factors[0]] * 100)
    assert lr_range.learning_rates(TINY.changed(optimizer="adam"))[-1] == pytest.approx(1)
    for wrong in (
        {"steps": 10},
        {"steps": 10_000},
        {"low": 1.0, "high": 0.1},
        {"high": 100.0},
        {"low": 0.0},
    ):
        with pytest.raises(ConfigError, match="range test"):
            lr_range.learning_rates(TINY, **wrong)


def test_the_steps_are_those_of_the_trainer(digits):
    config = TINY.changed(
        schedule="constant", lr=0.02, epochs=2, label_smoothing=0.1, clip_norm=1.0
    )
    expected = [
        float(result.loss) for result in Training(config, digits).run() if hasattr(result, "loss")
    ]
    points = list(lr_range.run_test(config.changed(lr=0.5), digits, [0.02] * 60))
    assert [point.loss for point in points][: len(expected)] == pytest.approx(expected, rel=1e-6)
    assert {point.lr for point in points} == {0.02}


def test_the_given_weights_are_copied(digits):
    weights = build_model(TINY.changed(seed=5)).state_dict()
    before = {name: tensor.clone() for name, tensor in weights.items()}
    one = next(iter(lr_range.run_test(TINY, digits, [0.1] * 50, weights)))
    two = next(iter(lr_range.run_test(TINY, digits, [0.1] * 50)))
    assert one.loss != two.loss
    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_the_test_stops_when_the_loss_diverges(digits):
    steep = TINY.changed(layers=LAYERS[1:])  # 784 bright pixels together soon overshoot
    points = list(lr_range.run_test(steep, digits, lr_range.learning_rates(steep, 200)))
    assert len(points) < 200
    assert points[-1].smoothed >= points[0].smoothed
    assert min(point.smoothed for point in points) < 0.5 * points[0].smoothed
    suggestion = suggest(points, 200)
    assert suggestion.lr == pytest.approx(suggestion.lowest_loss_lr / 10, rel=0.06)
    assert "test stopped" in suggestion.explanation


def test_large_batches_take_as_many_steps_as_small_ones(digits):
    assert len(list(lr_range.run_test(TINY.changed(batch_size=600), digits, [1e-3] * 60))) == 60


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_loss():
    falls = [2.3, 2.2, 2.0, *[1.5] * 40, 0.4, *[1.0] * 10]
    points = curve(*falls)
    suggestion = suggest(points, len(points))
    assert suggestion.lowest_loss_lr == points[43].lr
    assert suggestion.lr == float(f"{points[43].lr / 10:.2g}")
    assert "0.40" in suggestion.explanation
    assert f"{suggestion.lr:g}" in suggestion.explanation


def test_an_inconclusive_test_suggests_nothing():
    assert suggest(curve(*[2.3] * 60), 60).lr is None
    assert "inconclusive" in suggest(curve(*[2.3] * 60), 60).explanation
    assert suggest(curve(*[2.3] * 5), 60).lr is None
    assert "too high" in suggest([], 60).explanation
    still = suggest(curve(*[3 - at / 30 for at in range(60)]), 60)
    assert "still falling" in still.explanation


def test_an_infinite_loss_ends_the_test_without_an_error(digits):
    points = list(lr_range.run_test(TINY, digits, [1e-3] * 60 + [1e30] * 60))
    assert 60 <= len(points) < 120
    assert all(math.isfinite(point.loss) for point in points)


def wait_for(request: Request) -> RangeTest:
    until = time.monotonic() + 120
    while (test := lr_range_job.read(request)).state == "running":
        assert time.monotonic() < until
        time.sleep(0.2)
    return test


@pytest.mark.mnist
def test_a_background_test_is_seen_by_anyone_who_requests_the_same(folder):
    request = Request(TINY.changed(batch_size=20), steps=60)
    assert lr_range_job.read(request) is None
    lr_range_job.start(request)
    lr_range_job.start(request)  # has no effect
    with pytest.raises(RunError, match="another range test"):
        lr_range_job.start(Request(TINY.changed(seed=9), steps=60))
    test = wait_for(request)
    assert test.state == "done"
    assert test.points
    assert test.suggestion.explanation
    assert lr_range_job.read(Request(TINY.changed(batch_size=20), steps=60)) == test
    assert lr_range_job.read(Request(TINY.changed(batch_size=20, seed=2), steps=60)) is None


def test_a_test_that_fails_says_why(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "file"))
    (tmp_path / "file").write_text("in the way")
    request = Request(TINY, steps=60)
    lr_range_job.start(request)
    test = wait_for(request)
    assert (test.state, test.suggestion) == ("failed", None)
    assert "MNIST" in test.message


def test_a_test_whose_process_was_killed_has_failed(folder):
    request = Request(TINY, steps=60)
    job = lr_range_job._job(request, folder)
    job.folder.mkdir()
    lr_range_job._path(job).write_bytes(
        lr_range_job._to_line({"request": request.to_dict()}) + b'{"point": {"st'
    )
    files.write_json(job.record, {"pid": 1, "pid_started": "1"})
    test = lr_range_job.read(request)
    assert test.state == "failed"
    assert "killed" in test.message


def test_only_the_newest_tests_are_kept(folder, monkeypatch):
    monkeypatch.setattr(lr_range_job, "MAX_KEPT", 2)
    monkeypatch.setattr(jobs, "start", lambda *given, log: processes.ProcessId(1, ""))
    requests = [Request(TINY.changed(seed=seed), steps=60) for seed in (1, 2, 3)]
    for age, request in zip((30, 20, 10), requests, strict=True):
        lr_range_job.start(request)
        written = time.time() - age
        os.utime(lr_range_job._path(lr_range_job._job(request, folder)), (written, written))
    lr_range_job.start(requests[2])
    assert [lr_range_job.read(request) is None for request in requests] == [True, False, False]


def test_the_key_of_a_test_depends_on_the_runs_weights(folder):
    made_run(folder, "trained")
    assert lr_range_job.read(Request(TINY, "trained", 60)) is None
    assert lr_range_job.initial_weights("trained")
    assert lr_range_job.initial_weights(None) is None
    with pytest.raises(RunError, match="no run 'nobody'"):
        lr_range_job.read(Request(TINY, "nobody", 60))
