"""Commands for experiments: groups, comparisons, the LR range test, reports and exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from core.experiments import lr_range
from core.exports import export as exports
from core.runs import files, processes, run_queue, store
from core.runs.worker import train
from tests.core.cli_runner import run_json, run_refused
from tests.made import made_run

TINY = json.dumps(
    [
        {"kind": "avgpool", "kernel": 4, "stride": 4},
        {"kind": "linear", "channels": 10, "activation": "none"},
    ]
)
QUICK = (
    "--layers",
    TINY,
    "--batch-size",
    "100",
    "--epochs",
    "1",
    "--device",
    "cpu",
    "--threads",
    "1",
)


@pytest.fixture(autouse=True)
def folder(folder, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def quick(monkeypatch, digits):
    """Train submitted runs in this process, on generated digits."""
    monkeypatch.setattr("core.data.dataset.load", lambda *given, **more: digits)
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)
    monkeypatch.setattr("core.cli.watch.POLL", 0.0)

    def start(place: Path) -> tuple[int, float]:
        pending.append(place)
        return processes.identity()

    pending: list[Path] = []
    monkeypatch.setattr(run_queue, "start_worker", start)
    opened = store.open_run

    def open_run(name, *given):
        while pending:
            train(pending.pop(), digits)
        return opened(name, *given)

    monkeypatch.setattr("core.cli.watch.store.open_run", open_run)
    return pending


def test_a_config_is_trained_with_several_seeds(core, quick):
    answer = run_json(core, "train", *QUICK, "--repeats", "3", "--name", "three", "--seed", "5")
    assert answer["runs"] == ["three-s5", "three-s6", "three-s7"]
    assert answer["finished"] == 3
    assert answer["interval"][0] <= answer["mean"] <= answer["interval"][1]
    assert all(store.open_run(name).group == "three" for name in answer["runs"])
    status, text, _ = core("runs", "--groups")
    assert status == 0
    assert "three" in text
    assert "3/3" in text
    assert run_json(core, "runs", "--groups")[0] == answer
    assert {run["group"] for run in run_json(core, "runs")} == {"three"}


def test_a_group_is_named_after_its_architecture(core, quick):
    text = core("train", *QUICK, "--repeats", "2")[1]
    assert "original-3762: " in text
    assert "mean of 2 seeds" in text
    assert core("train", *QUICK, "--repeats", "2")[1].count("original-3762-2: ") == 1


def test_a_group_can_be_trained_in_the_background(core, monkeypatch, folder):
    monkeypatch.setattr(run_queue, "start_worker", lambda place: processes.identity())
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)
    answer = run_json(core, "train", *QUICK, "--repeats", "3", "--name", "many", "--detach")
    assert (answer["finished"], answer["mean"]) == (0, None)
    assert run_queue.list_waiting() == ["many-s2", "many-s3"]


def test_an_interrupted_group_leaves_nothing_in_the_queue(core, monkeypatch, folder):
    monkeypatch.setattr(run_queue, "start_worker", lambda place: processes.identity())
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)

    def stopped(name, *given, **more):
        from core.runs import status

        status.write(folder / name, "stopped", "")
        return store.open_run(name)

    monkeypatch.setattr("core.cli.watch.follow", stopped)
    status, _, error = core("train", *QUICK, "--repeats", "3", "--name", "many", "--json")
    assert status == 1
    assert "many-s1 is stopped" in error
    assert run_queue.list_waiting() == []


def test_without_groups_a_command_to_start_is_shown(core):
    assert "No groups yet" in core("runs", "--groups")[1]
    assert run_json(core, "runs", "--groups") == []


def test_impossible_groups_are_refused(core):
    assert "2 to 100 runs, not 101" in run_refused(core, "train", *QUICK, "--repeats", "101")
    assert "cannot be a run's name" in run_refused(
        core, "train", *QUICK, "--repeats", "2", "--name", "../x"
    )


@pytest.mark.mnist
def test_two_runs_are_compared(core, folder):
    made_run(folder, "a")
    made_run(folder, "b", seed=2)
    answer = run_json(core, "compare", "a", "b")
    assert (
        sum(
            answer["images"][part]
            for part in ("both_correct", "only_first", "only_second", "both_wrong")
        )
        == 10_000
    )
    text = core("compare", "a", "b")[1]
    assert text.startswith(answer["summary"])
    assert "McNemar" in text
    assert f"{answer['images']['only_first']:,} only a correct" in text


def test_groups_are_compared_and_other_pairs_refused(core, folder):
    for name, correct in (("one", (9_900, 9_910)), ("two", (9_950, 9_961))):
        for seed, each in enumerate(correct, 1):
            run = made_run(folder, f"{name}-s{seed}", group=name, seed=seed)
            rows = files.read_json(run.folder / "epochs.json")
            files.write_json(
                run.folder / "epochs.json", [*rows[:-1], {**rows[-1], "val_correct": each}]
            )
    assert core("compare", "one", "two")[1].startswith("two is better by 0.51 points")
    assert "no run or group 'three'" in run_refused(core, "compare", "one", "three")
    assert "is a run and one is a group" in run_refused(core, "compare", "one", "two-s1")


def test_a_range_test_suggests_a_rate(core, quick):
    answer = run_json(core, "lr-range", *QUICK, "--batch-size", "20", "--steps", "80")
    assert [point["step"] for point in answer["points"]] == list(
        range(1, len(answer["points"]) + 1)
    )
    assert answer["suggestion"]["lr"] > 0
    text = core("lr-range", *QUICK, "--batch-size", "20", "--steps", "80")[1]
    assert text.startswith("| LR ")
    assert answer["suggestion"]["explanation"] in text


def test_a_range_test_starts_from_a_recipe_or_a_run(core, quick, folder):
    made_run(folder, "run", lr=0.3)
    more = ("--batch-size", "100", "--steps", "50", "--low", "0.001", "--high", "0.01")
    fresh = run_json(core, "lr-range", "--architecture", "linear-7850", *more)
    trained = run_json(core, "lr-range", "run", *more)
    assert trained["points"][0]["lr"] == pytest.approx(0.001)
    assert len(fresh["points"]) == len(trained["points"]) == 50
    assert "not both" in run_refused(core, "lr-range", "run", "--recipe", "final")
    assert "do not fit another network" in run_refused(
        core, "lr-range", "run", "--architecture", "initial"
    )
    assert "no run 'nobody'" in run_refused(core, "lr-range", "nobody")
    assert f"{lr_range.MIN_STEPS} to" in run_refused(core, "lr-range", "run", "--steps", "3")
    assert "must increase" in run_refused(core, "lr-range", "run", "--low", "nan")


@pytest.mark.parametrize(("ending", "begins"), [("md", "# run\n"), ("html", "<!DOCTYPE html>")])
def test_the_ending_decides_the_format_of_a_report(core, folder, ending, begins, tmp_path):
    made_run(folder, "run")
    answer = run_json(core, "report", "run", "--output", f"report.{ending}")
    text = (tmp_path / f"report.{ending}").read_text()
    assert text.startswith(begins)
    assert answer == {"run": "run", "file": f"report.{ending}", "bytes": len(text.encode())}


def test_reports_on_runs_and_groups_are_printed(core, folder):
    made_run(folder, "run", group="some")
    made_run(folder, "other", group="some", seed=2)
    assert core("report", "run")[1].startswith("# run\n")
    assert core("report", "some")[1].startswith("# some\n")
    assert run_json(core, "report", "run")["report"].startswith("# run\n")


def test_a_worksheet_is_printed_or_written_as_a_page(core, tmp_path):
    assert core("worksheet", "goal")[1].startswith("The goal\n")
    answer = run_json(core, "worksheet", "goal")
    assert [len(answer["questions"]), answer["title"]] == [7, "The goal"]
    answer = run_json(core, "worksheet", "goal", "--output", "goal.html")
    assert answer["bytes"] == len((tmp_path / "goal.html").read_bytes())
    assert ".html" in run_refused(core, "worksheet", "goal", "--output", "goal.pdf")
    assert "choose goal, initial" in run_refused(core, "worksheet", "middle")


def test_impossible_reports_are_refused(core, folder):
    made_run(folder, "run")
    made_run(folder, "new", done=0)
    assert ".md or .html" in run_refused(core, "report", "run", "--output", "report.pdf")
    assert "no folder gone" in run_refused(core, "report", "run", "--output", "gone/report.md")
    assert "no epoch to report" in run_refused(core, "report", "new")
    assert "no run or group" in run_refused(core, "report", "nobody")


@pytest.mark.mnist
def test_a_run_is_exported_and_checked(core, folder, tmp_path):
    made_run(folder, "run")
    answer = run_json(core, "export", "run")
    assert answer["file"] == "run.onnx"
    assert (answer["check"]["images"], answer["check"]["agreeing"]) == (1_000, 1_000)
    assert onnxruntime.InferenceSession(tmp_path / "run.onnx").get_inputs()[0].name == "images"
    text = core("export", "run", "--format", "script", "--output", "own.py")[1]
    assert text.startswith("run is exported to own.py")
    assert "1,000 of 1,000 test images" in text
    compile((tmp_path / "own.py").read_text(), "own.py", "exec")
    assert "run.onnx exists" in run_refused(core, "export", "run")


def test_a_refused_export_writes_nothing(core, folder, tmp_path, monkeypatch):
    made_run(folder, "run")
    made_run(folder, "new", done=0)
    assert "choose html, onnx, torch, script, c, tensorboard, svg or pdf" in run_refused(
        core, "export", "run", "--format", "pickle"
    )
    assert "no weights yet" in run_refused(core, "export", "new")
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)
    monkeypatch.setattr(exports, "_WRITERS", {"onnx": lambda run, model, which: b"no model at all"})
    monkeypatch.setattr(exports, "_test_images", lambda test: np.zeros((20, 28, 28), np.uint8))
    assert "cannot be loaded again" in run_refused(core, "export", "run")
    assert list(tmp_path.glob("*.onnx")) == []


def test_an_option_that_a_range_test_sets_itself_is_warned_about(core, monkeypatch):
    monkeypatch.setattr(lr_range, "run_test", lambda *arguments: iter(()))
    arguments = ("--recipe", "final", "--lr", "0.1", "--epochs", "3", "--batch-size", "100")
    _, _, error = core("lr-range", *arguments, "--holdout-seed", "2", "--json")
    warnings = [line for line in error.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 3
    for option in ("--lr", "--epochs", "--holdout-seed"):
        assert any(line.startswith(f"Warning: {option} has no effect") for line in warnings)
