"""Figures in rows: the epoch table in the seed's columns, a network's summary, and single figures with titles."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from html import escape

import streamlit as st

from core.models.summary import Summary
from core.training.results import HEADER, EpochResult, format_row

Cells = Sequence[Sequence[str]]
LONG, IN_SIGHT, AHEAD = (
    40,
    20,
    3,
)  # epochs: of a run that is long; rows of it in sight; those to come among them


def draw_metrics(values: Mapping[str, str]) -> None:
    """A row of figures with their titles, two abreast on a phone."""
    with st.container(horizontal=True, gap="small"):
        for title, value in values.items():
            st.metric(title, value, width=150)


def draw_epoch_table(rows: Sequence[EpochResult], planned: Sequence[float]) -> None:
    """The epoch table as it grows; epochs to come stand below with their planned rate.

    That of a long run keeps to its newest rows.

    Args:
        rows: the epochs done.
        planned: the rate at the start of every epoch of the run.
    """
    columns = _cells(HEADER)
    done = [_epoch(row) for row in rows]
    # All rows stand from the start, so that nothing moves when one is filled.
    ahead = [
        [str(epoch), f"{rate:.6f}", *[""] * (len(columns) - 2)]
        for epoch, rate in enumerate(planned, 1)
        if epoch > len(rows)
    ]
    long = len(planned) > LONG
    if long:
        ahead = ahead[: max(AHEAD, IN_SIGHT - len(done))]
    _table(columns, [*done, *ahead], "Epoch table", quiet_from=len(done), even=True, tail=long)


def draw_summary_table(summary: Summary) -> None:
    """The rows of torchsummary's table, with their work and how much of the image one output has seen."""
    rows = [
        [
            layer.name,
            " × ".join(map(str, layer.output_shape)),
            f"{layer.params:,}",
            f"{layer.multiply_adds:,}",
            f"{layer.receptive_field} × {layer.receptive_field}",
        ]
        for layer in summary.layers
    ]
    columns = ["Layer", "Output shape", "Parameters", "Multiply-adds", "Sees"]
    _table(columns, rows, "Summary of the network", text=1)
    st.caption("Sees: the pixels that one output depends on, its receptive field.")


def draw_comparison_table(
    names: Mapping[str, str],
    rows: Mapping[str, Sequence[str]],
    caption: str,
    rings: Container[str] = (),
) -> None:
    """One column for each of several things, one row for each thing said of them.

    Args:
        names: what each column is called, and the colour of the dot before it.
        rows: title of each row -> a cell for each column.
        caption: what the table is, for screen readers.
        rings: names whose dot is a ring, as their curve is dashed.
    """
    head = "".join(
        f'<th scope="col" class=text><span class="dot{" ring" if name in rings else ""}" '
        f'style="color: {escape(colour)}"></span>{escape(name)}</th>'
        for name, colour in names.items()
    )
    body = "".join(
        f'<tr><th scope="row" class=text>{escape(title)}</th>'
        + "".join(f"<td class=text>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for title, cells in rows.items()
    )
    st.html(
        f'<div class="sheet beside" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _epoch(row: EpochResult) -> list[str]:
    """The seed's cells, every figure of a column with as many places as the others."""
    cells = _cells(format_row(row))
    return [
        *cells[:3],
        f"{row.train_loss:.6f}",
        f"{row.train_correct:,}",
        f"{row.train_accuracy:.2f}\u00a0%",
        cells[6],
        f"{row.val_correct:,}",
        f"{row.val_accuracy:.2f}\u00a0%",
    ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _table(
    columns: Sequence[str],
    rows: Cells,
    caption: str,
    quiet_from: int | None = None,
    text: int = 0,
    even: bool = False,
    tail: bool = False,
) -> None:
    head = "".join(
        f'<th scope="col"{_side(at, text)}>{escape(column)}</th>'
        for at, column in enumerate(columns)
    )
    body = "".join(
        f"<tr{' class=ahead' if quiet_from is not None and number >= quiet_from else ''}>"
        + "".join(f"<td{_side(at, text)}>{escape(cell)}</td>" for at, cell in enumerate(row))
        + "</tr>"
        for number, row in enumerate(rows)
    )
    st.html(
        f'<div class="sheet{" tail" if tail else ""}" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table{' class=even' if even else ''}>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _side(at: int, text: int) -> str:
    return " class=text" if at < text else ""
