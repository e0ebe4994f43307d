"""Which browser a session belongs to, by a random identifier that the browser keeps in a cookie.

A session's cookies are those with which its page was opened, so the first page learns the
identifier from a component.
"""

from __future__ import annotations

import re

import streamlit as st

from pages.ui.components.component import register_component

COOKIE = "inkling_browser"
KEY, _ID = "browser", "browser_id"
_mount = register_component("browser", "browser/browser")


def watch_browser() -> None:
    """Mount the component, which draws nothing and makes the cookie if the browser has none."""
    _mount(key=KEY, data={"known": read_browser()}, on_id_change=lambda: None)
    if identifier := (st.session_state.get(KEY) or {}).get("id"):
        st.session_state[_ID] = identifier


def read_browser() -> str:
    """The identifier of this session's browser: 32 hexadecimal digits; empty: not known yet."""
    for told in (
        st.context.cookies.get(COOKIE),
        (st.session_state.get(KEY) or {}).get("id"),
        st.session_state.get(_ID),
    ):
        if isinstance(told, str) and re.fullmatch("[0-9a-f]{32}", told):
            return told
    return ""
