"""The compiled training step computes what torch computes, for every row and optimizer."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.compiler import is_available
from core.config import RunConfig
from core.errors import ArchitectureError
from core.models.architectures import ARCHITECTURES, rows_of
from core.models.network import build
from core.models.shapes import trace
from core.training.compiled_step import CompiledStep
from core.training.optimizers import Average, build_optimizer, load_optimizer_state, set_rate
from core.training.step import TrainingStep

pytestmark = pytest.mark.skipif(not is_available(), reason="no C compiler works here")

CPU = torch.device("cpu")
SMALL = (
    {"kind": "space_to_depth", "block": 4},
    {"kind": "conv", "channels": 6, "padding": 1, "norm": "batch", "bias": False},
    {"kind": "conv", "channels": 6, "groups": 6, "padding": 1, "activation": "silu"},
    {"kind": "conv", "channels": 8, "stride": 2, "bias": False},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
# Rows that no named architecture has.
OTHER_ROWS = {
    "average pooling with overlap": (
        {"kind": "avgpool", "kernel": 5, "stride": 3},
        {"kind": "linear", "channels": 10, "activation": "gelu"},
    ),
    "max pooling with overlap and with gaps": (
        {"kind": "conv", "channels": 3, "activation": "gelu"},
        {"kind": "maxpool", "kernel": 3, "stride": 2},
        {"kind": "maxpool", "kernel": 2, "stride": 3},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ),
    "a row that is added twice, and to itself": (
        {"kind": "conv", "channels": 4, "stride": 3, "norm": "batch"},
        {"kind": "conv", "channels": 4, "padding": 1, "activation": "none"},
        {"kind": "add", "from": 1, "activation": "silu"},
        {"kind": "add", "from": 1},
        {"kind": "add", "from": 4, "activation": "relu"},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ),
    "norms whose outputs are stored nowhere": (
        {"kind": "conv", "channels": 4, "padding": 2, "norm": "batch", "activation": "silu"},
        {"kind": "maxpool", "kernel": 4, "stride": 4},
        {"kind": "conv", "channels": 6, "groups": 2, "norm": "batch", "activation": "gelu"},
        {"kind": "conv", "channels": 5, "kernel": 1, "norm": "batch", "activation": "none"},
        {"kind": "conv", "channels": 4, "kernel": 2, "padding": 1, "norm": "batch"},
        {"kind": "maxpool"},
        {"kind": "conv", "channels": 4, "kernel": 2, "padding": 1, "stride": 2, "norm": "batch"},
        {"kind": "maxpool"},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ),
    "shared weights, with and without norms": (
        {"kind": "conv", "channels": 4, "padding": 1, "norm": "batch"},
        {"kind": "conv", "channels": 4, "padding": 1, "norm": "batch"},
        {"kind": "conv", "channels": 4, "padding": 1, "norm": "batch", "shared": True},
        {"kind": "maxpool"},
        {"kind": "conv", "channels": 4, "padding": 1, "norm": "batch", "shared": True},
        {"kind": "conv", "channels": 4, "kernel": 2, "activation": "silu"},
        {"kind": "conv", "channels": 4, "kernel": 2, "activation": "none", "shared": True},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ),
    "groups, strides and wide padding": (
        {"kind": "conv", "channels": 4, "kernel": 5, "stride": 3, "padding": 4},
        {"kind": "conv", "channels": 6, "groups": 2, "kernel": 2, "norm": "batch"},
        {"kind": "conv", "channels": 10, "kernel": 10, "activation": "none"},
    ),
}


def make_config(rows=SMALL, **changes) -> RunConfig:
    values = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "batch_size": 20, **changes}
    return RunConfig(layers=rows).changed(**values)


def make_batch(images=20, seed=0, teacher=False):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (images, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (images,), generator=generator)
    logits = 3 * torch.randn(images, 10, generator=generator) if teacher else None
    return pixels, labels, logits


def make_steps(config, threads=1):
    """The step by torch and the compiled step, of equal networks."""
    steps = []
    for is_compiled in (False, True):
        model = build(rows_of(config), config)
        optimizer = build_optimizer(config, model)
        average = None
        if config.ema_decay:
            average = Average(model.state_dict(keep_vars=True).values(), config.ema_decay)
        steps.append(
            CompiledStep(config, model, optimizer, average, threads)
            if is_compiled
            else TrainingStep(config, model, optimizer, average, CPU, torch.float32, "contiguous")
        )
    return steps


def do_step(step, batch, lr=0.1, momentum=0.0):
    set_rate(step.optimizer, lr, momentum)
    if step.average is not None:
        step.average.advance()
    return step(*batch)


def tensors_of(step):
    """Everything that a step changes, by name."""
    tensors = dict(step.model.state_dict())
    for number, state in step.optimizer.state_dict()["state"].items():
        tensors |= {f"{name} of {number}": torch.as_tensor(v) for name, v in state.items()}
    if step.average is not None:
        tensors |= {f"average {n}": tensor for n, tensor in enumerate(step.average.tensors)}
    return {**tensors, "loss_sum": step.loss_sum, "correct": step.correct}


def assert_equal_steps(ordinary, compiled, tolerance=2e-4):
    expected, actual = tensors_of(ordinary), tensors_of(compiled)
    assert set(expected) == set(actual)
    for name, tensor in expected.items():
        if name.endswith("bias") and _has_no_effect(compiled.model, name):
            continue
        torch.testing.assert_close(
            actual[name],
            tensor,
            rtol=tolerance,
            atol=tolerance * 0.1,
            msg=lambda m, n=name: f"{n}: {m}",
        )


def _has_no_effect(model, name):
    """Whether it is the bias before a batch norm: torch's gradient of it is a rounding error."""
    number = int(name.split(".")[1])
    following = model.layers[number + 1 : number + 2]
    return any(isinstance(module, torch.nn.BatchNorm2d) for module in following)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *OTHER_ROWS])
