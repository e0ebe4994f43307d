"""The table of runs: filtered, ordered, and with rows to select.

The selection is stored once, by the box below the table, which also keeps it in the link. The table
shows it, and a click in the table changes it there.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.experiments import overview
from core.experiments.overview import Entry
from core.runs import listing
from core.runs.run import Run
from core.runs.status import STATES
from pages.ui.frame import KEPT
from pages.ui.run_boxes import run_titles, select_runs
from pages.ui.runs.columns import (
    COLUMNS,
    chosen_columns,
    draw_view_menu,
    extra_columns,
    make_frame,
    more_orders,
)
from pages.ui.runs.dialogs import SELECTED, add_message
from pages.ui.words import escape_markdown

ANY_STATE = "any state"
MAX_SELECTED = 12  # runs whose curves can be distinguished in one chart
MAX_ROWS = 10  # height of the table
ROW_HEIGHT, HEADER_HEIGHT = 36, 38  # pixels
_TABLE = "runs_table"  # session key: the selection that the table shows, and a number for its key


def filter_runs(runs: Sequence[Run]) -> list[Entry]:
    """Show the controls above the table and return the runs that they let through.

    Returns:
        The entries in the chosen order, the runs of a group folded into one entry.
    """
    problem = ""
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        chosen = chosen_columns()
        text = st.text_input(
            "Search",
            key="find",
            type="search",
            live=True,
            width=216,
            label_visibility="collapsed",
            placeholder="Name, tag, max_lr > 0.1 …",
            help="Words of the name, a tag, the recipe or the network, and conditions on settings "
            "and measures: `max_lr > 0.1`, `optimizer = muon`, `accuracy >= 99.2`. "
            "“View” lists their names.",
            **KEPT,
        )
        state = st.selectbox(
            "State",
            [ANY_STATE, *STATES],
            key="state",
            width=126,
            label_visibility="collapsed",
            **KEPT,
        )
        order = st.selectbox(
            "Order",
            [*listing.SORT_KEYS, *more_orders(chosen)],
            key="order",
            width=172,
            label_visibility="collapsed",
            help="A click on a column's header sorts the table too.",
            **KEPT,
        )
        try:
            matching = listing.filter_runs(runs, text, None if state == ANY_STATE else state)
        except UserError as error:
            problem, matching = str(error), list(runs)
        folds = overview.find_groups(runs) or overview.find_sweeps(runs)
        unfold = bool(folds) and st.toggle(
            "Single runs", key="apart", **KEPT, help="List the runs of a group or sweep below it."
        )
        st.space("stretch")
        total = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
        count = f"{len(matching):,} of {total}" if len(matching) < len(runs) else total
        st.markdown(f":gray[{count}]", width="content")
        draw_view_menu()
    if problem:
        st.warning(escape_markdown(problem), icon=":material/filter_alt_off:")
    return overview.fold_groups(runs, matching, order, unfold)


def draw_table(entries: Sequence[Entry]) -> None:
    """Draw one row for each entry, with a box that selects it."""
    names = [overview.entry_key(entry) for entry in entries]
    selected = [name for name in st.session_state.get(SELECTED, []) if name in names]
    # A table takes its selection only when it is created, so it gets a new key whenever its rows
    # change or the selection was changed elsewhere.
    table = st.session_state.setdefault(_TABLE, {"selected": None, "number": 0})
    if table["selected"] != selected:
        table["selected"], table["number"] = selected, table["number"] + 1
    key = f"runs_table_{zlib.crc32('/'.join(names).encode())}_{table['number']}"
    st.dataframe(
        make_frame(entries, chosen_columns()),
        key=key,
        hide_index=True,
        height=ROW_HEIGHT * min(len(entries), MAX_ROWS) + HEADER_HEIGHT,
        row_height=ROW_HEIGHT,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [names.index(name) for name in selected]}},
        on_select=lambda: _store_selection(key, names),
        placeholder="",
        column_config=COLUMNS | extra_columns(),
        alt="One row for each run. The box below the table selects runs too.",
    )


def _store_selection(key: str, names: Sequence[str]) -> None:
    """Store the rows selected in a table; runs that the filter hides stay selected."""
    clicked = [names[row] for row in st.session_state[key].selection.rows if row < len(names)]
    before = st.session_state.get(SELECTED, [])
    kept = [name for name in before if name not in names or name in clicked]
    selected = [*kept, *(name for name in clicked if name not in kept)]
    if len(selected) > MAX_SELECTED:
        add_message(f"Select at most {MAX_SELECTED} runs.", error=True)
    st.session_state[SELECTED] = selected[:MAX_SELECTED]
    if len(selected) <= MAX_SELECTED:  # otherwise the table has to be created again
        st.session_state[_TABLE]["selected"] = [name for name in selected if name in names]


def select_entries(entries: Sequence[Entry]) -> list[Entry]:
    """Show the box of selected entries; return them in the order of their selection."""
    by_name = {overview.entry_key(entry): entry for entry in entries}
    selected = select_runs(
        "Selected",
        list(by_name),
        SELECTED,
        run_titles(entry for entry in entries if isinstance(entry, Run)),
        max_selections=MAX_SELECTED,
        label_visibility="collapsed",
        placeholder="Select runs above or here: one for details, several to compare",
    )
    return [by_name[name] for name in selected]
