"""What the command line does with sweeps: begin, work, show, stop, train the winner, forget."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.experiments import repeats
from core.runs import processes, run_queue
from core.sweeps import storage as sweep_storage
from core.sweeps import sweep as sweeps
from core.sweeps import worker as sweep_worker
from tests.core.asking import read, refused
from tests.core.sweeps import sweeping


@pytest.fixture(autouse=True)
def folder(folder, monkeypatch) -> Path:
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda console, quiet: None)
    monkeypatch.setattr(sweep_worker, "through_queue", sweeping.epochs)
    monkeypatch.setattr(sweep_worker, "LOOK", 0.0)
    yield folder
    sweep_storage._connect.cache_clear()


def test_one_command_searches_widths_and_rates(core):
    answer = read(
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
    assert answer["sweep"]["config"]["holdout"] == sweeps.HOLDOUT
    assert answer["sweep"]["recipe"] == "final"
    best = answer["trials"][answer["best"] - 1]
    assert best["accuracy"] == max(trial["accuracy"] for trial in answer["trials"])
    assert read(core, "sweep", "status", "mine") == answer
    assert read(core, "sweep", "status") == [answer]
    status, text, _ = core("sweep", "status", "mine")
    assert status == 0
    assert best["run"] in text.splitlines()[1]
    assert "mine: 3 of 3 runs are through. Best on 10,000 held-out images" in text
    assert core("sweep", "status")[1].startswith("mine: 3 of 3")


def test_a_sweep_is_stopped_and_goes_on(core, monkeypatch):
    monkeypatch.setattr(sweep_worker, "start", lambda name: None)
    started = read(
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
    assert read(core, "sweep", "stop", "mine")["stopped"]
    status, text, said = core("sweep", "work", "mine")
    assert status == 0, said
    assert "2 of 2 runs are through" in text
    assert [line.split(":")[0] for line in said.splitlines()] == ["mine-001", "mine-002"]


def test_ctrl_c_says_how_to_go_on(core, monkeypatch):
    def interrupted(job, go_on):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(sweep_worker, "through_queue", interrupted)
    error = refused(core, "sweep", "start", "mine", "--vary", "ema_decay=0,0.9", "--runs", "1")
    assert "`python -m core sweep work mine` goes on" in error


def test_a_storage_is_named_by_the_operator(core, tmp_path):
    address = f"sqlite:///{tmp_path / 'shared.db'}"
    read(
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
    assert read(core, "sweep", "status") == []
    assert read(core, "sweep", "status", "mine", "--storage", address)["over"]


def test_the_winner_is_trained_with_several_seeds(core, monkeypatch):
    monkeypatch.setattr(run_queue, "start_worker", lambda place: processes.identity())
    best = read(
        core, "sweep", "start", "mine", "--vary", "max_lr=0.02..0.2", "--runs", "2", "--epochs", "1"
    )["best"]
    answer = read(core, "sweep", "winner", "mine", "--repeats", "3", "--detach")
    assert answer["name"] == f"mine-{best:03d}-all"
    group = repeats.open_group(answer["name"])
    assert {(run.config.holdout, run.config.seed) for run in group.runs} == {(0, 1), (0, 2), (0, 3)}


def test_a_sweep_is_forgotten_when_it_is_said_so(core, monkeypatch):
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n", raising=False)
    read(
        core, "sweep", "start", "mine", "--vary", "ema_decay=0,0.9", "--runs", "1", "--epochs", "1"
    )
    assert "nothing was done" in core("sweep", "delete", "mine")[2]
    assert read(core, "sweep", "delete", "mine", "--yes") == {"name": "mine"}
    assert "There is no sweep yet" in core("sweep", "status")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("start", "mine"), "at least one field to vary"),
        (("start", "mine", "--vary", "ema_decay"), "NAME=VALUES"),
        (("start", "mine", "--vary", "speed=1,2"), "cannot vary 'speed'"),
        (("start", "mine", "--vary", "ema_decay=0,0.9", "--aim", "speed"), "aim is 'speed'"),
        (
            ("start", "mine", "--vary", "ema_decay=0,0.9", "--holdout", "0"),
            "never by the test images",
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
def test_what_cannot_be_done_is_said_in_a_sentence(core, arguments, words):
    assert words in refused(core, "sweep", *arguments)
