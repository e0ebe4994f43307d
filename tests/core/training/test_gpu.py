"""Training on a CUDA GPU; skipped elsewhere.

All such tests: `python -m pytest -m cuda tests/core/training tests/core/data tests/core/models`.
"""

from __future__ import annotations

import dataclasses
import io

import pytest
import torch

from core.config import OPTIMIZERS, RunConfig
from core.models.network import build
from core.recipes import RECIPES
from core.training import runtime as runtimes
from core.training.plan import plan
from core.training.results import BatchResult, EpochResult
from core.training.trainer import Training

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no CUDA GPU here."),
    # Autograd's thread gets its context in the first product of matrices; torch says so once.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]
SMALL = RunConfig(
    layers=(
        {"kind": "conv", "channels": 8, "kernel": 3, "stride": 2, "norm": "batch"},
        {"kind": "conv", "channels": 8, "kernel": 3, "stride": 2, "norm": "batch"},
        {"kind": "dropout", "p": 0.1},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ),
    augmentation="stretch",
    lr=0.02,
    max_lr=0.05,
    batch_size=50,
    epochs=3,
    schedule="triangle",
    ema_decay=0.9,
    label_smoothing=0.1,
    device="cuda",
    precision="fp32",
)  # 12 steps an epoch
FEW_CHANNELS = (
    {"kind": "conv", "channels": 4, "kernel": 3, "padding": 1, "norm": "batch", "bias": False},
    {"kind": "maxpool"},
    {"kind": "conv", "channels": 8, "kernel": 3, "padding": 1, "norm": "batch", "bias": False},
    {"kind": "global_avgpool"},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
CYCLE = {"schedule": "one-cycle", "momentum_cycle": True}
VARIANTS = {
    **{optimizer: {"optimizer": optimizer} for optimizer in OPTIMIZERS},
    "sgd, cycled momentum": CYCLE,
    "muon, cycled momentum": {"optimizer": "muon", **CYCLE},
    "adam, cycled momentum": {"optimizer": "adam", **CYCLE},
    "clipped": {"clip_norm": 0.5, "weight_decay": 1e-3},
    "bf16": {"precision": "bf16"},
    "plain": {"augmentation": "none"},
    "elastic": {"augmentation": "strong"},
    "taught": {"teacher": "teacher", "teacher_share": 0.7, "optimizer": "muon"},
    "held out": {"holdout": 100},
    "few channels": {"layers": FEW_CHANNELS, "optimizer": "muon"},
}


def make_training(config: RunConfig, digits, **options) -> Training:
    teacher = None
    if config.teacher != "none":
        teacher = build(plan(SMALL).rows, SMALL)
    return Training(config, digits, teacher=teacher, **options)


def train(training: Training) -> tuple[list[dict], list[float]]:
    """Finish a run; return its rows without their times, and the losses of all steps."""
    results = list(training.run())
    rows = [
        dataclasses.replace(result, seconds=0).to_dict()
        for result in results
        if isinstance(result, EpochResult)
    ]
    return rows, [result.loss.item() for result in results if isinstance(result, BatchResult)]


@pytest.mark.parametrize("name", VARIANTS)
def test_steps_are_replayed_and_equal_ordinary_ones(name, digits):
    config = SMALL.changed(**VARIANTS[name])
    ordinary = make_training(config, digits)
    ordinary.captured = None
    _, losses = train(ordinary)
    training = make_training(config, digits)
    rows, replayed = train(training)
    assert training.captured is not None
    assert training.captured.refusal == ""
    assert training.runtime.not_captured == ""
    assert training.runtime.workers == 0
    first = 8  # later, rounding has grown
    assert replayed[:first] == pytest.approx(losses[:first], rel=0.02)
    assert len(rows) == config.epochs


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_captured(name, digits):
    config = RECIPES[name].config.changed(
        device="cuda", precision="fp32", epochs=1, batch_size=60, holdout=0
    )
    training = make_training(config, digits)
    rows, _ = train(training)
    assert training.captured is not None
    assert training.captured.refusal == ""
    assert len(rows) == 1


@pytest.mark.parametrize(
    "name", ["sgd", "muon", "adam", "taught", "elastic", "bf16", "few channels"]
)
def test_a_stopped_run_continues_exactly(name, digits):
    config = SMALL.changed(**VARIANTS[name])
    whole = make_training(config, digits)
    rows, _ = train(whole)

    left = make_training(config, digits)
    stream = left.run()
    for _, result in zip(range(18), stream, strict=False):  # into the second epoch
        assert result
    file = io.BytesIO()
    torch.save(left.state_dict(), file)
    stream.close()
    file.seek(0)
    state = torch.load(file, weights_only=True, map_location="cpu")
    resumed = make_training(config, digits, state=state, runtime=left.runtime)
    again, _ = train(resumed)
    assert again == rows[1:]
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, resumed.weights()[name]), name


def test_the_same_seed_gives_the_same_run(digits):
    first, again = (train(make_training(SMALL, digits)) for _ in range(2))
    assert first == again


def test_a_gpu_trains_as_the_cpu_does(digits):
    config = SMALL.changed(layers=[*SMALL.layers[:2], SMALL.layers[3]], optimizer="muon")
    _, losses = train(make_training(config, digits))
    _, expected = train(make_training(config.changed(device="cpu", threads=1), digits))
    assert losses[:6] == pytest.approx(expected[:6], rel=0.05)
    assert losses[-1] == pytest.approx(expected[-1], rel=0.5)


def test_a_run_from_a_gpu_continues_on_the_cpu(digits, monkeypatch):
    began = make_training(SMALL.changed(optimizer="muon"), digits)
    stream = began.run()
    for _, result in zip(range(18), stream, strict=False):
        assert result
    file = io.BytesIO()
    torch.save(began.state_dict(), file)
    stream.close()
    file.seek(0)
    state = torch.load(file, weights_only=True, map_location="cpu")
    monkeypatch.setattr(
        runtimes, "_available_devices", lambda: {"cuda": False, "mps": False, "cpu": True}
    )
    resumed = make_training(began.config, digits, state=state, runtime=began.runtime)
    assert resumed.device.type == "cpu"
    assert "continues on the CPU" in resumed.notice
    rows, _ = train(resumed)
    assert len(rows) == 2


def test_kinds_that_the_gpu_does_not_compute_are_augmented_by_worker_processes(digits):
    pytest.importorskip("albumentations", reason="The CPU's transforms need Albumentations.")
    transforms = [{"kind": "affine"}, {"kind": "blur"}]
    training = make_training(SMALL.changed(transforms=transforms), digits)
    assert training.runtime.workers > 0
    rows, _ = train(training)
    assert training.captured is not None
    assert training.captured.refusal == ""
    assert rows[-1]["train_correct"] > 300


def test_adams_cycled_momentum_says_why_it_is_not_captured(digits):
    wide = ({**SMALL.layers[0], "channels": 24}, *SMALL.layers[1:])  # too wide for the kernels
    training = make_training(SMALL.changed(layers=wide, optimizer="adam", **CYCLE), digits)
    assert training.captured is None
    assert "momentum" in training.runtime.not_captured
    assert len(train(training)[0]) == SMALL.epochs
