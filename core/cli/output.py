"""Output and options that commands share.

All text goes through `print_text`, `print_message` or `print_table`: names, notes, devices and the
like come from uploads and other machines, and must not control the terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any
from unicodedata import category

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.errors import UserError
from core.runs import files

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
# In characters: between two columns of a table, the longest figure, the narrowest folded column.
_GAP, _FIGURE, _FOLDED = 2, 16, 10

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
Epoch = Annotated[
    int | None,
    typer.Option(
        "--epoch",
        min=0,
        metavar="NUMBER",
        help="Weights after this epoch instead, if they were kept; 0: before the first.",
        show_default=False,
    ),
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="mnist|qmnist",
        help="Images to score on: MNIST's test images, or the 50,000 further ones of QMNIST, which "
        "are downloaded if they are missing.",
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Train in the background and return at once.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def plain(text: str) -> str:
    """Escape everything that is not printable, except line breaks and tabs.

    Terminals obey escape sequences and other control characters, such as those that reverse the
    direction of writing.
    """
    return "".join(
        character
        if character.isprintable() or character in "\n\t" or category(character) == "Zs"
        else ascii(character)[1:-1]
        for character in text
    )


def print_text(text: str, *, flush: bool = False) -> None:
    """Print text on standard output."""
    print(plain(text), flush=flush)


def print_message(text: str, *, end: str = "\n") -> None:
    """Print text on standard error, above a progress bar if there is one."""
    err.print(Text(plain(text)), end=end)


def print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str]
) -> None:
    """Print a table on standard output.

    Args:
        titles: Headings of the columns.
        rows: Cells, as many per row as there are titles.
        left: Titles of the columns that are aligned left; the others are aligned right.

    In a terminal too narrow for that, each row is a block with one line for each cell.
    """
    cells = [[plain(cell).replace("\n", " ") for cell in row] for row in rows]
    columns = [*zip(titles, *cells, strict=True)]
    widths = [max(map(cell_len, column)) for column in columns]
    # A terminal too narrow folds names and long texts; figures stay in one piece.
    folded = [index == 0 or width > _FIGURE for index, width in enumerate(widths)]
    least = sum(
        min(width, _FOLDED) if fold else width for width, fold in zip(widths, folded, strict=True)
    )
    if out.is_terminal and least + _GAP * (len(widths) - 1) > out.width:
        _print_blocks(titles, cells)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, fold in zip(titles, folded, strict=True):
        table.add_column(
            title,
            justify="left" if title in left else "right",
            overflow="fold",  # not cut: no two names end in the same "…"
            no_wrap=not fold,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    # In a file or a pipe, a row stays on one line.
    console = out if out.is_terminal else Console(highlight=False, width=10_000)
    console.print(table)


def _print_blocks(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print each row as a block with one line for each of its cells that is not empty."""
    widest = max(map(len, titles))
    blocks = (
        "\n".join(
            f"{title:{widest}}  {cell}" for title, cell in zip(titles, row, strict=True) if cell
        )
        for row in rows
    )
    out.print(Text("\n\n".join(blocks)), soft_wrap=True)


def print_result(values: Any, text: str, json_: bool) -> None:
    """Print the values as JSON, or the text."""
    if json_:
        print_json(values)
    else:
        print_text(text)


def print_json(values: Any) -> None:
    """Print values as JSON in ASCII."""
    print(json.dumps(values, indent=1, allow_nan=False))


def check_output(path: Path, force: bool) -> None:
    """Check that a file can be written; cheap, so that it is done before any work.

    Raises:
        UserError: It is a folder or a device, its folder is missing, or it exists and force is
            False.
    """
    if not path.name:
        raise UserError("--output needs the name of a file.")
    if not path.parent.is_dir():
        raise UserError(f"{path} cannot be written: there is no folder {path.parent}.")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a regular file; name another one with --output.")
    if path.exists() and not force:
        raise UserError(f"{path} exists; --force replaces it, --output names another file.")


def write_output(path: Path, data: bytes, force: bool) -> None:
    """Write a file that the user named.

    Raises:
        UserError: As `check_output`, or the system refused.
    """
    check_output(path, force)
    files.write_bytes(path, data)


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
    print_message(f"{question} [y/N] ", end="")
    try:
        reply = sys.stdin.readline()
    except (OSError, ValueError):  # not readable, or not text
        reply = ""
    if not reply:
        print_message("")
        raise UserError("nothing was done: nobody confirmed it; --yes skips the question.")
    if reply.strip().lower() not in ("y", "yes"):
        raise UserError("nothing was done.")
