"""A button that prints a document other than the page."""

from __future__ import annotations

from pages.ui.components.component import register_component

_mount = register_component("print_button", "print_button/print", "button")


def draw_print_button(key: str, html: str) -> None:
    """Draw the button.

    Args:
        key: of the component.
        html: the document, a whole page.
    """
    _mount(key=key, data={"html": html}, width="content")
