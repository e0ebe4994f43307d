"""How commands answer and ask: words for people or JSON for machines, and a question before anything is thrown away."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from core.errors import UserError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
RunName = Annotated[str, typer.Argument(help="A run's name; `python -m core runs` lists them.")]
Which = Annotated[
    str,
    typer.Option(help="Weights of the last epoch, or of the best one on validation: last, best."),
]
Detach = Annotated[bool, typer.Option("--detach", help="Start it and return at once.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def say(values: Any, words: str, json_: bool) -> None:
    """Answer with the values as JSON, or in words."""
    if json_:
        print_json(values)
    else:
        print(words)


def print_json(values: Any) -> None:
    """Answer with values as JSON."""
    print(json.dumps(values, indent=1, allow_nan=False))


def ask(question: str, yes: bool) -> None:
    """Go on only if the person says so.

    Args:
        question: what would be done, to be answered with y or n.
        yes: whether it was answered beforehand.

    Raises:
        UserError: the answer is no, or there is nobody to ask.
    """
    if yes:
        return
    err.print(f"{question} [y/N] ", end="", markup=False)  # standard output is for the answer
    if (answer := sys.stdin.readline()) == "":
        err.print()
        raise UserError(
            "nothing was done: there was nobody to say yes; --yes does it without asking."
        )
    if answer.strip().lower() not in ("y", "yes"):
        raise UserError("nothing was done.")
