"""Named networks on Model, shipped or saved by the user: to start from, compare, save and train."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.library import architectures
from core.library.architectures import DamagedFile, SavedArchitecture
from core.models.architectures import ARCHITECTURES
from core.models.drafts import Draft
from core.models.row_text import find_name, without_defaults
from pages.ui import access
from pages.ui.controls import open_train_page
from pages.ui.frame import KEPT
from pages.ui.model.editor import Rows, write_rows
from pages.ui.words import escape_markdown

CUSTOM, NO_COMPARISON, DEFAULT_NAME = "", "none", "my-network"
COMPARE = "beside"  # key of the control, and its name in the link
_START, _NAME, _MESSAGE = "model_start", "model_name", "model_message"
Saved = Sequence[SavedArchitecture | DamagedFile]


def network_title(name: str) -> str:
    """The title of a network: its name, as in links, or a description of rows without one."""
    return name or "your network"


def describe_network(name: str, saved: Saved) -> str:
    """One line about a network."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name].help
    if name:
        network = valid_networks(saved)[name]
        by = escape_markdown(network.owner or "you")
        return f"Saved by {by} on {network.created.astimezone():%d %B %Y}."
    return "Your own network. It is part of the link; save it to find it here again."


def valid_networks(saved: Saved) -> dict[str, SavedArchitecture]:
    """The saved networks that can be read, by name."""
    return {item.name: item for item in saved if isinstance(item, SavedArchitecture)}


def matching_name(rows: Rows, saved: Saved) -> str:
    """The name of the shipped or saved network with these rows; CUSTOM: there is none."""
    short = [without_defaults(row) for row in rows]
    return find_name(rows) or next(
        (
            name
            for name, network in valid_networks(saved).items()
            if [without_defaults(row) for row in network.rows] == short
        ),
        CUSTOM,
    )


def draw_start_control(rows: Rows, saved: Saved) -> None:
    """Draw the choice of a network to start from."""
    name = matching_name(rows, saved)
    options = [*ARCHITECTURES, *valid_networks(saved)]
    st.session_state[_START] = name
    st.selectbox(
        "Start from",
        options if name else [CUSTOM, *options],
        key=_START,
        format_func=network_title,
        width=220,
        on_change=_replace_rows,
        args=(saved,),
        help="A named network. You can change its rows below.",
    )


def _replace_rows(saved: Saved) -> None:
    if name := st.session_state[_START]:
        write_rows(rows_of(name, saved))


def rows_of(name: str, saved: Saved) -> Rows:
    """The rows of a shipped or saved network."""
    return ARCHITECTURES[name].rows if name in ARCHITECTURES else valid_networks(saved)[name].rows


def draw_compare_control(saved: Saved) -> str | None:
    """Draw the choice of a network to compare with, and return it; None: no comparison."""
    name = st.selectbox(
        "Compare with",
        [NO_COMPARISON, *ARCHITECTURES, *valid_networks(saved)],
        key=COMPARE,
        width=220,
        help="Shows another network side by side.",
        **KEPT,
    )
    return None if name == NO_COMPARISON else name


def draw_save_popover(draft: Draft, saved: Saved) -> None:
    """Draw the popover in which networks are saved and deleted."""
    with st.popover("Save", icon=":material/bookmark:", key="model_save"):
        name = st.text_input("Name", max_chars=60, key=_NAME, placeholder=DEFAULT_NAME).strip()
        networks = {other.lower(): network for other, network in valid_networks(saved).items()}
        existing = networks.get(name.lower())
        exists = existing is not None
        refusal = access.why_not_change(existing.owner) if existing else access.why_not_create()
        st.button(
            "Replace it" if exists else "Save",
            key="model_save_now",
            type="primary",
            on_click=_save,
            args=(draft.rows, name if exists else None),
            disabled=draft.summary is None or bool(refusal),
            help=refusal or None,
        )
        if draft.summary is None:
            st.caption("Available once all rows are valid.")
        for item in saved:
            with st.container(horizontal=True, vertical_alignment="center"):
                note = (
                    f"{item.parameters:,} parameters"
                    if isinstance(item, SavedArchitecture)
                    else "cannot be read"
                )
                st.markdown(
                    f"{escape_markdown(item.name)}  \n:gray[:small[{note}]]", width="stretch"
                )
                refusal = access.why_not_change(item.owner)
                st.button(
                    "Delete",
                    icon=":material/delete:",
                    key=f"model_delete_{item.name}",
                    type="tertiary",
                    on_click=_delete,
                    args=(item.name,),
                    disabled=bool(refusal),
                    help=refusal or None,
                )


def _save(rows: Rows, replaceable: str | None) -> None:
    # The session holds the name as typed now; the button may have been drawn before the last key.
    name = st.session_state[_NAME].strip()
    try:
        access.check_create()
        replace = bool(name) and name == replaceable
        if replace:
            access.check_change(*_owners_of(name))
        network = architectures.save(
            name or DEFAULT_NAME, rows, replace=replace, owner=access.owner_name()
        )
    except UserError as error:
        st.session_state[_MESSAGE] = (str(error), ":material/error:")
    else:
        st.session_state[_MESSAGE] = (f"Saved as {network.name}.", ":material/bookmark_added:")


def _delete(name: str) -> None:
    try:
        access.check_change(*_owners_of(name))
        architectures.delete(name)
    except UserError as error:
        st.session_state[_MESSAGE] = (str(error), ":material/error:")


def _owners_of(name: str) -> list[str | None]:
    """The owners of what is saved under a name now; of a damaged file there is none."""
    wanted = name.lower()
    return [
        item.owner
        for item in architectures.list_saved()
        if wanted in (item.name.lower(), item.name.lower().removesuffix(architectures.ENDING))
    ]


def show_messages() -> None:
    """Show the result of saving or deleting."""
    if message := st.session_state.pop(_MESSAGE, None):
        st.toast(escape_markdown(message[0]), icon=message[1])


def show_damaged_files(saved: Saved) -> None:
    """Name the saved networks that cannot be read."""
    for item in saved:
        if isinstance(item, DamagedFile):
            text = escape_markdown(f"{item.name} cannot be read: {item.reason}")
            st.caption(f":material/error: {text}")


def draw_train_button(draft: Draft) -> None:
    """Draw the button that opens Train with this network."""
    if st.button(
        "Train this",
        type="primary",
        icon=":material/model_training:",
        disabled=draft.summary is None,
        help="Use this network on the Train page.",
    ):
        open_train_page("architecture", find_name(draft.rows), draft.rows)
