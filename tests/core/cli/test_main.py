"""The command line: its text and JSON output, its errors, and Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from core.config import FIELDS
from core.models.architectures import ARCHITECTURES
from core.recipes import RECIPES

RUNS = [
    "runs",
    "resume",
    "stop",
    "pause",
    "step",
    "fork",
    "teach",
    "digits import",
    "digits list",
    "digits export",
    "digits delete",
    "digits compare",
    "queue",
    "rename",
    "note",
    "delete",
    "bin",
    "restore",
    "export-run",
    "import-run",
    "convert",
]
ROOT = Path(__file__).parents[3]
TINY = json.dumps(
    [
        {"kind": "conv", "channels": 4, "kernel": 5, "stride": 4},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ]
)
QUICK = (
    "--layers",
    TINY,
    "--batch-size",
    "1000",
    "--max-lr",
    "0.5",
    "--device",
    "cpu",
    "--threads",
    "1",
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(tmp_path / "checkpoints"))
    return tmp_path / "checkpoints"


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "core", *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell that runs the tests in the background has its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize(
    "command",
    ["", "train", "summary", "schedule", "evaluate", "predict", "report", "worksheet", *RUNS],
)
def test_every_command_has_help(command, core):
    status, text, _ = core(*command.split(), "--help")
    assert status == 0
    assert "Usage" in text


def test_every_field_of_the_config_is_an_option(core):
    for command in ("train", "schedule", "fork", "teach"):
        text = core(command, "--help")[1]
        for name in FIELDS:
            assert f"--{name.replace('_', '-')}" in text


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_summary_in_json(name, core):
    status, text, _ = core("summary", name, "--json")
    answer = json.loads(text)
    assert status == 0
    assert answer["total_params"] == sum(layer["params"] for layer in answer["layers"])
    assert {"type", "output_shape", "params"} <= answer["layers"][0].keys()
    assert answer["layers"][-1]["output_shape"][1] == 10


def test_summary_in_words(core):
    text = core("summary", "original-3762")[1]
    assert "Total params: 3,762" in text
    assert "4,238 below the budget of 8,000" in text
    assert "8,530 above the budget of 8,000" in core("summary", "initial")[1]


@pytest.mark.parametrize("name", RECIPES)
def test_schedule_in_json(name, core):
    status, text, _ = core("schedule", "--recipe", name, "--json")
    rows = json.loads(text)
    assert status == 0
    assert [row["epoch"] for row in rows] == list(range(1, RECIPES[name].config.epochs + 1))


def test_schedule_takes_the_options_of_train(core):
    rows = json.loads(
        core("schedule", "--recipe", "final", "--lr", "0.1", "--max-lr", "0.2", "--json")[1]
    )
    assert [round(row["lr"], 6) for row in rows[:3]] == [0.1, 0.15, 0.2]


@pytest.mark.parametrize(
    ("arguments", "warnings"),
    [
        ("--lr 0.1", ["--lr has no effect with --schedule one-cycle; use --max-lr"]),
        ("--schedule cosine --lr 0.1", []),
        ("--temperature 3 --nesterov --optimizer adam", ["--temperature", "--nesterov"]),
        ("--recipe final --holdout-seed 3", ["--holdout-seed has no effect with --holdout 0"]),
    ],
)
def test_an_option_without_effect_is_warned_about(arguments, warnings, core):
    status, _, error = core("schedule", *arguments.split(" "))
    assert status == 0
    lines = error.splitlines()
    assert len(lines) == len(warnings)
    for words in warnings:
        assert sum(line.startswith(f"Warning: {words}") for line in lines) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_rows_are_read_in_any_unicode_encoding(encoding, core, tmp_path):
    path = tmp_path / "rows.json"
    path.write_bytes('[{"kind": "linear"}]'.encode(encoding))
    assert core("schedule", "--layers", str(path), "--epochs", "1")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("schedule --layers /dev/zero", 1, "not a regular file"),
        ("schedule --lr fast", 1, "lr must be a number, not 'fast'"),
        ("schedule --lr 99", 1, "lr is 99.0, but it must be between 0 and 10"),
        ("schedule --recipe best-ever", 1, "no recipe 'best-ever'; choose initial"),
        ("schedule --colour red", 2, "No such option"),
        ("schedule --layers nowhere.json", 1, "layers must be a list of rows as JSON"),
        ("summary nix", 1, "unknown architecture 'nix'"),
        ("summary", 2, "Missing argument"),
        ("train --name ../x --recipe final", 1, "cannot be a run's name"),
        ("train --batch-size 60000", 1, "above this machine's limit"),
        ('train --layers [{"kind":"conv","kernel":40}]', 1, "row 1"),
        ("evaluate nothing", 1, "no run 'nothing'"),
        ("predict nothing x.png", 1, "no run 'nothing'"),
        ("stop nothing", 1, "no run 'nothing'"),
        ("resume nothing", 1, "no run 'nothing'"),
        ("queue --drop nothing", 1, "not waiting"),
        ("queue --move nothing 0", 1, "positions in the queue start at 1"),
        ("dance", 2, "No such command"),
    ],
)
def test_errors_are_one_sentence_on_standard_error(arguments, status, words, core):
    code, text, error = core(*arguments.split(" "))
    assert (code, text) == (status, "")
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert words in error


def test_without_runs_a_command_to_start_is_shown(core):
    assert core("runs")[1].startswith("No runs yet")
    assert json.loads(core("runs", "--json")[1]) == []
    assert core("queue")[1] == "No runs are training or waiting.\n"


@pytest.mark.mnist
def test_a_run_from_start_to_prediction(core, folder, tmp_path, mnist):
    done = start("train", "--name", "one", "--epochs", "2", *QUICK)
    text, error = done.communicate(timeout=120)
    assert done.returncode == 0, error
    lines = text.splitlines()
    assert lines[-3].startswith("| Epoch | LR       | Time    | TrainLoss |")
    assert [line[:8] for line in lines[-2:]] == ["|     1 ", "|     2 "]

    (run,) = json.loads(core("runs", "--json")[1])
    assert (run["name"], run["state"], len(run["epochs"])) == ("one", "finished", 2)
    assert run["config"]["batch_size"] == 1000
    assert "one" in core("runs")[1]

    status, text, _ = core("evaluate", "one", "--json")
    answer = json.loads(text)
    assert status == 0
    assert (answer["correct"], answer["total"]) == (run["epochs"][-1]["val_correct"], 10_000)
    assert answer["accuracy"] == pytest.approx(answer["correct"] / 100)
    assert answer["loss"] == pytest.approx(run["epochs"][-1]["val_loss"], rel=1e-5)
    assert (answer["epoch"], answer["measured_on"]) == (2, "test images")
    assert answer["interval"][0] < answer["accuracy"] < answer["interval"][1]
    text = core("evaluate", "one", "--weights", "best")[1]
    assert "one (best epoch, " in text
    assert "% of the test images" in text
    assert "interval" in text
    assert "optimistic" in text
    assert core("evaluate", "one", "--weights", "worst")[0] == 1
    for row in run["epochs"]:
        answer = json.loads(core("evaluate", "one", "--epoch", str(row["epoch"]), "--json")[1])
        assert (answer["weights"], answer["epoch"]) == ("epoch", row["epoch"])
        assert (answer["correct"], answer["note"]) == (row["val_correct"], "")
    assert "one (before the first epoch): " in core("evaluate", "one", "--epoch", "0")[1]
    assert "it kept those after epochs 0 to 2" in core("evaluate", "one", "--epoch", "3")[2]
    assert core("evaluate", "one", "--epoch", "-1")[0] == 2

    paths = []
    for index in range(8):
        ink = mnist.test.images[index].numpy()
        for name, picture in (("dark", ink), ("light", 255 - ink)):
            paths.append(tmp_path / f"{index}-{name}.png")
            Image.fromarray(picture).resize((112, 112)).save(paths[-1])
    status, text, _ = core("predict", "one", *map(str, paths), "--json")
    rows = json.loads(text)
    assert status == 0
    assert all(len(row["probabilities"]) == 10 for row in rows)
    assert all(sum(row["probabilities"]) == pytest.approx(1, abs=1e-5) for row in rows)
    assert [row["digit"] for row in rows[::2]] == [row["digit"] for row in rows[1::2]]
    assert (
        sum(row["digit"] == int(mnist.test.labels[index // 2]) for index, row in enumerate(rows))
        >= 12
    )

    first, second = (
        json.loads(core("predict", "one", str(paths[0]), "--epoch", epoch, "--json")[1])[0]
        for epoch in ("0", "2")
    )
    # One image alone and several together differ by roundings.
    assert rows[0]["probabilities"] == pytest.approx(second["probabilities"], abs=1e-5)
    assert first["probabilities"] != pytest.approx(second["probabilities"], abs=1e-5)

    blank, text_file = tmp_path / "blank.png", tmp_path / "not.png"
    Image.new("L", (50, 50), 255).save(blank)
    text_file.write_text("no picture")
    assert "found no digit" in core("predict", "one", str(blank))[2]
    assert "not a picture" in core("predict", "one", str(text_file))[2]
    assert "cannot be read" in core("predict", "one", str(tmp_path / "missing.png"))[2]
    assert "finished" in core("stop", "one")[2]
    assert "finished" in core("resume", "one")[2]
    assert "already a run" in core("train", "--name", "one")[2]


def test_several_digits_in_a_picture_are_read_as_a_number_on_request(core, folder):
    shipped = ROOT / "checkpoints" / "best"
    if not (shipped / "last.safetensors").is_file():
        pytest.skip("the run `best` is not shipped here")
    shutil.copytree(shipped, folder / "best")
    cases = ROOT / "tests" / "cases" / "pictures"
    two, five = str(cases / "two_12.png"), str(cases / "frame1.png")
    status, text, error = core("predict", "best", five, two)
    assert (status, text) == (1, "")
    assert "shows 2 digits; add --number" in error
    assert f"{five}: 5 (" in core("predict", "best", five)[1]
    status, text, _ = core("predict", "best", five, two, "--number")
    assert status == 0
    assert [line.split(": ")[1].split()[0] for line in text.splitlines()] == ["5", "12"]
    _, answer = json.loads(core("predict", "best", five, two, "--number", "--json")[1])
    assert (answer["image"], answer["number"]) == (two, "12")
    assert [digit["digit"] for digit in answer["digits"]] == [1, 2]
    assert answer["probability"] == pytest.approx(
        max(answer["digits"][0]["probabilities"]) * max(answer["digits"][1]["probabilities"])
    )


@pytest.mark.mnist
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_a_run_stopped_by_ctrl_c_resumes_to_the_same_result(core, folder):
    options = ("--epochs", "12", "--augmentation", "gentle", "--precision", "fp32", *QUICK)
    whole = start("train", "--name", "whole", *options, "--json")
    table = json.loads(whole.communicate(timeout=120)[0])["epochs"]

    left = start("train", "--name", "left", *options)
    deadline = time.monotonic() + 60
    while '"kind": "batch"' not in _events(folder / "left") and time.monotonic() < deadline:
        time.sleep(0.05)
    left.send_signal(signal.SIGINT)
    _, error = left.communicate(timeout=60)
    assert left.returncode == 1
    assert "left is stopped" in error.splitlines()[-1]

    done = start("resume", "left", "--json")
    answer = json.loads(done.communicate(timeout=120)[0])
    assert (done.returncode, answer["state"]) == (0, "finished")
    assert [{**row, "seconds": 0} for row in answer["epochs"]] == [
        {**row, "seconds": 0} for row in table
    ]


def _events(folder: Path) -> str:
    path = folder / "events.jsonl"
    return path.read_text() if path.exists() else ""
