"""Stacks on a CUDA GPU: they train as each run alone, by kernels and from CUDA graphs.

Skipped elsewhere; run by `python -m pytest -m cuda tests/core/test_stacked_gpu.py`.
"""

from __future__ import annotations

import pytest
import torch

from core.config import OPTIMIZERS, RunConfig
from core.models.stacked import conv_kernels
from core.training.results import EpochResult
from core.training.stacked.results import StackedBatchResult
from core.training.stacked.training import StackedTraining
from core.training.trainer import Diverged, Training

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no CUDA GPU here."),
]
CONFIG = RunConfig(
    layers=(
        {"kind": "conv", "channels": 4, "kernel": 3, "padding": 1, "norm": "batch", "bias": False},
        {"kind": "maxpool"},
        {"kind": "conv", "channels": 8, "kernel": 3, "padding": 1, "norm": "batch", "bias": False},
        {"kind": "conv", "channels": 8, "kernel": 3, "groups": 8},
        {"kind": "global_avgpool"},
        {"kind": "conv", "channels": 10, "kernel": 1, "activation": "none"},
    ),
    augmentation="stretch",
    schedule="constant",
    lr=0.01,
    batch_size=50,
    epochs=2,
    ema_decay=0.9,
    device="cuda",
    precision="fp32",
)  # 12 steps an epoch


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def do_steps(run, count):
    results = run.run()
    for _ in range(count):
        next(results)
    results.close()


def distance(first, second) -> float:
    squares = [
        (mine - theirs).square().sum().item()
        for mine, theirs in zip(first.model.parameters(), second.model.parameters(), strict=True)
    ]
    return sum(squares) ** 0.5


@pytest.mark.parametrize("method", ["auto", "grouped", "unfold"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_stack_trains_as_each_run_alone(optimizer, method, digits):
    configs = [CONFIG.changed(optimizer=optimizer, seed=seed) for seed in (1, 2, 3)]
    stack = StackedTraining([Training(config, digits) for config in configs], method)
    do_steps(stack, 2)
    for n, config in enumerate(configs):
        alone, start = Training(config, digits), Training(config, digits)
        do_steps(alone, 2)
        assert distance(stack.store(n), alone) < 0.02 * distance(alone, start)


def test_the_kernels_are_used():
    assert conv_kernels.is_available()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_replayed_stack_trains_as_an_ordinary_one(optimizer, digits):
    configs = [CONFIG.changed(optimizer=optimizer, seed=seed) for seed in (1, 2)]
    stacks = []
    for use_graph in (False, True):
        stacks.append(StackedTraining([Training(c, digits) for c in configs], use_graph=use_graph))
        do_steps(stacks[-1], 8)
    assert stacks[1].graph is not None
    assert stacks[1].graph.refusal == ""
    for n, config in enumerate(configs):
        first, second = (stack.store(n) for stack in stacks)
        assert distance(first, second) < 0.05 * distance(first, Training(config, digits))


def test_a_run_that_diverges_leaves_the_others(digits):
    configs = [CONFIG.changed(seed=seed) for seed in (1, 2)]
    runs = [Training(config, digits) for config in configs]
    runs[0].scale_rate(1e30)
    ended = {
        n: result
        for results in StackedTraining(runs).run()
        if not isinstance(results, StackedBatchResult)
        for n, result in results.results.items()
    }
    assert isinstance(ended[0], Diverged)
    assert isinstance(ended[1], EpochResult)
    assert ended[1].val_loss < 2.5
