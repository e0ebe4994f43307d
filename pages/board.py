"""Board: the runs of a class or a series in one table, the best first, while they train."""

import streamlit as st

from core.experiments import board as boards
from core.runs.run import Run
from core.runs.store import list_runs
from pages.ui.board.table import draw_board
from pages.ui.frame import KEPT, page

page("Board", "Runs that share a tag or the beginning of their name, the best first.")
known = boards.list_boards(run for run in list_runs() if isinstance(run, Run))
linked = st.session_state.get("board") or st.query_params.get("board", "")
names = [*known, *([linked] if linked and linked not in known else [])]
if not names:
    st.markdown(
        ":gray[No runs share a tag or the beginning of their name yet. Make a link for a class on "
        "Train, behind “Share”.]"
    )
    st.page_link("pages/train.py", label="Train", icon=":material/arrow_forward:")
    st.stop()
bar = st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small")
chosen = bar.selectbox(
    "Board",
    names,
    None,
    key="board",
    placeholder=names[0],  # the board that is shown while none is chosen
    width=240,
    label_visibility="collapsed",
    **KEPT,
)
draw_board(chosen or names[0])
