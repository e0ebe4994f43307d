"""The command line run in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from core.cli import main as cli


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