def test_gradients_and_statistics_are_torchs(name):
    rows = OTHER_ROWS.get(name) or ARCHITECTURES[name].rows
    config = make_config([{**row, "p": 0.0} if row["kind"] == "dropout" else row for row in rows])
    ordinary, compiled = make_steps(config)
    batch = make_batch()
    losses = [do_step(step, batch) for step in (ordinary, compiled)]
    torch.testing.assert_close(*losses)
    assert_equal_steps(ordinary, compiled)


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"optimizer": "adam", "weight_decay": 0.01},
        {"optimizer": "adamw", "weight_decay": 0.01},
        {"optimizer": "muon", "momentum": 0.9, "weight_decay": 0.01},
        {"optimizer": "muon", "momentum": 0.9, "clip_norm": 0.1},
        {"clip_norm": 0.1},
        {"label_smoothing": 0.1, "ema_decay": 0.9},
    ],
    ids=str,
)
def test_optimizers_and_losses_are_torchs(changes):
    config = make_config(**changes)
    ordinary, compiled = make_steps(config)
    lr = 0.001 if config.optimizer.startswith("adam") else 0.05
    for number in range(4):
        batch = make_batch(seed=number)
        for step in (ordinary, compiled):
            do_step(step, batch, lr / (1 + number), config.momentum)
    assert_equal_steps(ordinary, compiled, 1e-3)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_teachers_part_of_the_loss_is_torchs(temperature):
    config = make_config(teacher_share=0.7, temperature=temperature, label_smoothing=0.1)
    ordinary, compiled = make_steps(config)
    for batch in (make_batch(teacher=True), make_batch(seed=1)):
        for step in (ordinary, compiled):
            do_step(step, batch)
    assert_equal_steps(ordinary, compiled)


@pytest.mark.parametrize("images", [1, 7, 8, 19, 20])
def test_a_batch_may_be_smaller(images):
    ordinary, compiled = make_steps(make_config())
    for seed in range(2):
        batch = make_batch(images, seed)
        torch.testing.assert_close(do_step(ordinary, batch), do_step(compiled, batch))
    assert_equal_steps(ordinary, compiled)


def test_a_large_batch_is_computed_in_parts():
    ordinary, compiled = make_steps(make_config(batch_size=600))
    batch = make_batch(600)
    for step in (ordinary, compiled):
        do_step(step, batch)
    assert_equal_steps(ordinary, compiled)


