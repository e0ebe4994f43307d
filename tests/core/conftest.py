"""Fixtures for the tests of core: the command line in this process, and groups of fake runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from core.cli import main as cli
from core.experiments.repeats import Group, open_group
from core.runs import files
from core.runs.run import Run
from core.runs.store import open_run
from tests.made import made_run


@pytest.fixture
def core(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: (status, standard output, standard error)."""

    def run(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["core", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return run


@pytest.fixture
def reaching(folder: Path) -> Callable[..., Run]:
    """Make a run whose last epoch has a given number of correct test images of 10,000."""

    def make(name: str, correct: int, **more) -> Run:
        run = made_run(folder, name, **more)
        rows = files.read_json(run.folder / "epochs.json")
        files.write_json(
            run.folder / "epochs.json", [*rows[:-1], {**rows[-1], "val_correct": correct}]
        )
        return open_run(name)

    return make


@pytest.fixture
def group(reaching) -> Callable[..., Group]:
    """Make a group whose runs have given numbers of correct test images."""

    def make(name: str, correct: Sequence[int], seeds: Sequence[int] = (), **more) -> Group:
        for seed, each in zip(seeds or range(1, len(correct) + 1), correct, strict=True):
            reaching(f"{name}-s{seed}", each, group=name, seed=seed, **more)
        return open_group(name)

    return make
