"""The range test: the trainer's own steps under a climbing rate, and a suggestion that follows from them."""

from __future__ import annotations

import itertools
import math
import time

import pytest
import torch

from core.config import RunConfig
from core.errors import ConfigError, RunError
from core.experiments import lr_range, lr_range_job
from core.experiments.lr_range import Point, suggest
from core.experiments.lr_range_job import Request
from core.models.network import build
from core.training.trainer import Training
from tests.made import made_run

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
    climb = lr_range.rates(TINY, 101)
    assert climb[0] == pytest.approx(1e-4)
    assert climb[-1] == pytest.approx(10)
    factors = [after / before for before, after in itertools.pairwise(climb)]
    assert factors == pytest.approx([factors[0]] * 100)
    assert lr_range.rates(TINY.changed(optimizer="adam"))[-1] == pytest.approx(1)
    for wrong in (
        {"steps": 10},
        {"steps": 10_000},
        {"low": 1.0, "high": 0.1},
        {"high": 100.0},
        {"low": 0.0},
    ):
        with pytest.raises(ConfigError, match="range test"):
            lr_range.rates(TINY, **wrong)


def test_its_steps_are_the_trainers(digits):
    config = TINY.changed(
        schedule="constant", lr=0.02, epochs=2, label_smoothing=0.1, clip_norm=1.0
    )
    expected = [
        float(result.loss) for result in Training(config, digits).run() if hasattr(result, "loss")
    ]
    found = list(lr_range.points(config.changed(lr=0.5), digits, [0.02] * 60))
    assert [point.loss for point in found][: len(expected)] == pytest.approx(expected, rel=1e-6)
    assert {point.lr for point in found} == {0.02}


def test_it_begins_with_a_copy_of_the_weights_it_is_given(digits):
    weights = build(TINY.changed(seed=5)).state_dict()
    before = {name: tensor.clone() for name, tensor in weights.items()}
    one = next(iter(lr_range.points(TINY, digits, [0.1] * 50, weights)))
    two = next(iter(lr_range.points(TINY, digits, [0.1] * 50)))
    assert one.loss != two.loss
    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_it_stops_where_the_loss_is_back_where_it_began(digits):
    steep = TINY.changed(layers=LAYERS[1:])  # 784 bright pixels together soon overshoot
    found = list(lr_range.points(steep, digits, lr_range.rates(steep, 200)))
    assert len(found) < 200
    assert found[-1].smoothed >= found[0].smoothed
    assert min(point.smoothed for point in found) < 0.5 * found[0].smoothed
    told = suggest(found, 200)
    assert told.lr == pytest.approx(told.lowest / 10, rel=0.06)
    assert "the test stopped" in told.words


def test_large_batches_take_as_many_steps_as_small_ones(digits):
    assert len(list(lr_range.points(TINY.changed(batch_size=600), digits, [1e-3] * 60))) == 60


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_loss():
    falls = [2.3, 2.2, 2.0, *[1.5] * 40, 0.4, *[1.0] * 10]
    points = curve(*falls)
    told = suggest(points, len(points))
    assert told.lowest == points[43].lr
    assert told.lr == float(f"{points[43].lr / 10:.2g}")
    assert "lowest, 0.40, at a rate of" in told.words
    assert f"{told.lr:g}" in told.words


def test_where_the_test_tells_nothing_it_says_so():
    assert suggest(curve(*[2.3] * 60), 60).lr is None
    assert "never fell clearly" in suggest(curve(*[2.3] * 60), 60).words
    assert suggest(curve(*[2.3] * 5), 60).lr is None
    assert "too high already" in suggest([], 60).words
    still = suggest(curve(*[3 - at / 30 for at in range(60)]), 60)
    assert "still falling" in still.words


def test_a_rate_beyond_all_bounds_ends_it_without_an_error(digits):
    found = list(lr_range.points(TINY, digits, [1e-3] * 60 + [1e30] * 60))
    assert 60 <= len(found) < 120
    assert all(math.isfinite(point.loss) for point in found)


def waited(request: Request) -> lr_range_job.Finding:
    until = time.monotonic() + 120
    while (found := lr_range_job.find(request)).state == "running":
        assert time.monotonic() < until
        time.sleep(0.2)
    return found


@pytest.mark.mnist
def test_a_process_finds_what_a_page_asks_for_and_anyone_sees_it(folder):
    request = Request(TINY.changed(batch_size=20), steps=60)
    assert lr_range_job.find(request) is None
    lr_range_job.start(request)
    lr_range_job.start(request)  # the same once more, which changes nothing
    with pytest.raises(RunError, match="another range test is under way"):
        lr_range_job.start(Request(TINY.changed(seed=9), steps=60))
    found = waited(request)
    assert found.state == "done"
    assert found.points
    assert found.suggestion.words
    assert lr_range_job.find(Request(TINY.changed(batch_size=20), steps=60)) == found
    assert lr_range_job.find(Request(TINY.changed(batch_size=20, seed=2), steps=60)) is None


def test_a_test_that_fails_says_why(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "file"))
    (tmp_path / "file").write_text("in the way")
    request = Request(TINY, steps=60)
    lr_range_job.start(request)
    found = waited(request)
    assert (found.state, found.suggestion) == ("failed", None)
    assert "MNIST cannot be kept" in found.message


def test_a_test_whose_process_is_gone_is_over(folder):
    request = Request(TINY, steps=60)
    place = lr_range_job._place(request, folder)
    place.parent.mkdir()
    place.write_bytes(
        lr_range_job._line({"request": request.to_dict()})
        + lr_range_job._line({"pid": 1, "started": 1.0})
        + b'{"point": {"st'
    )
    found = lr_range_job.find(request)
    assert found.state == "failed"
    assert "ended without a word" in found.message


def test_a_runs_own_weights_are_part_of_what_is_asked(folder):
    made_run(folder, "trained")
    assert lr_range_job.find(Request(TINY, "trained", 60)) is None
    assert lr_range_job.starting_weights("trained")
    assert lr_range_job.starting_weights(None) is None
    with pytest.raises(RunError, match="no run 'nobody'"):
        lr_range_job.find(Request(TINY, "nobody", 60))
