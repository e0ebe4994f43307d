"""Boxes that select runs: they show titles, while the session and the link hold names.

Streamlit writes what a box shows into the link. Titles are neither unique nor lasting, so these
boxes are not bound to the link but keep their own name in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.runs.run import Run

# Session key of the run that pages look at. Train has a key of its own, but the same name in links.
VIEWED = "viewed_run"
_LINKED = "run_boxes_linked"  # session key: what the link held after the last run of the script


def run_titles(runs: Iterable[Run]) -> dict[str, str]:
    """What pages call each of several runs: its title, with its name where that is not unique.

    Returns:
        Name of a run -> a text that no two of the runs share.
    """
    runs = list(runs)
    taken = Counter(run.label for run in runs) + Counter(run.name for run in runs if run.title)
    return {
        run.name: run.label
        if taken[run.label] == 1
        else f"{run.label} ({run.name})"
        if run.title
        else run.name
        for run in runs
    }


def select_run(
    label: str,
    names: Sequence[str],
    key: str,
    titles: Mapping[str, str],
    default: str = "",
    link: str = "",
    **arguments: Any,
) -> str:
    """Draw a box that selects one run.

    Args:
        label: of the box, which screen readers read.
        names: what can be selected, at least one; not only runs, but anything that has a name.
        key: of the box.
        titles: what the box shows for a name; names that it lacks are shown themselves.
        default: selected at first, and left out of the link. Where it is not among the names, the
            first of them is selected, and the link holds it, since it may not be first elsewhere.
        link: the parameter of the link that holds the name; empty: called as the key.
        arguments: further arguments of `st.selectbox`.

    Returns:
        The selected name.
    """
    session, link = st.session_state, link or key
    linked = st.query_params.get_all(link)
    if linked and linked[-1] in names and (key not in session or _is_new(link, linked)):
        session[key] = linked[-1]
    if session.get(key) not in names:
        session[key] = default if default in names else names[0]
    chosen = st.selectbox(
        label,
        names,
        **_box_arguments(key, titles),
        **arguments,
    )
    _write_link(link, [] if chosen == default else [chosen])
    return chosen


def select_runs(
    label: str,
    names: Sequence[str],
    key: str,
    titles: Mapping[str, str],
    default: Sequence[str] = (),
    **arguments: Any,
) -> list[str]:
    """Draw a box that selects several runs, in the order of their selection.

    Args and returns as `select_run`, with lists of names, of which those that are not there (any
    more) are left out. The key is also the parameter of the link.
    """
    session = st.session_state
    limit = arguments.get("max_selections")
    linked = st.query_params.get_all(key)
    if linked and (key not in session or _is_new(key, linked)):
        session[key] = list(dict.fromkeys(linked))
    held = session.get(key)
    known = [name for name in (default if held is None else held) if name in names][:limit]
    if held is None or known != list(held):
        session[key] = known
    chosen = st.multiselect(
        label,
        names,
        **_box_arguments(key, titles),
        **arguments,
    )
    _write_link(key, [] if chosen == list(default) else chosen)
    return chosen


def _box_arguments(key: str, titles: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a box that shows titles and keeps its value across pages."""
    return {
        "key": key,
        "format_func": lambda name: titles.get(name, name),
        "persist_state": "session",
    }


def forget_links() -> None:
    """Let the boxes that are drawn next take what the link holds, whatever was selected before."""
    st.session_state.pop(_LINKED, None)


def _is_new(link: str, linked: list[str]) -> bool:
    """Whether the link names something that no box has written there."""
    return linked != st.session_state.get(_LINKED, {}).get(link)


def _write_link(link: str, names: list[str]) -> None:
    if st.query_params.get_all(link) != names:
        if names:
            st.query_params[link] = names
        else:
            st.query_params.pop(link, None)
    st.session_state.setdefault(_LINKED, {})[link] = names
