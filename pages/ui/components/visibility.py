"""Whether the browser's tab is hidden: a page that nobody sees need not be updated."""

from __future__ import annotations

import streamlit as st

from pages.ui.components.component import register_component

KEY = "visibility"
_mount = register_component("visibility", "visibility/tab")


def watch_tab() -> None:
    """Mount the watcher, which draws nothing; hiding or showing the tab reruns the page."""
    _mount(key=KEY, on_hidden_change=lambda: None)


def is_tab_hidden() -> bool:
    """Return whether the tab was hidden when its browser last told; False where nothing is told."""
    return bool((st.session_state.get(KEY) or {}).get("hidden"))
