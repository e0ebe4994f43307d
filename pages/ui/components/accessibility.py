"""What Streamlit's elements lack for screen readers, keyboards and phones, added to each page."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.components.component import register_component

_mount = register_component(
    "accessibility", "accessibility/page", "accessibility/history", "accessibility/focus"
)


def improve_page() -> None:
    """Mount the component, which draws nothing, and improves the page for as long as it is open."""
    _mount(key="accessibility")


def announce(text: str) -> None:
    """Have a screen reader speak a text when it changes; the first text of a page stays silent.

    Args:
        text: a short sentence that nobody sees; the same call must be made in every run.
    """
    st.html(f'<div class="announcement">{escape(text)}</div>')
