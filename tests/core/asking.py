"""What the tests of the command line ask, and how it must refuse."""

from __future__ import annotations

import json


def read(core, *arguments: str):
    status, text, error = core(*arguments, "--json")
    assert status == 0, error
    return json.loads(text)


def refused(core, *arguments: str) -> str:
    status, text, error = core(*arguments)
    assert (status, text) == (1, ""), error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    return error
