"""Captured steps, with a stand-in for CUDA's capture: a replay equals the step, or is refused."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from core.config import OPTIMIZERS, RunConfig
from core.training import compiled_step, optimizers
from core.training.cuda_graphs import (
    CapturedStep,
    capture_obstacle,
    mutable_state,
    varying_numbers,
)
from core.training.optimizers import set_rate
from core.training.results import BatchResult, EpochResult
from core.training.trainer import Training

CPU = torch.device("cpu")
ROWS = (
    {"kind": "conv", "channels": 4, "kernel": 5, "stride": 4, "norm": "batch", "bias": False},
    {"kind": "dropout", "p": 0.1},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
SMALL = RunConfig(
    layers=ROWS,
    lr=0.05,
    max_lr=0.1,
    batch_size=70,
    epochs=2,
    schedule="triangle",
    ema_decay=0.9,
    device="cpu",
    precision="fp32",
    threads=1,
)  # of 600 images, so the last batch of an epoch is smaller


@pytest.fixture(autouse=True)
def steps_by_torch(monkeypatch):
    """Only torch's steps are captured; on a CPU, these runs would have compiled ones."""
    monkeypatch.setattr(compiled_step, "is_available", lambda: False)


class Replays:
    """Repeat a captured step as a CUDA graph would, with numbers as tensors, and count."""

    def __init__(self):
        self.count = 0

    def __call__(self, training):
        numbers = varying_numbers(training.optimizer, training.average)

        def read():
            return [[holder[key] for holder in holders()] for holders, key in numbers]

        def write(values):
            for (holders, key), own in zip(numbers, values, strict=True):
                for holder, value in zip(holders(), own, strict=True):
                    holder[key] = value

        def capture(step):
            tensors, state = read(), torch.get_rng_state()

            def replay():
                now = read()
                write(tensors)
                self.count += 1
                try:
                    return step()
                finally:
                    write(now)

            assert all(isinstance(value, torch.Tensor) for own in tensors for value in own)
            torch.set_rng_state(state)
            return replay

        return capture


class OnTheCpu(CapturedStep):
    """A captured step with torch's CPU generator in place of CUDA's."""

    def _random_state(self):
        return torch.get_rng_state()

    def _restore(self, copies, random=None):
        super()._restore(copies)
        if random is not None:
            torch.set_rng_state(random)


def never(training):
    def capture(step):
        raise AssertionError

    return capture


def train(config, digits, make_capture=never, teacher=None):
    training = Training(config, digits, teacher=teacher)
    assert training.captured is None
    if make_capture is not None:
        training.captured = OnTheCpu(
            training.compute,
            varying_numbers(training.optimizer, training.average),
            lambda: mutable_state(
                training.model,
                training.optimizer,
                (training.compute.loss_sum, training.compute.correct),
                training.average,
            ),
            config.batch_size,
            CPU,
            make_capture(training),
        )
        training.captured.refusal = "off" if make_capture is never else ""
    results = list(training.run())
    return (
        training,
        [{**item.to_dict(), "seconds": 0} for item in results if isinstance(item, EpochResult)],
        [item.loss.item() for item in results if isinstance(item, BatchResult)],
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_replayed_run_equals_an_ordinary_one(optimizer, digits):
    config = SMALL.changed(
        optimizer=optimizer, weight_decay=1e-3, clip_norm=1.0, label_smoothing=0.1
    )
    replays = Replays()
    ordinary, rows, losses = train(config, digits)
    training, again, same = train(config, digits, replays)
    assert training.captured.refusal == ""
    assert replays.count == 2 * 8  # all but the two smaller batches
    assert losses == pytest.approx(same, rel=1e-4)
    _, _, without = train(config, digits, None)  # with Python numbers
    assert losses == pytest.approx(without, rel=1e-4)
    assert [row["train_correct"] for row in rows] == pytest.approx(
        [row["train_correct"] for row in again], abs=2
    )
    for name, tensor in ordinary.weights().items():
        torch.testing.assert_close(tensor, training.weights()[name], rtol=1e-3, atol=1e-4, msg=name)


def test_a_failed_capture_does_not_change_the_run(digits):
    def fails(training):
        def capture(step):
            step()  # changes the state
            raise RuntimeError(
                "CUDA error: operation not permitted when stream is capturing\nand more"
            )

        return capture

    ordinary, rows, losses = train(SMALL.changed(layers=[ROWS[0], ROWS[2]]), digits)
    training, again, same = train(SMALL.changed(layers=[ROWS[0], ROWS[2]]), digits, fails)
    assert (
        training.captured.refusal == "CUDA error: operation not permitted when stream is capturing"
    )
    assert (rows, losses) == (again, same)
    assert all(
        torch.equal(tensor, training.weights()[name]) for name, tensor in ordinary.weights().items()
    )
    assert all(isinstance(group["lr"], float) for group in training.optimizer.param_groups)


def constant_rate(training):
    def capture(step):
        def replay():
            optimizers.set_rate(training.optimizer, 0.0, 0.9)
            return step()

        return replay

    return capture


def constant_images(training):
    def capture(step):
        def replay():
            training_images = step.__closure__[0].cell_contents.images
            training_images.zero_()
            return step()

        return replay

    return capture


def no_update(training):
    return lambda step: lambda: torch.zeros(())


def twice(training):
    return lambda step: lambda: step() + 0 * step()


def nan(training):
    return lambda step: lambda: step() * float("nan")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (constant_rate, "weights"),
        (constant_images, "weights"),
        (no_update, "weights"),
        (twice, "weights"),
        (nan, "loss"),
    ],
)
def test_a_replay_that_computes_something_else_is_refused(wrong, words, digits):
    config = SMALL.changed(layers=[ROWS[0], ROWS[2]], schedule="constant")
    ordinary, rows, losses = train(config, digits)
    training, again, same = train(config, digits, wrong)
    assert training.captured.refusal == f"the replay computes different {words}"
    assert (rows, losses) == (again, same)
    assert all(
        torch.equal(tensor, training.weights()[name]) for name, tensor in ordinary.weights().items()
    )


