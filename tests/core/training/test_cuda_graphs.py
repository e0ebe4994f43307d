"""Recorded steps, with a stand-in for CUDA's recorder: what is replayed is the step that was, or it isn't replayed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.config import OPTIMIZERS, RunConfig
from core.training import cuda_graphs, optimizers
from core.training.cuda_graphs import WARM_UP, Recorded, changed, suits
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
)  # 600 images: the last batch of an epoch is a short one


class Replays:
    """Does a recorded step again as a CUDA graph would: with the rate's tensor, and counting how often."""

    def __init__(self):
        self.count = 0

    def __call__(self, optimizer):
        def record(step):
            rates = [group["lr"] for group in optimizer.param_groups]
            state = torch.get_rng_state()

            def replay():
                now = [group["lr"] for group in optimizer.param_groups]
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate
                self.count += 1
                try:
                    return step()
                finally:
                    for group, rate in zip(optimizer.param_groups, now, strict=True):
                        group["lr"] = rate

            assert all(isinstance(rate, torch.Tensor) for rate in rates)
            torch.set_rng_state(state)
            return replay

        return record


class OnTheCpu(Recorded):
    """Recorded with torch's generator for the CPU in the place of CUDA's."""

    def _random(self):
        return torch.get_rng_state()

    def _put_back(self, copies, random=None):
        super()._put_back(copies)
        if random is not None:
            torch.set_rng_state(random)


def trained(config, digits, recorder=None):
    training = Training(config, digits)
    assert training.recorded is None
    if recorder is not None:
        training.recorded = OnTheCpu(
            training._compute,
            training.optimizer,
            lambda: changed(
                training.model, training.optimizer, (training.loss_sum, training.correct)
            ),
            config.batch_size,
            CPU,
            recorder(training.optimizer),
        )
    results = list(training.run())
    return (
        training,
        [{**each.to_dict(), "seconds": 0} for each in results if isinstance(each, EpochResult)],
        [each.loss.item() for each in results if isinstance(each, BatchResult)],
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_replays_is_the_run_that_does_not(optimizer, digits):
    config = SMALL.changed(
        optimizer=optimizer, weight_decay=1e-3, clip_norm=1.0, label_smoothing=0.1
    )
    replays = Replays()
    ordinary, rows, losses = trained(config, digits)
    training, again, same = trained(config, digits, replays)
    assert training.recorded.refused == ""
    assert replays.count == 2 * 8 - WARM_UP  # all but the first ones and the two short batches
    assert losses == pytest.approx(same, rel=1e-4), "and each loss is a tensor of its own"
    assert [row["train_correct"] for row in rows] == pytest.approx(
        [row["train_correct"] for row in again], abs=2
    )
    for name, tensor in ordinary.weights().items():
        torch.testing.assert_close(tensor, training.weights()[name], rtol=1e-3, atol=1e-4, msg=name)


def test_a_recording_that_fails_leaves_the_run_as_it_would_be(digits):
    def fails(optimizer):
        def record(step):
            step()  # and so changes what it should not
            raise RuntimeError(
                "CUDA error: operation not permitted when stream is capturing\nand more"
            )

        return record

    ordinary, rows, losses = trained(SMALL.changed(layers=[ROWS[0], ROWS[2]]), digits)
    training, again, same = trained(SMALL.changed(layers=[ROWS[0], ROWS[2]]), digits, fails)
    assert (
        training.recorded.refused == "CUDA error: operation not permitted when stream is capturing"
    )
    assert (rows, losses) == (again, same)
    assert all(
        torch.equal(tensor, training.weights()[name]) for name, tensor in ordinary.weights().items()
    )
    assert all(isinstance(group["lr"], float) for group in training.optimizer.param_groups)


def frozen_rate(optimizer):
    def record(step):
        def replay():
            optimizers.set_rate(optimizer, 0.0, 0.9)
            return step()

        return replay

    return record


def frozen_images(optimizer):
    def record(step):
        def replay():
            training_images = step.__closure__[0].cell_contents.images
            training_images.zero_()
            return step()

        return replay

    return record


def no_step(optimizer):
    return lambda step: lambda: torch.zeros(())


def twice(optimizer):
    return lambda step: lambda: step() + 0 * step()


def no_number(optimizer):
    return lambda step: lambda: step() * float("nan")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (frozen_rate, "weights"),
        (frozen_images, "weights"),
        (no_step, "weights"),
        (twice, "weights"),
        (no_number, "loss"),
    ],
)
def test_a_replay_that_does_something_else_is_found_out(wrong, words, digits):
    config = SMALL.changed(layers=[ROWS[0], ROWS[2]], schedule="constant")
    ordinary, rows, losses = trained(config, digits)
    training, again, same = trained(config, digits, wrong)
    assert training.recorded.refused == f"the replay changes the {words} in another way"
    assert (rows, losses) == (again, same)
    assert all(
        torch.equal(tensor, training.weights()[name]) for name, tensor in ordinary.weights().items()
    )


def test_only_runs_on_cuda_without_a_cycle_of_momentum_are_recorded():
    cuda, cycle = torch.device("cuda"), RunConfig(schedule="one-cycle", momentum_cycle=True)
    assert suits(RunConfig(), cuda)
    assert suits(cycle.changed(schedule="triangle"), cuda)
    assert not suits(cycle, cuda)
    assert not suits(RunConfig(), CPU)


def test_what_a_step_changes_is_all_put_back():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = optimizers.build(RunConfig(optimizer="adam"), model)
    model(torch.randn(4, 1, 5, 5)).sum().backward()
    optimizer.step()
    groups = changed(model, optimizer, (torch.zeros(()),))
    assert {name: len(tensors) for name, tensors in groups.items()} == {
        "weights": 4,
        "statistics": 2,
        "counts": 1,
        "momentum": 8,
        "steps": 4,
        "sums": 1,
    }


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_on_a_gpu_the_steps_are_replayed(optimizer, digits):
    config = SMALL.changed(
        device="cuda", optimizer=optimizer, layers=[ROWS[0], ROWS[2]], lr=0.01, max_lr=0.02
    )
    eager = Training(config, digits)
    eager.recorded = None
    rows = [each for each in eager.run() if isinstance(each, EpochResult)]
    training = Training(config, digits)
    again = [each for each in training.run() if isinstance(each, EpochResult)]
    assert training.recorded is not None
    assert training.recorded.refused == ""
    assert again[-1].train_loss == pytest.approx(rows[-1].train_loss, rel=0.05)
    assert cuda_graphs.suits(config, training.device)
