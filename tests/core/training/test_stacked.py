"""Runs that train as one stack end up as each would alone, to float32 rounding."""

from __future__ import annotations

import copy

import pytest
import torch

from core.config import OPTIMIZERS, RunConfig
from core.errors import RunError
from core.training.results import EpochResult, TestResult
from core.training.stacked import batches as stacked_batches
from core.training.stacked.results import StackedBatchResult
from core.training.stacked.training import StackedTraining
from core.training.trainer import Diverged, Training
from tests.networks import build_model

# Adam would enlarge the rounding of the gradient of biases before a norm, which is 0.
ROWS = (
    {"kind": "conv", "channels": 4, "kernel": 3, "stride": 2, "norm": "batch", "bias": False},
    {"kind": "conv", "channels": 4, "kernel": 3, "padding": 1, "norm": "batch", "bias": False},
    {"kind": "conv", "channels": 6, "kernel": 1, "activation": "silu"},
    {"kind": "global_avgpool"},
    {"kind": "conv", "channels": 10, "kernel": 1, "activation": "none"},
)
# Every kind of row, with every option that changes what is computed.
ALL_KINDS = (
    {"kind": "space_to_depth"},
    {"kind": "conv", "channels": 4, "kernel": 3, "padding": 1, "norm": "batch"},
    {"kind": "conv", "channels": 4, "kernel": 3, "padding": 1, "groups": 4, "activation": "gelu"},
    {"kind": "conv", "channels": 4, "kernel": 3, "padding": 1, "groups": 2, "activation": "none"},
    {"kind": "add", "from": 2, "activation": "relu"},
    {"kind": "maxpool"},
    {"kind": "dropout"},
    {"kind": "conv", "channels": 6, "kernel": 1},
    {"kind": "avgpool"},
    {"kind": "linear", "channels": 12},
    {"kind": "dropout", "p": 0.0},
    {"kind": "linear", "channels": 10, "bias": False, "activation": "none"},
)
CONFIG = RunConfig(
    architecture="small",
    layers=ROWS,
    schedule="original-one-cycle",
    lr=0.02,
    max_lr=0.05,
    batch_size=64,
    epochs=2,
    device="cpu",
    precision="fp32",
    threads=1,
)
# Adam and Adadelta divide by the root of squared gradients, which enlarges the rounding of small
# ones from step to step.
TOLERANCE = {"adam": 5e-3, "adamw": 5e-3}
STEPS = {"adam": 2, "adamw": 2, "adadelta": 3}


UNLIKE = ("seconds", "random", "norm")


def configs_of(count: int = 3, **changes) -> list[RunConfig]:
    return [CONFIG.changed(**changes, seed=seed) for seed in range(1, count + 1)]


def train_alone(config, digits, steps, **more) -> Training:
    training = Training(config, digits, **more)
    results = training.run()
    for _ in range(steps):
        next(results)
    results.close()
    return training


def train_stacked(configs, digits, steps, method="auto", **more) -> list[Training]:
    stack = StackedTraining([Training(config, digits, **more) for config in configs], method)
    results, done = stack.run(), 0
    while done < steps:
        next(results)
        done += 1
    results.close()
    return [stack.store(n) for n in range(len(configs))]


def tensors_of(value, name=""):
    """All tensors and numbers of a state, by place, that two runs must have in common.

    Muon keeps norms of all weights, but uses those of the hidden ones only, which show there.
    """
    if isinstance(value, torch.Tensor):
        return {name: value.double()}
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key not in UNLIKE}
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        number = isinstance(value, int | float)
        return {name: torch.tensor(float(value)).double()} if number else {}
    return {
        place: tensor
        for key, item in items
        for place, tensor in tensors_of(item, f"{name}.{key}").items()
    }


def check_equal(first: Training, second: Training, tolerance: float = 1e-4) -> None:
    """Hold the whole states equal: weights, statistics, optimizer, average, sums and position."""
    mine, theirs = tensors_of(first.state_dict()), tensors_of(second.state_dict())
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("more", [{}, {"weight_decay": 0.01, "ema_decay": 0.9, "clip_norm": 0.5}])
def test_a_stack_trains_as_each_run_alone(optimizer, more, digits):
    configs = configs_of(optimizer=optimizer, nesterov=True, **more)
    steps = STEPS.get(optimizer, 6)
    stacked = train_stacked(configs, digits, steps)
    for config, training in zip(configs, stacked, strict=True):
        alone = train_alone(config, digits, steps)
        check_equal(alone, training, TOLERANCE.get(optimizer, 1e-4))


@pytest.mark.parametrize("method", ["grouped", "unfold"])
@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_every_kind_of_row_is_stacked(method, optimizer, digits):
    configs = configs_of(layers=ALL_KINDS, optimizer=optimizer)
    stacked = train_stacked(configs, digits, 5, method)
    for config, training in zip(configs, stacked, strict=True):
        check_equal(train_alone(config, digits, 5), training)


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.0},
        {"momentum_cycle": True, "schedule": "one-cycle"},
        {"momentum_cycle": True, "schedule": "one-cycle", "optimizer": "adam"},
        {"label_smoothing": 0.1},
        {"augmentation": "final", "augment_fraction": 0.5},
        {"holdout": 100},
    ],
    ids=str,
)
def test_other_settings_are_stacked(changes, digits):
    configs = configs_of(2, **changes)
    steps = STEPS.get(configs[0].optimizer, 6)
    for config, training in zip(configs, train_stacked(configs, digits, steps), strict=True):
        check_equal(train_alone(config, digits, steps), training)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_teacher_is_stacked(temperature, digits):
    configs = configs_of(2, teacher="someone", teacher_share=0.7, temperature=temperature)
    teacher = build_model(CONFIG.changed(seed=77))
    stacked = train_stacked(configs, digits, 5, teacher=teacher)
    for config, training in zip(configs, stacked, strict=True):
        check_equal(train_alone(config, digits, 5, teacher=teacher), training)


