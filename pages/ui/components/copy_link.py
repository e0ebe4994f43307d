"""A button that copies a link to the page."""

from __future__ import annotations

from pages.ui.components.component import register_component

_mount = register_component("copy_link", "copy_link/copy", "button")


def draw_copy_link(key: str, query: str | None = None, *, shown: bool = False) -> None:
    """Draw the button.

    Args:
        key: of the component on its page.
        query: the query string of the link; None: the page's address as it is.
        shown: whether the link stands beside the button.
    """
    _mount(
        key=key,
        data={"query": query, "shown": shown},
        width="stretch" if shown else "content",
    )
