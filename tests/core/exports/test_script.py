"""A run's script, started as a person would: it comes to the run's own epoch table, but for rounding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config import RunConfig
from core.data.dataset import FILES, Mnist
from core.exports import script
from core.runs import creation, loading, store
from core.runs.worker import train
from core.training import runtime
from core.training.results import HEADER, EpochResult
from tests.made import made_run

NORMED = (
    {"kind": "conv", "channels": 6, "kernel": 5, "stride": 4, "norm": "batch", "bias": False},
    {"kind": "dropout"},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
OLDER = (
    {"kind": "conv", "channels": 8, "kernel": 5, "stride": 3, "norm": "batch"},
    {"kind": "global_avgpool"},
    {"kind": "dropout", "p": 0.5},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
PLAIN = RunConfig(
    layers=NORMED,
    dropout=0.1,
    batch_size=60,
    epochs=2,
    max_lr=0.1,
    device="cpu",
    precision="fp32",
    threads=1,
    seed=3,
)
CONFIGS = {
    "plain": PLAIN,
    # Everything at once that a script can hold, in two runs, since the two optimizers exclude each other.
    "rich": PLAIN.changed(
        augmentation="final",
        augment_fraction=0.5,
        schedule="one-cycle",
        momentum_cycle=True,
        anneal="cos",
        ema_decay=0.9,
        weight_decay=0.001,
        nesterov=True,
        label_smoothing=0.1,
        clip_norm=1.0,
        initialisation="he",
    ),
    "adadelta": PLAIN.changed(optimizer="adadelta", schedule="exponential", lr=1.0, gamma=0.5),
    "muon": PLAIN.changed(
        optimizer="muon", weight_decay=0.01, schedule="one-cycle", momentum_cycle=True
    ),
    "held": PLAIN.changed(
        optimizer="adamw",
        weight_decay=0.01,
        schedule="triangle",
        lr=0.001,
        max_lr=0.01,
        holdout=100,
        holdout_seed=2,
    ),
    "taught": PLAIN.changed(
        teacher="old",
        teacher_share=0.7,
        temperature=3.0,
        augmentation="final",
        augment_fraction=0.5,
    ),
    "rounded": PLAIN.changed(precision="bf16", teacher="old", ema_decay=0.9),
}


def write_idx(folder: Path, data: Mnist) -> None:
    """The dataset's four files as they are published."""
    folder.mkdir()
    tensors = (data.train.images, data.train.labels, data.test.images, data.test.labels)
    for name, tensor in zip(FILES, tensors, strict=True):
        values = tensor.numpy().astype(np.uint8)
        head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
        (folder / name).write_bytes(head + values.tobytes())


def table(printed: str) -> list[list[float]]:
    """The epoch table's figures: epoch, rate, losses, right answers."""
    lines = [line for line in printed.splitlines() if line.startswith("|") and line != HEADER]
    rows = [[cell.strip(" %") for cell in line.strip("|").split("|")] for line in lines]
    return [[float(row[at]) for at in (0, 1, 3, 4, 6, 7)] for row in rows]


def figures(row: EpochResult) -> list[float]:
    return [row.epoch, row.lr, row.train_loss, row.train_correct, row.val_loss, row.val_correct]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_script_trains_to_the_runs_own_table(name, digits, folder, tmp_path, monkeypatch):
    # Our own loops sum in another order than torch, which the script uses; over a few steps that grows.
    monkeypatch.setattr(runtime.batch_last, "is_available", lambda: False)
    made_run(folder, "old", layers=OLDER, seed=7)
    run = creation.create_run(CONFIGS[name], name)
    assert train(run.folder, digits) == "finished"
    run = store.open_run(name)
    write_idx(tmp_path / "data", digits)
    (tmp_path / "script.py").write_text(script.source(run))
    command = [
        sys.executable,
        "-W",
        "error::UserWarning",
        "script.py",
        "--data",
        "data",
        "--device",
        "cpu",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert HEADER in done.stdout
    rows = table(done.stdout)
    assert len(rows) == 2
    for mine, theirs in zip(rows, run.epochs, strict=True):
        # A sum in another order rounds otherwise, which may tip an image or two.
        assert mine[:2] == pytest.approx(figures(theirs)[:2], abs=1e-6)
        assert mine[2:] == pytest.approx(figures(theirs)[2:], rel=2e-3, abs=2)
        assert mine[2] == pytest.approx(theirs.train_loss, rel=5e-3)
        assert mine[4] == pytest.approx(theirs.val_loss, rel=5e-3)
    if run.test:
        assert f"On the test images, once: {run.test.correct} of 200 right" in done.stdout
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    own = loading.load_model(run).state_dict()
    for mine, theirs in zip(saved.values(), own.values(), strict=True):
        assert not mine.is_floating_point() or torch.allclose(mine, theirs, rtol=0.02, atol=0.01)


def test_a_script_without_its_data_says_what_to_do(tmp_path):
    run = creation.create_run(PLAIN, "plain")
    text = script.source(run).replace("https://", "nowhere://")
    (tmp_path / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert done.returncode != 0
    assert "put MNIST's four files, unpacked, into the folder given by --data" in done.stderr
    assert "Traceback" not in done.stderr