def test_only_adams_momentum_cannot_vary_in_a_graph():
    cycle = RunConfig(schedule="one-cycle", momentum_cycle=True)
    for optimizer in OPTIMIZERS:
        assert capture_obstacle(RunConfig(optimizer=optimizer)) == ""
        refused = bool(capture_obstacle(cycle.changed(optimizer=optimizer)))
        assert refused == (optimizer in ("adam", "adamw"))


def test_a_momentum_that_varies_is_replayed(digits, monkeypatch):
    config = SMALL.changed(schedule="one-cycle", momentum_cycle=True, weight_decay=1e-3)
    ordinary, _, losses = train(config, digits)
    for changes in ({}, {"nesterov": True}, {"optimizer": "muon"}):
        config = config.changed(**changes)
        ordinary, _, losses = train(config, digits)
        with monkeypatch.context() as patch:
            patch.setattr(
                torch.optim, "SGD", partial(optimizers.CapturableSgd, varies_momentum=True)
            )
            training, _, same = train(config, digits, Replays())
        assert training.captured.refusal == ""
        assert losses == pytest.approx(same, rel=1e-4)
        restored = optimizers.build_optimizer(config, ordinary.model)  # the other kind of SGD
        optimizers.load_optimizer_state(restored, training.optimizer.state_dict())


def test_a_teachers_logits_are_replayed(digits):
    class Ink(nn.Module):
        def forward(self, images):
            return images.mean((1, 2, 3))[:, None] * torch.arange(10)

    config = SMALL.changed(teacher="ink", temperature=3, teacher_share=0.7)
    _, _, losses = train(config, digits, teacher=Ink())
    training, _, same = train(config, digits, Replays(), teacher=Ink())
    assert training.captured.refusal == ""
    assert losses == pytest.approx(same, rel=1e-4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_numbers_of_a_resumed_run_are_those_of_its_optimizer(optimizer, digits):
    training = Training(SMALL.changed(optimizer=optimizer), digits)
    numbers = varying_numbers(training.optimizer)
    training.optimizer.load_state_dict(training.optimizer.state_dict())  # replaces the groups
    set_rate(training.optimizer, 0.0123, 0.5)
    holders, key = numbers[0]
    assert [holder[key] for holder in holders()] == [0.0123] * len(training.optimizer.param_groups)


def test_the_mutable_state_is_complete():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = optimizers.build_optimizer(RunConfig(optimizer="adam"), model)
    model(torch.randn(4, 1, 5, 5)).sum().backward()
    optimizer.step()
    average = optimizers.Average(model.state_dict(keep_vars=True).values(), 0.9)
    groups = mutable_state(model, optimizer, (torch.zeros(()),), average)
    assert {name: len(tensors) for name, tensors in groups.items()} == {
        "weights": 4,
        "statistics": 2,
        "counts": 1,
        "momentum": 8,
        "steps": 4,
        "sums": 1,
        "average": 6,
    }
