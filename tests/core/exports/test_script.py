"""A run's script, started as a person would, prints the run's own epoch table up to rounding."""

from __future__ import annotations

import ast
import datetime
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.config import RunConfig
from core.data.dataset import FILES, Mnist
from core.exports import script
from core.runs import creation, loading, store
from core.runs.run import Run
from core.runs.worker import train
from core.training import compiled_step
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
NOW = datetime.datetime.now(datetime.UTC)
CONFIGS = {
    "plain": PLAIN,
    # As many options at once as can be combined.
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
    """Write the dataset's four files as they are published, unpacked."""
    folder.mkdir(parents=True)
    tensors = (data.train.images, data.train.labels, data.test.images, data.test.labels)
    for name, tensor in zip(FILES, tensors, strict=True):
        values = tensor.numpy().astype(np.uint8)
        head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
        (folder / name).write_bytes(head + values.tobytes())


def table(printed: str) -> list[list[float]]:
    """The figures of an epoch table: epoch, rate, losses, correct predictions."""
    lines = [line for line in printed.splitlines() if line.startswith("|") and line != HEADER]
    rows = [[cell.strip(" %") for cell in line.strip("|").split("|")] for line in lines]
    return [[float(row[at]) for at in (0, 1, 3, 4, 6, 7)] for row in rows]


def figures(row: EpochResult) -> list[float]:
    return [row.epoch, row.lr, row.train_loss, row.train_correct, row.val_loss, row.val_correct]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_script_trains_to_the_runs_own_table(name, digits, folder, tmp_path, monkeypatch):
    # The compiled step adds in another order than torch, which the script uses.
    monkeypatch.setattr(compiled_step, "is_available", lambda: False)
    made_run(folder, "old", layers=OLDER, seed=7)
    run = creation.create_run(CONFIGS[name], name)
    assert train(run.folder, digits) == "finished"
    run = store.open_run(name)
    write_idx(tmp_path / "data" / "MNIST" / "raw", digits)
    (tmp_path / "script.py").write_text(script.build_script(run))
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
        # Another order of addition rounds differently, which may change an image or two.
        assert mine[:2] == pytest.approx(figures(theirs)[:2], abs=1e-6)
        assert mine[2:] == pytest.approx(figures(theirs)[2:], rel=2e-3, abs=2)
        assert mine[2] == pytest.approx(theirs.train_loss, rel=5e-3)
        assert mine[4] == pytest.approx(theirs.val_loss, rel=5e-3)
    if run.test:
        assert f"Test images: {run.test.correct} of 200 correct" in done.stdout
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    own = loading.load_model(run).state_dict()
    for mine, theirs in zip(saved.values(), own.values(), strict=True):
        assert not mine.is_floating_point() or torch.allclose(mine, theirs, rtol=0.02, atol=0.01)


INJECTION = (
    '"""',
    "'''",
    '"',
    "'",
    "\\",
    "\n",
    "import os\n",
    "os.system('true')\n",
    "RUN_LAYERS",
    "{x}",
    "\0",
)


@given(st.lists(st.sampled_from(INJECTION) | st.text(max_size=4), max_size=6).map("".join))
def test_no_text_becomes_code(text):
    def parse(text: str) -> tuple[str, str]:
        line = "".join(letter for letter in text if letter.isprintable())[:40] or "none"
        config = PLAIN.changed(architecture=line, augmentation=line, transforms=[{"kind": "noise"}])
        config = config.changed(teacher=line)
        run = Run(
            text,
            Path("runs") / "x",
            config,
            NOW,
            text,
            None,
            text,
            (text,),
            None,
            None,
            "",
            "",
            NOW,
            (),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(script, "load_teacher", lambda config, folder: None)
            tree = ast.parse(script.build_script(run))
        return ast.get_docstring(tree, clean=False), ast.dump(ast.Module(tree.body[1:], []))

    docstring, code = parse(text)
    assert code == parse("harmless")[1]
    assert text.replace("\r\n", "\n").replace("\r", "\n") in docstring