def test_runs_of_a_stack_have_their_own_rates(digits):
    configs = [
        CONFIG.changed(lr=0.01, momentum=0.5, seed=3),
        CONFIG.changed(schedule="cosine", lr=0.1, weight_decay=0.01, initialisation="he"),
    ]
    runs = [Training(config, digits) for config in configs]
    runs[1].scale_rate(0.5)
    stack = StackedTraining(runs)
    results = stack.run()
    for _ in range(5):
        next(results)
    for n, config in enumerate(configs):
        alone = Training(config, digits)
        alone.scale_rate((1.0, 0.5)[n])
        steps = alone.run()
        for _ in range(5):
            next(steps)
        check_equal(alone, stack.store(n))


def test_a_stack_reports_what_each_run_would(digits):
    configs = configs_of(2, holdout=100, ema_decay=0.8)
    stack = StackedTraining([Training(config, digits) for config in configs])
    reported = [result for result in stack.run() if not isinstance(result, StackedBatchResult)]
    assert len(reported) == 3  # two epochs and the test
    for n, config in enumerate(configs):
        alone = [
            result
            for result in Training(config, digits).run()
            if isinstance(result, EpochResult | TestResult)
        ]
        for mine, theirs in zip((each.results[n] for each in reported), alone, strict=True):
            if isinstance(mine, TestResult):
                assert mine.loss == pytest.approx(theirs.loss, rel=1e-3)
                continue
            assert mine.lr == theirs.lr
            assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)
            assert mine.val_loss == pytest.approx(theirs.val_loss, rel=1e-3)
            assert abs(mine.val_correct - theirs.val_correct) <= 1
            assert (mine.train_total, mine.val_total) == (theirs.train_total, theirs.val_total)
            assert mine.seconds > 0


def test_a_run_that_diverges_leaves_the_others_as_they_would_be(digits):
    configs = configs_of(3, epochs=1)
    stacks = {}
    for lr in (0.02, 10.0):
        runs = [Training(config, digits) for config in configs]
        runs[1] = Training(configs[1].changed(lr=lr, max_lr=lr, schedule="constant"), digits)
        if lr == 10.0:
            runs[1].scale_rate(1e30)
        stacks[lr] = StackedTraining(runs)
    ended = {
        lr: {
            n: result
            for results in stack.run()
            if not isinstance(results, StackedBatchResult)
            for n, result in results.results.items()
        }
        for lr, stack in stacks.items()
    }
    assert isinstance(ended[10.0][1], Diverged)
    assert "epoch 1, step 2" in str(ended[10.0][1])
    assert isinstance(ended[0.02][1], EpochResult)
    for n in (0, 2):
        first, second = (tensors_of(stack.store(n).state_dict()) for stack in stacks.values())
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_goes_on_alone_and_back_in_a_stack(optimizer, digits):
    configs = configs_of(2, optimizer=optimizer, ema_decay=0.9)
    before = STEPS.get(optimizer, 5) - 1
    whole = [train_alone(config, digits, before + 1) for config in configs]
    states = [
        copy.deepcopy(training.state_dict()) for training in train_stacked(configs, digits, before)
    ]
    check_equal(whole[0], train_alone(configs[0], digits, 1, state=copy.deepcopy(states[0])))

    stack = StackedTraining(
        [Training(c, digits, state=s) for c, s in zip(configs, states, strict=True)]
    )
    results = stack.run()
    next(results)
    for n, training in enumerate(whole):
        check_equal(training, stack.store(n))


def test_dropout_is_drawn_for_each_network(digits):
    configs = [CONFIG.changed(layers=({"kind": "dropout", "p": 0.5}, *ROWS), seed=1)] * 2
    first, second = train_stacked(configs, digits, 2)
    one, other = (tensors_of(run.model.state_dict()) for run in (first, second))
    assert any(not torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_unlike_runs_are_refused(digits):
    with pytest.raises(RunError, match="batch_size"):
        StackedTraining(
            [Training(config, digits) for config in (CONFIG, CONFIG.changed(batch_size=50))]
        )
    with pytest.raises(RunError, match="different steps"):
        StackedTraining([Training(CONFIG, digits), train_alone(CONFIG, digits, 1)])
    with pytest.raises(RunError, match="bf16"):
        StackedTraining([Training(CONFIG.changed(precision="bf16"), digits)] * 2)


@pytest.mark.parametrize("workers", [0, 1])
def test_augmented_chunks_are_those_of_each_run(digits, workers):
    config = CONFIG.changed(augmentation="final", epochs=3, batch_size=64, teacher="someone")
    teacher = build_model(CONFIG.changed(seed=77))
    batches = [
        Training(each, digits, teacher=teacher).batches for each in (config, config.changed(seed=9))
    ]
    for each in batches:
        each.augments_on_device = True  # as on a GPU; here the device is the CPU
    streams = [each.stream(3, 1, 4) for each in batches]
    stacked = stacked_batches.stream(batches, 3, 1, 4, workers)
    count = 0
    for batch in stacked:
        count += 1
        for n, part in enumerate(map(next, streams)):
            assert torch.equal(batch.images[n], part.images)
            assert torch.equal(batch.labels[n], part.labels)
            torch.testing.assert_close(batch.teacher_logits[n], part.teacher_logits)
    assert count == 6 + 10
    assert all(next(each, None) is None for each in streams)
