"""Output and options that commands share."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from core.errors import UserError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Name of a run; `python -m core runs` lists them.", show_default=False
    ),
]
NewName = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Name of the new run.", show_default=False),
]
Which = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="last|best",
        help="Weights of the last epoch, or of the epoch with the best validation accuracy.",
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Train in the background and return at once.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def print_result(values: Any, text: str, json_: bool) -> None:
    """Print the values as JSON, or the text."""
    if json_:
        print_json(values)
    else:
        print(text)


def print_json(values: Any) -> None:
    """Print values as JSON."""
    print(json.dumps(values, indent=1, allow_nan=False))


def confirm(question: str, yes: bool) -> None:
    """Ask for confirmation on standard error, and read the reply from standard input.

    Args:
        question: What is about to be done.
        yes: Skip the question.

    Raises:
        UserError: The reply is not yes, or standard input is empty.
    """
    if yes:
        return
    err.print(f"{question} [y/N] ", end="", markup=False)
    if (reply := sys.stdin.readline()) == "":
        err.print()
        raise UserError("nothing was done: nobody confirmed it; --yes skips the question.")
    if reply.strip().lower() not in ("y", "yes"):
        raise UserError("nothing was done.")
