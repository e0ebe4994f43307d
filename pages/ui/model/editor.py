"""The table of layer rows, and the line of text that holds the rows in session and link."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import streamlit as st

from core.charts.diagrams import format_shape
from core.errors import ArchitectureError
from core.models.drafts import Draft
from core.models.row_text import MAX_TEXT, from_text, to_text
from core.models.rows import KINDS, Row
from core.models.shapes import count_parameters
from core.task import PARAMETER_BUDGET
from pages.ui.components.component import register_component
from pages.ui.frame import KEPT
from pages.ui.words import capitalise, escape_markdown

START = "original-3762"
TEXT = "net"  # key of the text with all rows, and their name in the link
TABLE = "model_rows"
_LAST_VALID, _ANSWERED = "model_last_rows", "model_answered"
Rows = tuple[Row, ...]


_table = register_component("rows", "row_table/rows")
_KINDS = {
    name: {
        "title": kind.title,
        "help": kind.help,
        "parameters": [
            {
                "name": field.name,
                "type": field.type.__name__,
                "default": field.default,
                "help": field.help,
                "low": field.low,
                "high": field.high,
                "choices": field.choices,
            }
            for field in kind.parameters
        ],
    }
    for name, kind in KINDS.items()
}


def read_rows() -> Rows:
    """Draw the text of the rows, and read it; while it is invalid, the last valid rows count."""
    with st.expander("As text", key="model_as_text"):
        text = st.text_input(
            "Rows",
            START,
            max_chars=MAX_TEXT,
            key=TEXT,
            label_visibility="collapsed",
            **KEPT,
            help="The network in one line, as in the link: its name or its rows.",
        )
    try:
        rows = from_text(text)
    except ArchitectureError as error:
        st.error(escape_markdown(capitalise(str(error))), icon=":material/error:")
        return st.session_state.get(_LAST_VALID, from_text(START))
    st.session_state[_LAST_VALID] = rows
    return rows


def write_rows(rows: Rows) -> None:
    """Replace the rows.

    Raises:
        ArchitectureError: the rows are too long for a link.
    """
    st.session_state[TEXT] = to_text(rows)


def draw_rows_table(draft: Draft) -> None:
    """Draw the table of rows, each with its output shape, its parameters and its error."""
    parameters = count_parameters(draft.layers)
    if draft.errors:
        number = min(draft.errors)
        total = f"Row {number} is not valid yet" if number else "Add a row to start"
    else:
        total = (
            f"{parameters:,} parameters, "
            + (
                f"{PARAMETER_BUDGET - parameters:,} below"
                if parameters <= PARAMETER_BUDGET
                else f"{parameters - PARAMETER_BUDGET:,} over"
            )
            + f" the budget of {PARAMETER_BUDGET:,}"
        )
    _table(
        key=TABLE,
        on_edited_change=_use_edited_rows,
        data={
            "kinds": _KINDS,
            "rows": [dict(row) for row in draft.rows],
            "total": total,
            "layers": [
                {"gives": format_shape(layer.output_shape), "parameters": layer.parameters}
                for layer in draft.layers
            ],
            "mistakes": {str(number): capitalise(words) for number, words in draft.errors.items()},
            "answered": st.session_state.get(_ANSWERED, 0),
        },
    )


def _use_edited_rows() -> None:
    edited = st.session_state[TABLE].edited
    st.session_state[_ANSWERED] = edited["number"]
    try:
        write_rows(from_text(json.dumps(edited["rows"])))
    except ArchitectureError as error:
        st.toast(escape_markdown(str(error)), icon=":material/error:")


@st.cache_data(max_entries=1, show_spinner=False)
def digit_examples() -> np.ndarray:
    """(10, 28, 28) uint8: a handwritten digit of each class, shipped, so no dataset is needed."""
    from PIL import Image

    alpha = np.asarray(Image.open(Path(__file__).parents[1] / "digits.png"))[..., 1]
    enlarged = alpha.shape[0] // 28
    return alpha[::enlarged, ::enlarged].reshape(28, 10, 28).swapaxes(0, 1)
