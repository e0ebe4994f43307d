"""Networks by name on the Model page: those shipped and those of one's own, to start from, compare, save and train."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.library import architectures as own_architectures
from core.library.architectures import DamagedFile, SavedArchitecture
from core.models.architectures import ARCHITECTURES
from core.models.drafts import Draft
from core.models.row_text import find_name, without_defaults
from pages.ui.frame import KEPT
from pages.ui.model.editor import Rows, write_rows

UNNAMED_ROWS, NO_COMPARISON, DEFAULT_NAME = "", "none", "my-network"
Kept = Sequence[SavedArchitecture | DamagedFile]


def network_title(name: str) -> str:
    """What an architecture is called on a page: by its name, as in links; that of rows without one."""
    return name or "your rows"


def describe_network(name: str, kept: Kept) -> str:
    """One line about an architecture."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name].help
    if name:
        return f"Saved by you on {saved_networks(kept)[name].created.astimezone():%d %B %Y}."
    return "Rows of your own. The link holds them; save them to find them here again."


def saved_networks(kept: Kept) -> dict[str, SavedArchitecture]:
    """Those of one's own that can be read, by name."""
    return {each.name: each for each in kept if isinstance(each, SavedArchitecture)}


def matching_name(rows: Rows, kept: Kept) -> str:
    """The name under which these rows are shipped or kept; empty: under none."""
    short = [without_defaults(row) for row in rows]
    return find_name(rows) or next(
        (
            name
            for name, each in saved_networks(kept).items()
            if [without_defaults(row) for row in each.rows] == short
        ),
        UNNAMED_ROWS,
    )


def draw_start_control(rows: Rows, kept: Kept) -> None:
    """The control that takes the rows of an architecture."""
    name = matching_name(rows, kept)
    options = [*ARCHITECTURES, *saved_networks(kept)]
    st.session_state["start"] = name
    st.selectbox(
        "Start from",
        options if name else [UNNAMED_ROWS, *options],
        key="start",
        format_func=network_title,
        width=220,
        on_change=_start,
        args=(kept,),
        help="Networks with a name; their rows can be changed below.",
    )


def _start(kept: Kept) -> None:
    if name := st.session_state["start"]:
        write_rows(rows_of(name, kept))


def rows_of(name: str, kept: Kept) -> Rows:
    """The rows of an architecture, shipped or of one's own."""
    return ARCHITECTURES[name].rows if name in ARCHITECTURES else saved_networks(kept)[name].rows


def draw_compare_control(kept: Kept) -> str | None:
    """The control for an architecture to compare with; None: none is chosen."""
    options = [NO_COMPARISON, *ARCHITECTURES, *saved_networks(kept)]
    name = st.selectbox(
        "Compare with",
        options,
        key="beside",
        width=220,
        help="Another network, side by side.",
        **KEPT,
    )
    return None if name == NO_COMPARISON else name


def draw_save_popover(draft: Draft, kept: Kept) -> None:
    """Keep the rows under a name, and delete what was kept."""
    with st.popover("Save", icon=":material/bookmark:", key="save_net"):
        name = st.text_input("Name", max_chars=60, key="net_name", placeholder=DEFAULT_NAME).strip()
        known = name.lower() in {each.lower() for each in saved_networks(kept)}
        st.button(
            "Replace it" if known else "Save",
            key="keep_net",
            type="primary",
            on_click=_save,
            args=(draft.rows, name if known else None),
            disabled=draft.summary is None,
        )
        if draft.summary is None:
            st.caption("Once every row is right.")
        for each in kept:
            with st.container(horizontal=True, vertical_alignment="center"):
                note = (
                    f"{each.parameters:,} parameters"
                    if isinstance(each, SavedArchitecture)
                    else "cannot be read"
                )
                st.markdown(f"{each.name}  \n:gray[:small[{note}]]", width="stretch")
                st.button(
                    "Delete",
                    icon=":material/delete:",
                    key=f"forget_{each.name}",
                    type="tertiary",
                    on_click=_delete,
                    args=(each.name,),
                )


def _save(rows: Rows, offered: str | None) -> None:
    # As it is typed now: the button may have been drawn, and named, before the last key.
    name = st.session_state["net_name"].strip()
    try:
        saved = own_architectures.save(
            name or DEFAULT_NAME, rows, replace=bool(name) and name == offered
        )
    except UserError as error:
        st.session_state["net_said"] = (str(error), ":material/error:")
    else:
        st.session_state["net_said"] = (f"Saved as {saved.name}.", ":material/bookmark_added:")


def _delete(name: str) -> None:
    try:
        own_architectures.delete(name)
    except UserError as error:
        st.session_state["net_said"] = (str(error), ":material/error:")


def show_messages() -> None:
    """Tell how saving or deleting went."""
    if told := st.session_state.pop("net_said", None):
        st.toast(told[0], icon=told[1])


def show_damaged_files(kept: Kept) -> None:
    """Name what is kept and cannot be read."""
    for each in kept:
        if isinstance(each, DamagedFile):
            st.caption(f":material/error: {each.name} cannot be read: {each.reason}")


def draw_train_button(draft: Draft) -> None:
    """The button that takes the rows to the Train page."""
    if st.button(
        "Train this",
        type="primary",
        icon=":material/model_training:",
        disabled=draft.summary is None,
        help="Take these rows to the Train page.",
    ):
        name = find_name(draft.rows)
        st.session_state["own_layers"] = [] if name else [dict(row) for row in draft.rows]
        st.session_state["run"] = "new run"
        if name:  # the link alone would lose against what the session has kept
            st.session_state["architecture"] = name
        st.switch_page("pages/train.py", query_params={"architecture": name} if name else {})
