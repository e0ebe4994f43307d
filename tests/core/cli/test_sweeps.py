"""Commands for sweeps: start, work, status, stop, winner, delete."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.experiments import repeats
from core.runs import processes, run_queue
from core.sweeps import storage as sweep_storage
from core.sweeps import study
from core.sweeps import worker as sweep_worker
from core.sweeps.sweep import HOLDOUT
from tests.core.cli_runner import run_json, run_refused
from tests.core.sweeps import sweeping


@pytest.fixture(autouse=True)
def folder(folder, monkeypatch) -> Path:
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)
    monkeypatch.setattr(sweep_worker, "train_in_queue", sweeping.epochs)
    monkeypatch.setattr(sweep_worker, "LOOK_SECONDS", 0.0)
    yield folder
    sweep_storage._open.cache_clear()


def test_a_sweep_over_widths_and_learning_rates(core):
    answer = run_json(
        core,
        "sweep",
        "start",
        "mine",
        "--recipe",
        "final",
        "--widths",
        "4..8..2",
        "--epochs",
        "2",
        "--vary",
        "max-lr=0.02..0.2:log",
        "--runs",
        "3",
        "--max-parameters",
        "7999",
        "--sampler",
        "random",
    )
    assert [trial["state"] for trial in answer["trials"]] == ["done"] * 3
    assert answer["over"]
    assert set(answer["sweep"]["space"]) == {
        "max_lr",
        *(f"rows.{row}.channels" for row in (1, 2, 3, 6, 7, 8, 11, 12, 13)),
    }
    assert answer["sweep"]["config"]["holdout"] == HOLDOUT
    assert answer["sweep"]["recipe"] == "final"
    best = answer["trials"][answer["best"] - 1]
    assert best["accuracy"] == max(trial["accuracy"] for trial in answer["trials"])
    assert run_json(core, "sweep", "status", "mine") == answer
    assert run_json(core, "sweep", "status") == [answer]
    status, text, _ = core("sweep", "status", "mine")
    assert status == 0
    assert best["run"] in text.splitlines()[1]
    assert "mine: 3 of 3 runs done. Best on 10,000 validation images" in text
    assert core("sweep", "status")[1].startswith("mine: 3 of 3")


def test_a_stopped_sweep_continues(core, monkeypatch):
    monkeypatch.setattr(sweep_worker, "start", lambda name: None)
    started = run_json(
        core,
        "sweep",
        "start",
        "mine",
        "--vary",
        "ema_decay=0,0.9",
        "--runs",
        "2",
        "--epochs",
        "1",
        "--detach",
    )
    assert {trial["state"] for trial in started["trials"]} == {"waiting"}
    assert run_json(core, "sweep", "stop", "mine")["stopped"]
    status, text, messages = core("sweep", "work", "mine")
    assert status == 0, messages
    assert "2 of 2 runs done" in text
    assert [line.split(":")[0] for line in messages.splitlines()] == ["mine-001", "mine-002"]


def test_ctrl_c_says_how_to_continue(core, monkeypatch):
    def interrupted(job, should_continue):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(sweep_worker, "train_in_queue", interrupted)
    error = run_refused(core, "sweep", "start", "mine", "--vary", "ema_decay=0,0.9", "--runs", "1")
    assert "python -m core sweep work mine" in error


def test_a_storage_can_be_given(core, tmp_path):
    address = f"sqlite:///{tmp_path / 'shared.db'}"
    run_json(
        core,
        "sweep",
        "start",
        "mine",
        "--vary",
        "ema_decay=0,0.9",
        "--runs",
        "1",
        "--storage",
        address,
    )
    assert run_json(core, "sweep", "status") == []
    assert run_json(core, "sweep", "status", "mine", "--storage", address)["over"]


def test_the_winner_is_trained_with_several_seeds(core, monkeypatch):
    monkeypatch.setattr(run_queue, "start_worker", lambda place: processes.identity())
    best = run_json(
        core, "sweep", "start", "mine", "--vary", "max_lr=0.02..0.2", "--runs", "2", "--epochs", "1"
    )["best"]
    answer = run_json(core, "sweep", "winner", "mine", "--repeats", "3", "--detach")
    assert answer["name"] == f"mine-{best:03d}-all"
    group = repeats.open_group(answer["name"])
    assert {(run.config.holdout, run.config.seed) for run in group.runs} == {(0, 1), (0, 2), (0, 3)}


def test_deleting_a_sweep_needs_confirmation(core, monkeypatch):
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n", raising=False)
    run_json(
        core, "sweep", "start", "mine", "--vary", "ema_decay=0,0.9", "--runs", "1", "--epochs", "1"
    )
    assert "nothing was done" in core("sweep", "delete", "mine")[2]
    assert run_json(core, "sweep", "delete", "mine", "--yes") == {"name": "mine"}
    assert "No sweeps yet" in core("sweep", "status")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("start", "mine"), "at least one field to vary"),
        (("start", "mine", "--vary", "ema_decay"), "FIELD=VALUES"),
        (("start", "mine", "--vary", "speed=1,2"), "cannot vary 'speed'"),
        (("start", "mine", "--vary", "ema_decay=0,0.9", "--aim", "speed"), "aim is 'speed'"),
        (
            ("start", "mine", "--vary", "ema_decay=0,0.9", "--holdout", "0"),
            "never on the test images",
        ),
        (("start", "a/b", "--vary", "ema_decay=0,0.9"), "cannot be a run's name"),
        (
            ("start", "mine", "--architecture", "linear-7850", "--widths", "4..8"),
            "no row whose width",
        ),
        (("start", "mine", "--vary", "ema_decay=0,0.9", "--storage", "nowhere"), "postgresql://"),
        (("work", "none"), "no sweep 'none'"),
        (("status", "none"), "no sweep 'none'"),
        (("stop", "none"), "no sweep"),
        (("winner", "none"), "no sweep"),
        (("delete", "none"), "no sweep"),
    ],
)
def test_impossible_commands_are_refused_in_one_sentence(core, arguments, words):
    assert words in run_refused(core, "sweep", *arguments)


def test_a_damaged_sweep_does_not_hide_the_others(core):
    for name in ("mine", "other"):
        arguments = ("--vary", "ema_decay=0,0.9", "--runs", "1", "--epochs", "1")
        run_json(core, "sweep", "start", name, *arguments)
    opened, _ = study.load("other")
    opened.set_user_attr("sweep", {"format": "inkling-sweep", "name": ["other"]})
    status, text, errors = core("sweep", "status")
    assert (status, text.split(":")[0]) == (0, "mine")
    assert "other is damaged" in errors


def test_an_option_without_effect_in_a_sweep_is_warned_about(core):
    arguments = ("sweep", "start", "mine", "--recipe", "final", "--runs", "1", "--epochs", "1")
    vary = ("--vary", "max_lr=0.1,0.2", "--vary", "optimizer=sgd,adam")
    given = ("--max-lr", "0.3", "--lr", "0.1", "--optimizer", "adam", "--no-nesterov")
    status, _, error = core(*arguments, *vary, "--schedule", "one-cycle", *given)
    assert status == 0, error
    warnings = [line for line in error.splitlines() if line.startswith("Warning")]
    # Nesterov counts in those runs that have SGD.
    assert [line.split()[1] for line in warnings] == ["--lr", "--max-lr", "--optimizer"]
    assert "varies" in warnings[1]
    assert "use --max-lr" in warnings[0]
