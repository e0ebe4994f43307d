"""The benchmarks, which are run by hand, start and compute correctly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ConfigError

FOLDER = Path(__file__).parent / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if "__main__" in path.read_text())


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_says_what_it_does(script):
    answer = subprocess.run(
        [sys.executable, FOLDER / script, "--help"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr[-500:]
    assert f"python tests/benchmarks/{script}" in answer.stdout


@pytest.mark.mnist
def test_what_a_gpu_is_measured_with_runs_without_one(tmp_path, mnist):
    command = [
        sys.executable,
        FOLDER / "gpu.py",
        "--device",
        "cpu",
        "--parts",
        "agreement",
        "epoch",
        "--runs",
        "initial",
        "--batches",
        "64",
        "--steps",
        "2",
        "--rounds",
        "1",
        "--output",
        tmp_path / "gpu.md",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-500:]
    told = (tmp_path / "gpu.md").read_text()
    assert "| fp32 | 64 |" in told
    assert "only on CUDA" in told


def test_variants_are_measured_alternately():
    from measuring import alternate

    order = []
    figures = alternate(
        {"a": lambda: order.append("a") or 1.0, "b": lambda: order.append("b") or 2.0}, 2
    )
    assert order == ["a", "b", "a", "b"]
    assert figures == {"a": [1.0, 1.0], "b": [2.0, 2.0]}


def test_percentiles_and_growth():
    from measuring import percentile, slope

    assert percentile(range(1, 101), 99) == 99
    assert percentile([3.0], 99) == 3.0
    assert slope([1.0, 2.0, 4.0], [3.0, 12.0, 48.0]) == pytest.approx(2, abs=1e-5)


def test_a_part_of_an_epoch_is_scaled_but_for_its_first_step():
    from epoch import scaled

    assert scaled(first=5.0, seconds=7.0, counted=3, steps=11) == 5.0 + 1.0 * 10
    assert scaled(first=5.0, seconds=9.0, counted=11, steps=11) == 9.0


def test_a_profile_divides_into_sections_and_kinds():
    from profiling import divide_events

    sections, kinds = divide_events(
        [
            ("images", True, 1.0, 0.5),
            ("aten::relu", False, 0.2, 0.2),
            ("forward", True, 2.0, 0.3),
            ("autograd::engine::evaluate_function: ConvolutionBackward0", True, 3.0, 2.5),
        ]
    )
    assert sections == {"backward": 3.0, "forward": 2.0, "waiting for images, or making them": 1.0}
    assert kinds["convolution, backward"] == 2.5
    assert kinds["waiting for images, or making them"] == 1.0


def test_settings_given_as_text_become_numbers():
    from hand import parse_changes

    given = ["max_lr=0.001", "epochs=3", "optimizer=muon", "digits_share=0.1"]
    expected = {"max_lr": 0.001, "epochs": 3, "optimizer": "muon", "digits_share": 0.1}
    assert parse_changes(given) == expected
    with pytest.raises(ConfigError, match="epochs"):
        parse_changes(["epochs=many"])


def test_a_message_with_another_sessions_name_is_noticed():
    from many_users import Figures, Session

    figures = Figures()
    session = Session(7, "http://localhost", figures)
    session._check(b"\x12\x0bsomebody00007\x00")
    assert figures.wrong == []
    session._check(b"\x12\x0bsomebody00008\x00")
    assert len(figures.wrong) == 1


def test_all_headers_are_measured_where_the_file_is_damaged(tmp_path, monkeypatch):
    import c_headers as script

    from core.experiments.c_headers import MeasuredHeader, read_headers

    def measure(run, scheme="", max_bytes=""):
        figures = (3_782, 6_384, 1_842, "Arm Cortex-M4", 621_008, correct, 10_000, False)
        return MeasuredHeader(run, scheme, int(bool(max_bytes)), *figures)

    file, correct, roots = tmp_path / "headers.json", 9_940, []
    monkeypatch.setattr(script, "FILE", file)
    monkeypatch.setattr(script, "measure", measure)
    monkeypatch.setattr(script, "update_readmes", lambda root, _: roots.append(root))
    file.write_text("{")
    with pytest.raises(SystemExit, match="--write"):
        script.main(["final:int8", "--write"])
    assert file.read_text() == "{"
    script.main(["--write"])
    expected = [tuple(name.split(":")[:2]) for name in script.ALL]
    assert sorted((header.run, header.scheme) for header in read_headers(file)) == sorted(expected)
    correct = 9_950
    script.main(["final:int8"])
    assert {header.correct for header in read_headers(file)} == {9_940}
    script.main(["final:int8", "--write"])
    assert {header.run for header in read_headers(file) if header.correct == 9_950} == {"final"}
    assert roots == [script.ROOT] * 2


def test_what_a_finished_run_leaves_behind_is_found(tmp_path):
    from soak_kill import list_leftovers

    from core.runs import jobs
    from tests.made import made_run

    run = made_run(tmp_path, "one")
    assert list_leftovers(tmp_path) == []
    (run.folder / ".run.json.1-1.tmp").touch()
    (run.folder / "state.pt").touch()
    with jobs.hold_lock(run.folder / ".worker.lock"):
        assert sorted(list_leftovers(tmp_path)) == [
            "one/.run.json.1-1.tmp",
            "one/.worker.lock is locked",
            "one/state.pt",
        ]


def test_a_run_with_other_weights_is_noticed(tmp_path):
    from soak_kill import compare

    from tests.made import made_run

    whole, cut = made_run(tmp_path, "whole"), made_run(tmp_path, "cut")
    assert all(compare(whole, whole).values())
    data = bytearray(cut.weights_path("last").read_bytes())
    data[-1] ^= 1
    cut.weights_path("last").write_bytes(data)
    assert not compare(whole, cut)["last weights"]
