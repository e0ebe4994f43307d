"""The table of layer rows, and the line of text that holds them in the session and the link."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import streamlit as st

from core.charts.diagrams import size
from core.errors import ArchitectureError
from core.models.drafts import Draft
from core.models.row_text import MAX_TEXT, from_text, to_text
from core.models.rows import KINDS, Row
from core.models.shapes import count_parameters
from core.task import PARAMETER_BUDGET
from pages.ui.components.component import register_component
from pages.ui.frame import KEPT
from pages.ui.words import capitalise

START = "original-3762"
TEXT, TABLE = (
    "net",
    "rows",
)  # the widget that holds the rows, and so their name in the link; the component
Rows = tuple[Row, ...]


_table = register_component("rows", "row_table/rows")
_KINDS = {
    name: {
        "title": kind.title,
        "help": kind.help,
        "parameters": [
            {
                "name": each.name,
                "type": each.type.__name__,
                "default": each.default,
                "help": each.help,
                "low": each.low,
                "high": each.high,
                "choices": each.choices,
            }
            for each in kind.parameters
        ],
    }
    for name, kind in KINDS.items()
}


def read_rows() -> Rows:
    """The rows, from the line of text that holds them; the last good ones where the text is none."""
    with st.expander("As text", key="net_as_text"):
        text = st.text_input(
            "Rows",
            START,
            max_chars=MAX_TEXT,
            key=TEXT,
            label_visibility="collapsed",
            **KEPT,
            help="The network in one line, as the link holds it: a name, or its rows.",
        )
    try:
        rows = from_text(text)
    except ArchitectureError as error:
        st.error(capitalise(str(error)), icon=":material/error:")
        return st.session_state.get("net_before", from_text(START))
    st.session_state["net_before"] = rows
    return rows


def write_rows(rows: Rows) -> None:
    """Put other rows into the text.

    Raises:
        ArchitectureError: they are too long for a link.
    """
    st.session_state[TEXT] = to_text(rows)


def draw_rows_table(draft: Draft) -> None:
    """The rows to change, each with what it gives and what is wrong with it."""
    parameters = count_parameters(draft.layers)
    if draft.errors:
        number = min(draft.errors)
        total = f"Row {number} is not right yet" if number else "Add a row to begin"
    else:
        total = (
            f"{parameters:,} parameters, "
            + (
                f"{PARAMETER_BUDGET - parameters:,} left of"
                if parameters <= PARAMETER_BUDGET
                else f"{parameters - PARAMETER_BUDGET:,} more than"
            )
            + f" {PARAMETER_BUDGET:,}"
        )
    _table(
        key=TABLE,
        on_edited_change=_take,
        data={
            "kinds": _KINDS,
            "rows": [dict(row) for row in draft.rows],
            "total": total,
            "layers": [
                {"gives": size(layer.output_shape), "parameters": layer.parameters}
                for layer in draft.layers
            ],
            "mistakes": {str(number): capitalise(words) for number, words in draft.errors.items()},
            "answered": st.session_state.get("net_answered", 0),
        },
    )


def _take() -> None:
    edited = st.session_state[TABLE].edited
    st.session_state["net_answered"] = edited["number"]
    try:
        write_rows(from_text(json.dumps(edited["rows"])))
    except ArchitectureError as error:
        st.toast(str(error), icon=":material/error:")


@st.cache_data(max_entries=1, show_spinner=False)
def digit_examples() -> np.ndarray:
    """(10, 28, 28) uint8: a real digit of each class, shipped with the app, so that pictures need no dataset."""
    from PIL import Image

    alpha = np.asarray(Image.open(Path(__file__).parents[1] / "digits.png"))[..., 1]
    enlarged = alpha.shape[0] // 28
    return alpha[::enlarged, ::enlarged].reshape(28, 10, 28).swapaxes(0, 1)
