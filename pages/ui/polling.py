"""Parts of a page that update themselves while somebody can see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

import streamlit as st

from pages.ui.components.visibility import is_tab_hidden, watch_tab

P = ParamSpec("P")


def interval_while_visible(seconds: float | None) -> float | None:
    """Return the interval of a fragment that polls; None, so that it does not, in a hidden tab."""
    return None if is_tab_hidden() else seconds


def poll(content: Callable[P, None], seconds: float | None, key: str) -> Callable[P, None]:
    """Return a part of the page as a fragment that runs again and again while the tab is visible.

    To be used once on a page, since it mounts the watcher of the tab.

    Args:
        content: draws the part.
        seconds: from one run to the next; None: it does not poll.
        key: of the fragment.
    """
    if seconds is not None:
        watch_tab()
    return st.fragment(content, run_every=interval_while_visible(seconds), key=key)
