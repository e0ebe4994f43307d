"""Run a command of the command line and check that it succeeds, or that it is refused."""

from __future__ import annotations

import json


def run_json(core, *arguments: str):
    """Run a command with --json, and return what it prints."""
    status, text, error = core(*arguments, "--json")
    assert status == 0, error
    return json.loads(text)


def run_refused(core, *arguments: str) -> str:
    """Run a command that must be refused in one sentence, and return the sentence."""
    status, text, error = core(*arguments)
    assert (status, text) == (1, ""), error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    return error
