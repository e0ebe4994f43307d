"""The step by Triton's kernels trains as torch's step does; torch stands in for the kernels here.

The kernels themselves are tested in `tests/core/models/test_stacked_kernels.py`.
"""

from __future__ import annotations

import copy
import io

import pytest
import torch

from core.config import OPTIMIZERS
from core.models.stacked import conv_kernels
from core.training import runtime as runtimes
from core.training.cuda_graphs import CapturedStep
from core.training.plan import plan
from core.training.results import EpochResult, TestResult
from core.training.trainer import Training
from core.training.triton_step import TritonStep
from tests.core.training.test_stacked import (
    ALL_KINDS,
    CONFIG,
    STEPS,
    TOLERANCE,
    check_equal,
    tensors_of,
)
from tests.networks import build_model

CPU = torch.device("cpu")


def make_training(config, digits, state=None, layout="triton", **more) -> Training:
    runtime = runtimes.resolve_runtime(plan(config), digits, more.get("teacher"))
    training = Training(config, digits, state, runtime.changed(layout=layout), **more)
    assert isinstance(training.compute, TritonStep) == (layout == "triton")
    return training


def do_steps(training, count) -> Training:
    results = training.run()
    for _ in range(count):
        next(results)
    results.close()
    return training


@pytest.fixture(autouse=True)
def keep_the_layout(monkeypatch):
    """Let a CPU have the layout that only a GPU has."""
    monkeypatch.setattr(runtimes, "can_use_triton", lambda config, device: device == CPU)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("more", [{}, {"weight_decay": 0.01, "ema_decay": 0.9, "clip_norm": 0.5}])
def test_it_trains_as_the_step_by_torch(optimizer, more, digits):
    config = CONFIG.changed(optimizer=optimizer, nesterov=True, **more)
    steps = STEPS.get(optimizer, 6)
    mine, theirs = (
        do_steps(make_training(config, digits, layout=layout), steps)
        for layout in ("triton", "contiguous")
    )
    check_equal(mine, theirs, TOLERANCE.get(optimizer, 1e-4))


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": ALL_KINDS, "optimizer": "muon", "ema_decay": 0.9, "clip_norm": 1.0},
        {"schedule": "one-cycle", "momentum_cycle": True, "optimizer": "adam"},
        {"teacher": "someone", "augmentation": "final", "batch_size": 70},
    ],
    ids=["every kind of row", "cycled momentum", "taught"],
)
def test_a_stopped_run_continues_exactly(changes, digits):
    config = CONFIG.changed(**changes)
    more = {"teacher": build_model(CONFIG.changed(seed=77))} if "teacher" in changes else {}
    whole, left = (make_training(config, digits, **more) for _ in "12")
    results = list(whole.run())
    stopped = left.run()
    for _ in range(14):  # in the second epoch
        next(stopped)
    file = io.BytesIO()
    torch.save(left.state_dict(), file)
    stopped.close()
    file.seek(0)
    resumed = make_training(config, digits, torch.load(file, weights_only=True), **more)
    again = list(resumed.run())
    assert again[-1].train_loss == results[-1].train_loss
    assert again[-1].val_loss == results[-1].val_loss
    mine, theirs = (tensors_of(run.state_dict()) for run in (resumed, whole))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    assert resumed.step_sizes == whole.step_sizes
    state = whole.model.state_dict()
    counts = [tensor for name, tensor in state.items() if name.endswith("batches_tracked")]
    assert all(count.item() == config.epochs * whole.steps for count in counts)


def test_it_reports_what_a_run_reports(digits):
    config = CONFIG.changed(holdout=100, ema_decay=0.8, optimizer="muon")
    reported = []
    for layout in ("triton", "contiguous"):
        training = make_training(config, digits, layout=layout)
        training.scale_rate(0.5)
        reported.append(
            [item for item in training.run() if isinstance(item, EpochResult | TestResult)]
        )
        assert training.step_sizes is not None
        reported[-1].append(training.step_sizes)
    (first, second, test, sizes), (one, two, tested, expected) = reported
    for mine, theirs in ((first, one), (second, two)):
        assert mine.lr == theirs.lr
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)
        assert mine.val_loss == pytest.approx(theirs.val_loss, rel=1e-3)
        assert abs(mine.val_correct - theirs.val_correct) <= 1
    assert test.loss == pytest.approx(tested.loss, rel=1e-3)
    assert sizes.rows == expected.rows
    assert sizes.gradients == pytest.approx(expected.gradients, rel=0.02)
    assert sizes.updates == pytest.approx(expected.updates, rel=0.02)


def test_a_replayed_run_equals_an_ordinary_one(digits):
    config = CONFIG.changed(optimizer="muon", ema_decay=0.9, schedule="one-cycle")
    ordinary, replayed = (make_training(config, digits) for _ in "12")
    replays = []

    def capture(step):
        return lambda: replays.append(step()) or replays[-1]

    compute = replayed.compute
    replayed.captured = CapturedStep(
        compute, compute.varying_numbers(), compute.mutable_state, config.batch_size, CPU, capture
    )
    replayed.captured._random_state = lambda: None
    do_steps(ordinary, 12)
    do_steps(replayed, 12)
    assert replayed.captured.refusal == ""
    assert len(replays) == 11 - 1  # without the epoch's result and its smaller last batch
    check_equal(ordinary, replayed, 1e-6)


def test_a_run_continues_without_triton(digits, monkeypatch):
    config = CONFIG.changed(optimizer="muon", ema_decay=0.9)
    began = do_steps(make_training(config, digits), 3)
    monkeypatch.setattr(runtimes, "can_use_triton", lambda config, device: False)
    resumed = Training(config, digits, copy.deepcopy(began.state_dict()), began.runtime)
    assert "Triton" in resumed.notice
    assert resumed.layout == "contiguous"
    check_equal(do_steps(began, 2), do_steps(resumed, 2))


def test_a_run_with_few_channels_uses_triton_where_it_can(digits, monkeypatch):
    monkeypatch.setattr(runtimes, "format_times", lambda *_: pytest.fail("benchmarked"))
    for precision in ("auto", "fp32"):
        resolved = runtimes.resolve_runtime(plan(CONFIG.changed(precision=precision)), digits)
        assert (resolved.precision, resolved.layout) == ("fp32", "triton")
    assert not conv_kernels.is_available() or torch.cuda.is_available()