def test_gradients_are_close_to_those_in_double_precision():
    config = make_config()
    _, compiled = make_steps(config)
    model = copy.deepcopy(compiled.model).double()
    before = copy.deepcopy(compiled.model.state_dict())
    pixels, labels, _ = make_batch()
    images = (pixels.double() / 255 - 0.1307) / 0.3081
    F.cross_entropy(model(images[:, None]), labels).backward()
    do_step(compiled, (pixels, labels, None), lr=1.0)
    for name, weight in model.named_parameters():
        if not _has_no_effect(model, name):
            gradient = (before[name] - compiled.model.state_dict()[name]).double()
            assert (gradient - weight.grad).norm() < 1e-5 * weight.grad.norm() + 1e-7, name


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adamw"])
def test_the_bits_do_not_depend_on_the_number_of_threads(optimizer):
    config = make_config(optimizer=optimizer, momentum=0.9, batch_size=64, ema_decay=0.9)
    results = []
    for threads in (1, 2, 3, 3):
        _, step = make_steps(config, threads)
        for number in range(30):
            do_step(step, make_batch(64, number), 0.01, 0.9)
        results.append(tensors_of(step))
    for other in results[1:]:
        assert all(torch.equal(results[0][name], other[name]) for name in results[0])


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adam"])
def test_a_saved_state_continues_bit_for_bit_and_with_torch(optimizer):
    config = make_config(optimizer=optimizer, momentum=0.9)
    _, first = make_steps(config)
    for number in range(3):
        do_step(first, make_batch(seed=number), 0.01, 0.9)
    ordinary, compiled = make_steps(config)
    for step in (ordinary, compiled):
        step.model.load_state_dict(copy.deepcopy(first.model.state_dict()))
        load_optimizer_state(step.optimizer, copy.deepcopy(first.optimizer.state_dict()))
        step.loss_sum.copy_(first.loss_sum)
        step.correct.copy_(first.correct)
    for number in range(3, 6):
        for step in (first, ordinary, compiled):
            do_step(step, make_batch(seed=number), 0.01, 0.9)
    expected, actual = tensors_of(first), tensors_of(compiled)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    assert_equal_steps(ordinary, compiled, 5e-3)


def test_dropout_keeps_the_expectation_and_follows_torchs_generator():
    rows = ({"kind": "dropout", "p": 0.25}, {"kind": "linear", "channels": 10, "bias": False})
    config = make_config(rows, batch_size=256)
    gradients = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        _, step = make_steps(config)
        before = step.model.layers[1].weight.detach().clone()
        do_step(step, make_batch(256), lr=1.0)
        gradients.append(before - step.model.layers[1].weight.detach())
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.equal(gradients[0], gradients[2])
    plain = make_config(({"kind": "dropout", "p": 0.0}, rows[1]), batch_size=256)
    _, step = make_steps(plain)
    before = step.model.layers[1].weight.detach().clone()
    do_step(step, make_batch(256), lr=1.0)
    expected = before - step.model.layers[1].weight.detach()
    dropped = torch.stack([gradients[0], gradients[2]]).mean(0)
    assert torch.corrcoef(torch.stack([dropped.flatten(), expected.flatten()]))[0, 1] > 0.9
    assert 0.8 < dropped.norm() / expected.norm() < 1.3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_shows_in_the_loss(value):
    _, step = make_steps(make_config())
    with torch.no_grad():
        step.model.layers[-1].weight[3, 5] = value
    assert not math.isfinite(do_step(step, make_batch()).item())


def rows_strategy():
    conv = st.fixed_dictionaries(
        {
            "kind": st.just("conv"),
            "channels": st.sampled_from([1, 2, 3, 4, 6, 8, 12]),
            "kernel": st.integers(1, 5),
            "stride": st.integers(1, 3),
            "padding": st.integers(0, 3),
            "groups": st.sampled_from([1, 1, 2, 3, 4]),
            "bias": st.booleans(),
            "norm": st.sampled_from(["none", "batch"]),
            "activation": st.sampled_from(["none", "silu", "gelu"]),
        }
    )
    pool = st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["maxpool", "avgpool"]),
            "kernel": st.integers(1, 4),
            "stride": st.integers(1, 4),
        }
    )
    other = st.sampled_from(
        [
            {"kind": "space_to_depth", "block": 2},
            {"kind": "add", "from": 1, "activation": "silu"},
            {"kind": "add", "from": 2},
        ]
    )
    return st.lists(st.one_of(conv, conv, pool, other), min_size=1, max_size=5)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=rows_strategy(), images=st.integers(2, 20))
def test_any_rows_are_computed_as_torch_computes_them(rows, images):
    rows = [*rows, {"kind": "linear", "channels": 10, "activation": "none"}]
    try:
        trace(rows)
    except ArchitectureError:
        return
    ordinary, compiled = make_steps(make_config(rows))
    batch = make_batch(images)
    torch.testing.assert_close(do_step(ordinary, batch), do_step(compiled, batch))
    assert_equal_steps(ordinary, compiled, 1e-3)
