"""Tables in HTML: the epoch table in the original's columns, a network's summary, comparisons."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from core.experiments import overview
from core.experiments.overview import Entry
from core.models.summary import Summary
from core.training.results import HEADER, EpochResult, format_row

Cells = Sequence[Sequence[str]]
# A run with more epochs than LONG shows its last rows, of which about VISIBLE fit; at least PLANNED
# of them are epochs still to come.
LONG, VISIBLE, PLANNED = 40, 20, 3
CURVE_POINTS = 40
CURVE_FLOOR = 90  # percent


def draw_metrics(values: Mapping[str, str], helps: Mapping[str, str] | None = None) -> None:
    """Draw a row of metrics: title -> value; with the help of some, by title."""
    with st.container(horizontal=True, gap="small"):
        for title, value in values.items():
            st.metric(title, value, width=150, help=(helps or {}).get(title))


def draw_epoch_table(rows: Sequence[EpochResult], planned: Sequence[float]) -> None:
    """Draw the epoch table. Epochs to come are listed below with their planned learning rate.

    The table of a long run is scrolled to its newest rows.

    Args:
        rows: the finished epochs.
        planned: learning rate at the start of every epoch of the run; empty: list finished ones.
    """
    columns = _cells(HEADER)
    finished = [_epoch_cells(row) for row in rows]
    # All rows are there from the start, so that nothing moves when one is filled.
    planned_rows = [
        [str(epoch), f"{rate:.6f}", *[""] * (len(columns) - 2)]
        for epoch, rate in enumerate(planned, 1)
        if epoch > len(rows)
    ]
    long = len(planned) > LONG
    if long:
        planned_rows = planned_rows[: max(PLANNED, VISIBLE - len(finished))]
    _table(
        columns,
        [*finished, *planned_rows],
        "Epoch table",
        planned_from=len(finished),
        equal_widths=True,
        newest_first=long,
    )


def draw_summary_table(summary: Summary) -> None:
    """Draw torchsummary's table, with the multiply-adds and the receptive field of each layer."""
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
    columns = ["Layer", "Output shape", "Parameters", "Multiply-adds", "Receptive field"]
    _table(columns, rows, "Summary of the network", text_columns=1)
    st.caption("Receptive field: the pixels of the image that one output depends on.")


def draw_comparison_table(
    names: Mapping[str, str],
    rows: Mapping[str, Sequence[str]],
    caption: str,
    rings: Container[str] = (),
    quiet: Container[str] = (),
) -> None:
    """Draw a table that compares runs, one in each column.

    Args:
        names: name of each column -> colour of the dot beside it.
        rows: title of each row -> one cell for each column.
        caption: description of the table for screen readers.
        rings: names whose dot is drawn as a ring, because their curve is dashed.
        quiet: titles of the rows that are drawn in grey, since they are the same everywhere.
    """
    head = "".join(
        f'<th scope="col" class=text><span class="dot{" ring" if name in rings else ""}" '
        f'style="color: {escape(colour)}"></span>{escape(name)}</th>'
        for name, colour in names.items()
    )
    body = "".join(
        f'<tr{" class=ahead" if title in quiet else ""}><th scope="row" class=text>'
        f"{escape(title)}</th>"
        + "".join(f"<td class=text>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for title, cells in rows.items()
    )
    st.html(
        f'<div class="sheet beside" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _epoch_cells(row: EpochResult) -> list[str]:
    """The original's cells, with the same number of decimal places throughout a column."""
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
    planned_from: int | None = None,
    text_columns: int = 0,
    equal_widths: bool = False,
    newest_first: bool = False,
) -> None:
    """Draw a table.

    Args:
        columns: their headings.
        rows: their cells.
        caption: description for screen readers.
        planned_from: number of the row from which on rows are drawn faintly.
        text_columns: how many columns, from the left, hold text rather than figures.
        equal_widths: whether all columns have the same width.
        newest_first: whether the table is scrolled to its end at first.
    """
    head = "".join(
        f'<th scope="col"{_text_class(at, text_columns)}>{escape(column)}</th>'
        for at, column in enumerate(columns)
    )
    body = "".join(
        f"<tr{' class=ahead' if planned_from is not None and number >= planned_from else ''}>"
        + "".join(
            f"<td{_text_class(at, text_columns)}>{escape(cell)}</td>" for at, cell in enumerate(row)
        )
        + "</tr>"
        for number, row in enumerate(rows)
    )
    st.html(
        f'<div class="sheet{" tail" if newest_first else ""}" tabindex="0" role="region" '
        f'aria-label="{escape(caption)}">'
        f"<table{' class=even' if equal_widths else ''}>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _text_class(column: int, text_columns: int) -> str:
    return " class=text" if column < text_columns else ""


def curve_column() -> Any:
    """The column of small curves of accuracy, on the same scale in every row and table."""
    return st.column_config.LineChartColumn(
        y_min=CURVE_FLOOR,
        y_max=100,
        width=80,
        help=f"Validation accuracy by epoch, from {CURVE_FLOOR} to 100\u00a0%.",
    )


def thin_curve(entry: Entry) -> list[float]:
    """The validation accuracies by epoch, thinned to CURVE_POINTS; the last epoch is kept.

    They are clipped to the range of `curve_column`: Streamlit draws a curve that leaves the range
    on a scale of its own.
    """
    values = list(overview.mean_curve(entry, lambda row: row.val_accuracy)["value"])
    step = max(1, -(-len(values) // CURVE_POINTS))
    return [max(value, CURVE_FLOOR) for value in values[::-1][::step][::-1]]
